"""LoRA adapters on nano that nobody trained, and `warraq merge` of them."""

from pathlib import Path

import torch
from click.testing import CliRunner, Result
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from support import NANO, PARAMS
from warraq import params as tree
from warraq.cli.main import main
from warraq.files import hash_file, write_json
from warraq.students.model_files import ADAPTER_CONFIG, hash_settings
from warraq.students.weights import digest_adapter, digest_model

TARGETS = r".*language_model.*\.(q_proj|down_proj)"
PROJECTOR = "multi_modal_projector"


def write_adapter(folder: Path, seed: int, scale: float = 0.02) -> None:
    """An adapter with drawn weights on two modules of each layer and a projector of its own; a `scale` of 0 leaves it
    as PEFT makes it, so that it does nothing."""
    model = AutoModelForImageTextToText.from_pretrained(NANO, dtype=torch.float32)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM", modules_to_save=[PROJECTOR] if scale else None
    )
    torch.manual_seed(seed)
    tuned = get_peft_model(model, config)
    for name, weight in tuned.named_parameters():
        if scale and "lora_B" in name:
            torch.nn.init.normal_(weight, std=scale)
        elif scale and "modules_to_save" in name:
            weight.data += scale
    tuned.save_pretrained(str(folder))


def write_lineage(folder: Path, base: Path = NANO, revision: str | None = None, name: str = "nano") -> Path:
    """The lineage of the adapters in `folder`, as `train` writes it."""
    digests = [
        {
            "adopted": True,
            "sha256": digest_adapter(one),
            "adapter_config_sha256": hash_file(one / ADAPTER_CONFIG),
        }
        for one in sorted(path for path in folder.iterdir() if path.is_dir())
    ]
    lineage = {
        "base": name,
        "revision": revision or tree.load(PARAMS).find_student("nano").revision,
        "tuning": "lora",
        "base_sha256": digest_model(base),
        "settings_sha256": hash_settings(base),
        "image_max_pixels": None,
        "views": "page",
        "left_out": {},
        "tiers": digests,
    }
    write_json(folder / "lineage.json", lineage)
    return folder


def merge(params: Path, training_data: Path, adapter: Path, out: Path, base: Path = NANO) -> Result:
    """Run `warraq merge` for the student nano."""
    places = {"--base": base, "--adapter": adapter, "--dataset": training_data / "dataset"}
    places |= {"--pages": training_data / "pages", "--out": out}
    flat = [text for key, place in places.items() for text in (key, str(place))]
    return CliRunner().invoke(main, ["--params", str(params), "merge", "--student", "nano", *flat])
