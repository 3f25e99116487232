"""The tests' support: params_yaml refuses what it does not know, and what is shared is made once."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from support.params import params_yaml, read_params
from support.shared import copy_made


def test_the_values_are_those_of_the_project_but_for_the_changes() -> None:
    changed = yaml.safe_load(params_yaml({"students.nano.tiers.0.rank": 7, "tasks": ["content"]}))
    assert (changed["students"]["nano"]["tiers"][0].pop("rank"), changed.pop("tasks")) == (7, ["content"])
    before = read_params()
    del before["students"]["nano"]["tiers"][0]["rank"], before["tasks"]
    assert changed == before


@pytest.mark.parametrize("key", ["export.pagse", "exprot.pages", "students.pico.rank", "students.nano.tiers.7.rank"])
def test_an_unknown_key_is_refused(key: str) -> None:
    with pytest.raises((KeyError, IndexError)):
        params_yaml({key: 1})


def test_a_value_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"render\.colour"):
        params_yaml({"render.colour": "blue"})


def test_what_is_shared_is_made_once_and_everyone_has_a_copy(tmp_path_factory: pytest.TempPathFactory) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("made")

    one, other = (copy_made(tmp_path_factory, "shared", make) for _ in range(2))
    (one / "file").write_text("changed")
    assert (other / "file").read_text() == "made" and len(made) == 1
