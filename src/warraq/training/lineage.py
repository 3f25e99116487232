"""lineage.json of an adapter: which base it was trained on, and what became of each tier."""

from pathlib import Path
from typing import NotRequired, TypedDict

from warraq.errors import InputError
from warraq.files import read_json
from warraq.training.trainable_modules import ComponentTable


class TierRecord(TypedDict):
    """A tier: its weights, its best checkpoint, and for one that stands on others its gain over them."""

    sha256: str  # of its weight files
    adapter_config_sha256: str | None  # None where every weight is trained
    step: int  # of its best checkpoint
    eval_loss: float | None
    eval_score: float | None
    loss_score_rank_correlation: float | None
    modules: ComponentTable
    adopted: bool
    gain: NotRequired[float | None]  # mean, with its 95 % interval
    gain_lo: NotRequired[float | None]
    gain_hi: NotRequired[float | None]
    documents: NotRequired[int]  # from which it was estimated


class Lineage(TypedDict):
    """Where an adapter comes from."""

    base: str
    revision: str
    tuning: str
    base_sha256: str
    settings_sha256: dict[str, str]  # of the base's configuration and processor, by file
    image_max_pixels: int | None
    views: str  # of a page
    left_out: dict[str, int]  # samples by the reason why they were not trained on
    tiers: list[TierRecord]


def read_lineage(adapter: Path) -> Lineage:
    """The lineage of an adapter's folder.

    Raises:
        InputError: there is none, or one that does not say all that has to be held.
    """
    lineage: Lineage = read_json(adapter / "lineage.json")
    lacking = sorted(Lineage.__required_keys__ - lineage.keys())
    if lacking:
        raise InputError(f"{adapter}/lineage.json does not tell {lacking[0]}: train again, or restore it.")
    return lineage
