"""docs/recipes.md says of each setting what the YAML for the trainer says."""

import json
import re
from typing import Any

import pytest

from support import PARAMS, ROOT
from warraq import params as tree
from warraq.training import llamafactory
from warraq.training.audit import SampleSize

BY_DATA = {"cutoff_len", "image_max_pixels", "eval_steps", "save_steps", "lora_target"}
"""Settings that follow from the samples or the base."""


def read_rows(student: str) -> dict[str, str]:
    """What docs/recipes.md calls ours, by setting."""
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf-8").split(f"## {student}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", text, re.MULTILINE)
    assert len(rows) == len({name for name, _, _ in rows})
    return {name: ours for name, _, ours in rows}


def write_settings(student: str) -> list[dict[str, Any]]:
    """The YAML of each tier."""
    params = tree.load(PARAMS)
    who = params.find_student(student)
    size = SampleSize(
        split="train", page_id="p", task="content", prompt_tokens=10, image_tokens=20, target_tokens=30, seen_px=896**2,
        line_px=9.0, special=None,
    )  # fmt: skip
    return [
        llamafactory.training_settings(
            who, tier, ["layer"], [size] * 9,
            largest_px=9000, seed=params.train.seed, checkpoints=params.train.checkpoints,
        )
        for tier in who.tiers
    ]  # fmt: skip


def read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize("student", ["gemma3_4b", "qwen2_5_vl_7b_tableqa"])
def test_the_document_of_a_recipe_is_its_yaml(student: str) -> None:
    rows, tiers = read_rows(student), write_settings(student)
    said: list[dict[str, Any]] = [{} for _ in tiers]
    for name, ours in rows.items():
        cells = re.findall(r"`(?:[^`]*)`|–", ours) if name not in BY_DATA else []
        for place, tier in enumerate(said):
            cell = cells[place] if len(cells) > 1 else (cells or ["–"])[0]
            if cell != "–":
                tier[name] = read_value(cell.strip("`"))
    for tier, expected in zip(said, tiers, strict=True):
        assert tier == {name: value for name, value in expected.items() if name not in BY_DATA}
        assert rows.keys() >= expected.keys()
