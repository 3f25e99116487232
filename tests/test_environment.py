"""What the environment may say: a number or a switch, or one sentence that names the variable."""

import pytest

from warraq.environment import read_count, read_flag, read_seconds
from warraq.errors import InputError


@pytest.mark.parametrize(("text", "count"), [("", None), ("1", 1), ("12", 12)])
def test_a_count_is_read(monkeypatch: pytest.MonkeyPatch, text: str, count: int | None) -> None:
    monkeypatch.setenv("WARRAQ_X", text)
    assert read_count("WARRAQ_X") == count


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "²", " "])
def test_what_is_no_count_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WARRAQ_X", text)
    with pytest.raises(InputError, match=r"^WARRAQ_X is '.*'; it must be a whole number of at least 1\.$"):
        read_count("WARRAQ_X")


def test_zero_counts_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARRAQ_X", "0")
    assert read_count("WARRAQ_X", least=0) == 0


@pytest.mark.parametrize(("text", "seconds"), [("", 30.0), ("0.01", 0.01), ("15", 15.0)])
def test_seconds_are_read(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("WARRAQ_X", text)
    assert read_seconds("WARRAQ_X", 30) == seconds


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", ".", "soon"])
def test_what_are_no_seconds_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("WARRAQ_X", text)
    with pytest.raises(InputError, match=r"WARRAQ_X is .* a number of seconds above 0"):
        read_seconds("WARRAQ_X", 30)


def test_no_seconds_at_all_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARRAQ_X", "0")
    assert read_seconds("WARRAQ_X", 30, positive=False) == 0


@pytest.mark.parametrize(("text", "flag"), [("", False), ("1", True), ("TRUE", True), ("on", True), ("no", False)])
def test_a_flag_is_read(monkeypatch: pytest.MonkeyPatch, text: str, flag: bool) -> None:
    monkeypatch.setenv("WARRAQ_X", text)
    assert read_flag("WARRAQ_X") is flag
