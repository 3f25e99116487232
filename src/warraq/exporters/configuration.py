"""What every export is asked by: the configuration of the merged model and of its processor."""

import shutil
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.students import model_files


def write_full_config(merged: Path, part: Path) -> Any:
    """Write config.json and the processor's files spelled out in full, which bases leave to transformers' defaults, and
    under the names of today, whatever version wrote the base's.

    Returns:
        The configuration as transformers has it.

    Raises:
        InputError: the model has no chat template.
    """
    from transformers import AutoConfig, AutoImageProcessor, AutoProcessor
    from transformers.utils import logging as advice

    advice.set_verbosity_error()  # it would advise the fast image processor
    config, processor = AutoConfig.from_pretrained(merged), AutoProcessor.from_pretrained(merged)
    if not processor.chat_template:
        raise InputError(f"{merged} has no chat template; a base that answers questions brings one.")
    processor.image_processor = AutoImageProcessor.from_pretrained(merged, backend="pil")
    processor.save_pretrained(part / "processor")
    for name in model_files.WRITTEN:
        if (part / "processor" / name).exists():
            (part / "processor" / name).replace(part / name)
    shutil.rmtree(part / "processor")
    config.save_pretrained(part)
    return config
