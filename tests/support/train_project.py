"""The command line of `warraq train` for the student nano, and what it learns to answer."""

from pathlib import Path
from typing import Any

from support import NANO
from warraq.tasks import invoice

MERGED_BY = (
    "family",
    "base",
    "revision",
    "tuning",
    "image_max_pixels",
    "views",
    "min_line_px",
    "max_tokens_per_image_token",
)
"""The fields of a student by which it is merged, as dvc.yaml lists them."""


def train_arguments(params: Path, training_data: Path, out: Path, base: Path = NANO) -> list[str]:
    places = {"--base": base, "--dataset": training_data / "dataset", "--pages": training_data / "pages", "--out": out}
    places |= {"--metrics": out.parent / "audit.json", "--curve": out.parent / "tokens.csv"}
    places |= {"--losses": out.parent / "loss.csv"}
    flat = [text for key, place in places.items() for text in (key, str(place))]
    return ["--params", str(params), "train", "--student", "nano", *flat]


def invoice_answer(number: str) -> dict[str, Any]:
    """An invoice that says nothing but its number."""
    party = {"name": None, "address": None, "tax_id": None}
    empty: dict[str, Any] = dict.fromkeys(invoice.Answer.model_fields)
    return empty | {
        "invoice_number": number, "sender": party, "recipient": party, "items": [], "currency": "JOD",
    }  # fmt: skip


def find_processes(folder: Path) -> list[int]:
    """Processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found += [int(entry.name)] * ((entry / "cwd").readlink() == folder)
            except OSError:
                continue  # ended meanwhile, or another user's
    return found
