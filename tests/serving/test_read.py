"""`warraq read`: documents in, JSON and Markdown out; resumed; refused where the model is not the one trained."""

import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from support import ROOT
from support.rendering import read_files
from support.scripted_model import CONTENT, ScriptedModel, describe_model
from support.waiting import LONGEST_S
from warraq import tasks
from warraq.cli.main import main
from warraq.errors import InputError
from warraq.files import write_json
from warraq.metrics.fields import flatten
from warraq.runtimes import Request
from warraq.runtimes.onnx import OnnxRuntime
from warraq.runtimes.torch import TorchRuntime
from warraq.serving.files import parse_page_ranges


def read(model: Path, out: Path | None, *words: object) -> Result:
    place = ["--out", str(out)] if out else []
    return CliRunner().invoke(main, ["read", "--model", str(model), *place, *map(str, words)])


def held(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def test_a_damaged_page_is_read_and_says_so(model: Path, tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.effect_noise((620, 880), 60).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[:-20_000])
    result = read(model, tmp_path / "out", "--task", "content", tmp_path / "cut.jpg")
    assert result.exit_code == 0 and "cut.jpg, page 1: damage: " in result.output, result.output
    (page,) = held(tmp_path / "out/cut.jpg.json")["pages"]
    assert page["damage"] in result.output and page["answers"]["content"]["reasons"] == ["damaged"]
    assert "the file is damaged" in (tmp_path / "out/cut.jpg.md").read_text(encoding="utf-8")


def test_a_document_becomes_json_and_markdown(model: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    result = read(model, tmp_path / "out", raw("letter.pdf", "picture.png"))
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    of_all = {"fields.csv", "items.csv", "fields.xlsx", "answers.jsonl", "outcome.jsonl", "rejected.jsonl"}
    assert names == of_all | {"letter.pdf.json", "letter.pdf.md", "picture.png.json", "picture.png.md"}
    letter = held(tmp_path / "out/letter.pdf.json")
    assert [page["page"] for page in letter["pages"]] == [1, 2, 3]
    content = letter["pages"][0]["answers"]["content"]
    assert content["answer"] == json.loads(CONTENT)
    assert not content["needs_review"] and not content["forced"] and content["reasons"] == []
    text = (tmp_path / "out/letter.pdf.md").read_text(encoding="utf-8")
    assert "<!-- page 3 -->\n\nوزارة المالية\n\n- **Invoice number**: 1001\n" in text
    assert "null" not in text and "{" not in text
    assert str(tmp_path) not in text + json.dumps(letter)


def test_a_cluster_reads_what_one_machine_reads(
    model: Path, raw: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    folder = raw("letter.pdf", "picture.png")
    assert read(model, tmp_path / "here", folder).exit_code == 0
    monkeypatch.setenv("WARRAQ_ON", "ray")
    result = read(model, tmp_path / "ray", folder)
    assert result.exit_code == 0, result.output
    assert read_files(tmp_path / "ray") == read_files(tmp_path / "here")


def test_without_out_each_document_is_a_line_of_json(model: Path, raw: Callable[..., Path]) -> None:
    result = read(model, None, raw("letter.pdf", "scan.pdf"), "--task", "invoice", "--pages", "2-")
    assert result.exit_code == 0, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["files"], [page["page"] for page in one["pages"]]) for one in documents] == [(["letter.pdf"], [2, 3])]
    assert all(set(page["answers"]) == {"invoice"} for page in documents[0]["pages"])


def test_each_part_of_a_long_page_has_its_answers(model: Path, tmp_path: Path) -> None:
    receipt = Image.new("L", (300, 9000), 255)
    for top in range(40, 8900, 60):
        ImageDraw.Draw(receipt).text((20, top), f"Item {top}", 0, font=ImageFont.load_default(24))
    receipt.save(tmp_path / "receipt.png")
    result = read(model, tmp_path / "out", tmp_path / "receipt.png", "--task", "content")
    assert result.exit_code == 0, result.output
    parts = [(page["page"], page["part"]) for page in held(tmp_path / "out/receipt.png.json")["pages"]]
    assert len(parts) > 1 and parts == [(1, part + 1) for part in range(len(parts))]
    assert all(page["answers"]["content"] for page in held(tmp_path / "out/receipt.png.json")["pages"])
    assert "<!-- page 1, part 2 -->" in (tmp_path / "out/receipt.png.md").read_text(encoding="utf-8")


def test_the_page_is_asked_as_in_training(model: Path, server: ScriptedModel, raw: Callable[..., Path]) -> None:
    from warraq.tasks import content

    read(model, None, raw("picture.png"), "--task", "content")
    (body,) = server.asked
    image, text = body["messages"][0]["content"]
    assert text["text"] == content.PROMPT and image["image_url"]["url"].startswith("data:image/png;base64,")
    assert body["temperature"] == 0 and "response_format" not in body


@pytest.mark.parametrize(("first", "reason"), [(("{}", "stop"), "schema_invalid"), ((CONTENT, "length"), "truncated")])
def test_an_answer_that_does_not_do_is_asked_for_again_under_the_schema(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], first: tuple[str, str], reason: str
) -> None:
    server.reply = lambda _, schema: (CONTENT, "stop") if schema else first
    result = read(model, None, raw("picture.png"), "--task", "content")
    answer = json.loads(result.stdout)["pages"][0]["answers"]["content"]
    assert answer["forced"] and answer["needs_review"] and answer["reasons"] == [reason]
    assert len(server.asked) == 2


