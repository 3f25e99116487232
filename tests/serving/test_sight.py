"""A page of which the model sees less than in training is not read: by `read`, by /v1/read, and in a chat."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from support.scripted_model import ScriptedModel, describe_model
from support.serving import Start, ask, send, write_parts
from warraq.cli.main import main
from warraq.files import write_json
from warraq.runtimes.manifest import Sight
from warraq.serving.sight import PageSight


@pytest.fixture
def short_sighted(model: Path) -> Path:
    """A model that sees a page as 64 x 64 px, and was trained on lines of 6 px."""
    images = {"size": {"width": 64, "height": 64}}
    write_json(model / "processor_config.json", {"image_processor": images, "image_seq_length": 4})
    sight = Sight(family="gemma3", min_line_px=6, max_tokens_per_image_token=2)
    return describe_model(model, "content", sight=sight)


def read(model: Path, out: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["read", "--model", str(model), "--out", str(out), *map(str, words)])


def test_a_page_too_small_is_not_read_and_every_form_says_so(
    short_sighted: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    folder, out = raw("picture.png"), tmp_path / "out"
    for _ in range(2):
        result = read(short_sighted, out, folder)
        assert result.exit_code == 0, result.output
        assert "picture.png, page 1: lines_too_small: Its lines of text are " in result.stderr
    assert not server.asked
    document = json.loads((out / "picture.png.json").read_text())
    assert document["pages"] == [] and document["rejected"][0]["reason"] == "lines_too_small"
    assert "**Page 1 was not read** (lines_too_small)" in (out / "picture.png.md").read_text(encoding="utf-8")
    assert "not read" in (out / "fields.csv").read_text(encoding="utf-8-sig")
    (line,) = map(json.loads, (out / "answers.jsonl").read_text().splitlines())
    assert line["answer"] is None and line["reason"] == "lines_too_small"
    (row,) = map(json.loads, (out / "rejected.jsonl").read_text().splitlines())
    assert row["reason"] == "lines_too_small"
    _, outcome = map(json.loads, (out / "outcome.jsonl").read_text().splitlines())
    assert outcome["not_read"] == [{"page": 1, "reason": "lines_too_small"}]


def test_a_page_too_small_is_asked_about_where_that_is_wanted(
    short_sighted: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    """Its answer is marked."""
    result = read(short_sighted, tmp_path / "out", raw("picture.png"), "--ask-too-small")
    assert result.exit_code == 0 and len(server.asked) == 1
    answer = json.loads((tmp_path / "out/picture.png.json").read_text())["pages"][0]["answers"]["content"]
    assert answer["needs_review"] and answer["reasons"] == ["lines_too_small"]


def test_a_page_large_enough_is_read_and_an_empty_answer_to_it_is_marked(
    short_sighted: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    write_json(
        short_sighted / "preprocessor_config.json", {"size": {"width": 896, "height": 896}}
    )  # as exported before
    write_json(short_sighted / "processor_config.json", {"image_seq_length": 4})
    server.reply = lambda *_: ('{"blocks":[]}', "stop")
    assert read(short_sighted, tmp_path / "out", raw("picture.png")).exit_code == 0
    answer = json.loads((tmp_path / "out/picture.png.json").read_text())["pages"][0]["answers"]["content"]
    assert "empty" in answer["reasons"] and "lines_too_small" not in answer["reasons"]


def test_a_server_does_not_read_it_either(
    short_sighted: Path, server: ScriptedModel, start: Start, documents: dict[str, bytes]
) -> None:
    url = start()
    refused = send(url, documents["picture.png"], "picture.png")
    assert refused.status_code == 422 and refused.json()["rejected"][0]["reason"] == "lines_too_small"
    chat = ask(url, write_parts("Read.", documents["picture.png"]))
    assert chat.status_code == 400 and "lines_too_small" in chat.json()["error"]["message"]
    assert not server.asked


def test_an_answer_longer_than_what_is_seen_is_too_dense() -> None:
    sight = PageSight(None, 4, Sight(family="gemma3", min_line_px=6, max_tokens_per_image_token=2))
    assert not sight.is_too_small and not sight.is_too_dense(8) and sight.is_too_dense(9)