def test_an_answer_below_the_threshold_needs_review(model: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    """A task without a stated confidence is read by a person wholly or not at all, as evaluate chose."""
    write_json(tmp_path / "review.json", {"model": {"content": 0.0, "invoice": None}})
    result = read(model, None, raw("picture.png"), "--review", tmp_path / "review.json")
    answers = json.loads(result.stdout)["pages"][0]["answers"]
    assert not answers["content"]["needs_review"]
    assert answers["invoice"]["needs_review"] and answers["invoice"]["reasons"] == ["no_threshold"]
    assert "no --review" not in result.stderr


def test_without_thresholds_an_answer_is_marked_for_its_form_alone(model: Path, raw: Callable[..., Path]) -> None:
    result = read(model, None, raw("picture.png"))
    answers = json.loads(result.stdout)["pages"][0]["answers"]
    assert not any(one["needs_review"] for one in answers.values())
    assert "no --review: no answer is marked for its confidence" in result.stderr


@pytest.mark.parametrize("verb", ["read", "serve"])
def test_make_takes_the_thresholds_of_the_last_evaluation(tmp_path: Path, verb: str) -> None:
    def command() -> str:
        words = ["make", "--just-print", "--file", str(ROOT / "Makefile"), verb, "FILES=letters"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    (tmp_path / "requirements.lock").touch()
    (tmp_path / "pyproject.toml").touch()
    assert "--review" not in command()
    write_json(tmp_path / "reports/nano/review.json", {})
    assert "--model models/nano/onnx" in command() and "--review reports/nano/review.json" in command()


def test_bad_files_are_rows_and_the_others_are_read(model: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    folder = raw("letter.pdf", "encrypted.pdf", "truncated.pdf", "empty.pdf", "text.pdf")
    result = read(model, tmp_path / "out", folder)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    reasons = {row["file"]: row["reason"] for row in rows}
    assert reasons["encrypted.pdf"] == "encrypted" and reasons["empty.pdf"] == "empty"
    assert reasons["text.pdf"] == "not_a_document" and "truncated.pdf" in reasons
    assert "encrypted.pdf: encrypted" in result.stderr
    assert (tmp_path / "out/letter.pdf.json").exists() and not (tmp_path / "out/empty.pdf.json").exists()


def test_nothing_to_read_is_one_sentence(model: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    result = read(model, tmp_path / "out", raw("empty.pdf"))
    assert result.exit_code == 2 and "rejected.jsonl says why" in result.output


def test_equal_names_and_equal_bytes(
    model: Path, raw: Callable[..., Path], documents: dict[str, bytes], tmp_path: Path
) -> None:
    folder = raw("picture.png")
    for name, data in (("a/letter.pdf", "letter.pdf"), ("b/letter.pdf", "scan.pdf"), ("b/copy.png", "picture.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(documents[data])
    result = read(model, tmp_path / "out", folder, "--task", "content")
    assert result.exit_code == 0, result.output
    written = list((tmp_path / "out").glob("*.json"))
    assert len(written) == 3
    assert held(tmp_path / "out/copy.png.json")["files"] == ["copy.png", "picture.png"]


def test_a_second_run_asks_nothing(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    folder = raw("letter.pdf")
    read(model, tmp_path / "out", folder)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    asked = len(server.asked)
    assert read(model, tmp_path / "out", folder).exit_code == 0
    assert len(server.asked) == asked
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    read(model, tmp_path / "out", folder, "--task", "content")
    assert len(server.asked) == asked + 3, "another question is not answered by what is there"


def test_a_killed_run_asks_only_what_was_in_flight(
    model: Path, server: ScriptedModel, raw: Callable[..., Path], tmp_path: Path
) -> None:
    folder, hang, reached = raw("letter.pdf"), threading.Event(), threading.Event()

    def reply(*_: object) -> tuple[str, str]:
        if len(server.asked) == 3:
            reached.set()
            hang.wait(LONGEST_S)
        return CONTENT, "stop"

    server.reply = reply
    words = ["read", "--model", model, "--out", tmp_path / "out", "--task", "content", "--workers", "1", folder]
    process = subprocess.Popen([sys.executable, "-m", "warraq", *map(str, words)], stderr=subprocess.DEVNULL)
    assert reached.wait(LONGEST_S)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    hang.set()
    assert not list((tmp_path / "out").glob("*.json"))
    server.asked.clear()
    server.reply = lambda *_: (CONTENT, "stop")
    assert read(model, tmp_path / "out", folder, "--task", "content").exit_code == 0
    assert len(server.asked) == 1
    assert len(held(tmp_path / "out/letter.pdf.json")["pages"]) == 3


def edited(model: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = held(model / "warraq.json")
    change(value)
    write_json(model / "warraq.json", value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda value: value["tasks"]["content"].update(prompt="Read."), "another prompt or schema of content"),
        (lambda value: value["tasks"]["invoice"].update(schema_sha256="0"), "another prompt or schema of invoice"),
        (lambda value: value["look"].update(contrast="sharpened"), "pages that this version does not render alike"),
        (lambda value: value["look"].update(deskew=True), "pages that this version does not render alike"),
        (lambda value: value.update(look={}, recipe="import"), "pages that this version does not render alike"),
        (lambda value: value.update(recipe="0" * 12), "pages that this version does not render alike; train it anew."),
        (lambda value: value.update(colour="blue"), "is not of this version"),
    ],
)
def test_another_model_than_was_trained_is_refused(
    model: Path,
    server: ScriptedModel,
    raw: Callable[..., Path],
    change: Callable[[dict[str, Any]], None],
    sentence: str,
) -> None:
    edited(model, change)
    result = read(model, None, raw("picture.png"))
    assert result.exit_code == 2 and sentence in result.output and result.output.count("\n") == 1
    assert not server.asked


def test_a_changed_file_of_the_model_is_refused(raw: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "onnx"
    write_json(folder / "config.json", {})
    (folder / "tokenizer.json").write_text("{}")
    describe_model(folder, "content")
    (folder / "tokenizer.json").write_text("[]")
    result = read(folder, None, raw("picture.png"))
    assert result.exit_code == 2 and "tokenizer.json is not the file that was written with the model" in result.output


def test_a_model_without_its_manifest_is_refused(model: Path, raw: Callable[..., Path]) -> None:
    (model / "warraq.json").unlink()
    result = read(model, None, raw("picture.png"))
    assert result.exit_code == 2 and "warraq.json is missing" in result.output


@pytest.mark.parametrize("words", [["--task", "letters"], ["--runtime", "onnx"], ["--pages", "x"]])
def test_what_cannot_be_asked_is_one_sentence(model: Path, raw: Callable[..., Path], words: list[str]) -> None:
    result = read(model, None, raw("picture.png"), *words)
    assert result.exit_code == 2 and result.stderr.splitlines()[-1].startswith("warraq: ")


def test_no_ranges_are_all_pages(model: Path, raw: Callable[..., Path]) -> None:
    """As where a script hands on a variable that is not set."""
    result = read(model, None, raw("letter.pdf"), "--task", "content", "--pages", "")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["pages"]) == 3


@pytest.mark.parametrize("review", [{"summary": {"pages": 1.0}}, {"documents": 3, "pages": 4}, []])
def test_thresholds_that_are_none_are_one_sentence(
    model: Path, raw: Callable[..., Path], tmp_path: Path, review: object
) -> None:
    write_json(tmp_path / "metrics.json", review)
    result = read(model, None, raw("picture.png"), "--review", tmp_path / "metrics.json")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "no thresholds" in result.stderr


def test_a_name_too_long_for_its_endings_is_read(model: Path, documents: dict[str, bytes], tmp_path: Path) -> None:
    """255 bytes; the output has the name's beginning behind the hash."""
    name = "م" * 125 + "a.png"
    (tmp_path / name).write_bytes(documents["picture.png"])
    result = read(model, tmp_path / "out", tmp_path / name, "--task", "content")
    assert result.exit_code == 0, result.output
    (written,) = (tmp_path / "out").glob("*.json")
    assert held(written)["files"] == [name] and "م" * 100 in written.name
    assert read(model, tmp_path / "out", tmp_path / name, "--task", "content").exit_code == 0


def test_pages_that_are_none_are_told(model: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    result = read(model, tmp_path / "out", raw("letter.pdf"), "--task", "content", "--pages", "2,9")
    assert [page["page"] for page in held(tmp_path / "out/letter.pdf.json")["pages"]] == [2]
    assert "letter.pdf, page 9: no_such_page: There is no page 9, the last is 3" in result.stderr


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 20)), min_size=1, max_size=5), st.integers(1, 80))
def test_page_ranges(ranges: list[tuple[int, int]], page: int) -> None:
    text = ",".join(str(first) if not more else f"{first}-{first + more}" for first, more in ranges)
    assert (page in parse_page_ranges(text)) == any(first <= page <= first + more for first, more in ranges)


@pytest.mark.parametrize("text", ["", "a", "-3", "1-2-3", "1,,2", "0", "5-3", "²", "1" * 5000])
def test_page_ranges_that_are_none(text: str) -> None:
    with pytest.raises(InputError):
        parse_page_ranges(text)


@pytest.mark.slow
def test_answers_of_onnx_fit_their_schema_without_torch(cut: Path, raw: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    code = (
        "import sys; from warraq.cli.main import main\n"
        f"sys.argv = ['warraq', 'read', '--model', {str(cut / 'onnx')!r}, '--out', {str(tmp_path / 'out')!r}, "
        f"{str(raw('letter.pdf'))!r}]\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 []\n", done.stderr
    answers = [page["answers"] for page in held(tmp_path / "out/letter.pdf.json")["pages"]]
    assert all(set(page) == {"content", "invoice", "metadata"} for page in answers)
    assert all(one["forced"] and 0 <= one["confidence"] <= 1 for page in answers for one in page.values())


def test_torch_and_onnx_give_the_same_answers_under_a_schema(cut: Path, raw: Callable[..., Path]) -> None:
    """In one batch with a free answer, which the others do not change."""
    pytest.importorskip("llguidance")
    image = raw("picture.png") / "picture.png"
    asked = [Request((image,), "Copy.")]
    for name in ("content", "invoice"):
        schema = json.dumps(tasks.load(name).schema)
        asked.append(Request((image,), tasks.load(name).prompt, schema))
    ours = OnnxRuntime(cut / "onnx").answer(asked, 20)
    assert ours == TorchRuntime(cut / "merged", dtype="float32").answer(asked, 20)
    assert ours[0] == OnnxRuntime(cut / "onnx").answer(asked[:1], 20)[0]
    for name, one in zip(("content", "invoice"), ours[1:], strict=True):
        assert tasks.load(name).parse(one.text)[0]


def test_the_merged_model_is_read_through_transformers(cut: Path, raw: Callable[..., Path]) -> None:
    """The same answers as by its graphs, and each value with its confidence."""
    pytest.importorskip("llguidance")
    found = []
    for name in ("torch", "onnx"):
        words = ["--task", "invoice", "--runtime", name]
        result = read(cut / ("merged" if name == "torch" else name), None, raw("picture.png"), *words)
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout)["pages"][0]["answers"]["invoice"])
    theirs, ours = (one.pop("confidence_by_field") for one in found)
    assert found[0]["answer"] == found[1]["answer"] and found[0]["tokens"] == found[1]["tokens"]
    assert set(ours) == set(flatten(found[0]["answer"])) and ours == pytest.approx(theirs, abs=2e-3)
    assert all(0 <= value <= 1 for value in ours.values())


def test_a_servers_log_probabilities_become_confidence(
    model: Path, server: ScriptedModel, raw: Callable[..., Path]
) -> None:
    server.logprob = -0.5
    result = read(model, None, raw("picture.png"), "--task", "content")
    answer = json.loads(result.stdout)["pages"][0]["answers"]["content"]
    assert answer["confidence"] == round(math.exp(-0.5), 4)
    assert answer["confidence_by_field"]["blocks[0].text"] == round(math.exp(-0.5), 4)
