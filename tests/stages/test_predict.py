"""nano, as it comes with the project, answers pages: resumed after kill -9, and never with another model's rows."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from support import NANO
from support.params import params_yaml
from support.waiting import wait_until
from warraq.cli.main import main
from warraq.files import write_json
from warraq.records import Prediction, dump_row, read_rows
from warraq.stages.predict import Predict, hash_inputs, read_items
from warraq.views import PAGE

PAGES = 4
TOKENS = 6


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A dataset with its pages, two tasks a page, the longer prompt second."""
    samples = []
    for number in range(1, PAGES + 1):
        image = f"0123456789ab/{number:04}.png"
        draw(tmp_path / "pages" / image, number)
        for task, prompt in (("content", "Copy the page."), ("invoice", "Read the invoice. Answer in JSON only.")):
            turns = [{"role": "user", "content": "<image>" + prompt}, {"role": "assistant", "content": "{}" * number}]
            row = {"page_id": f"0123456789ab-p{number:04}", "document": "0123456789ab", "task": task}
            samples.append({**row, "reference": "gold", "images": [image], "conversations": turns})
    write_json(tmp_path / "dataset" / "test.json", samples)
    (tmp_path / "params.yaml").write_text(params_yaml({"predict.max_new_tokens": TOKENS}))
    return tmp_path


def draw(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (310, 440), "white")
    ImageDraw.Draw(image).text((20, 20 * number), f"page {number}", "black", font_size=10 * number)
    image.save(path)


def options(work: Path, model: Path = NANO) -> list[str]:
    names = {"model": model, "dataset": work / "dataset", "pages": work / "pages", "out": work / "predictions.jsonl"}
    words = [word for name, path in names.items() for word in (f"--{name}", str(path))]
    return ["--params", str(work / "params.yaml"), "predict", *words]


def predict(work: Path, model: Path = NANO) -> Result:
    return CliRunner().invoke(main, options(work, model))


def rows(work: Path) -> list[Prediction]:
    return read_rows(work / "predictions.jsonl", Prediction)


def test_every_sample_has_a_row_whatever_the_batch(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for size in ("1", "3"):
        monkeypatch.setenv("WARRAQ_BATCH", size)
        result = predict(work)
        assert result.exit_code == 0, result.output
        texts.append([(row.page_id, row.task, row.text, row.tokens, row.finish_reason) for row in rows(work)])
    assert texts[0] == texts[1]
    assert texts[0] == sorted(texts[0])
    assert len(texts[0]) == 2 * PAGES
    assert all((row.tokens == TOKENS) >= (row.finish_reason == "length") for row in rows(work))
    assert {row.finish_reason for row in rows(work)} <= {"length", "stop"}
    assert [path.name for path in work.iterdir() if "predictions" in path.name] == ["predictions.jsonl"]


def test_unreadable_image_is_an_error_row_and_the_others_are_answered(work: Path) -> None:
    (work / "pages/0123456789ab/0001.png").write_bytes(b"no image")
    (work / "pages/0123456789ab/0002.png").unlink()
    assert predict(work).exit_code == 0
    failed = [row for row in rows(work) if row.finish_reason == "error"]
    assert [(row.page_id[-5:], row.task) for row in failed] == [
        ("p0001", "content"), ("p0001", "invoice"), ("p0002", "content"), ("p0002", "invoice"),
    ]  # fmt: skip
    assert all(row.message and "cannot be opened" in row.message and str(work) not in row.message for row in failed)
    assert len(rows(work)) == 2 * PAGES


def test_killed_run_asks_again_only_what_was_in_flight(work: Path) -> None:
    environment = os.environ | {"WARRAQ_BATCH": "1", "WARRAQ_THREADS": "1"}
    command = [sys.executable, "-m", "warraq", *options(work)]
    part = work / "predictions.jsonl.part"
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: process.poll() is not None or (part.exists() and part.read_bytes().count(b"\n") >= 2))
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.read_text().splitlines()[: part.read_bytes().count(b"\n")]
    assert 2 <= len(kept) < 2 * PAGES

    result = predict(work)
    assert result.exit_code == 0, result.output
    final = [dump_row(row).rstrip("\n") for row in rows(work)]
    assert set(kept) < set(final)  # to the seconds: not asked again
    assert len(final) == 2 * PAGES
    assert f"{len(kept)} of {2 * PAGES} samples were answered before" in result.output


def test_validation_is_asked_too_and_rows_say_which_side_they_are_of(work: Path) -> None:
    samples = json.loads((work / "dataset/test.json").read_text())
    write_json(work / "dataset/val.json", samples[:1])
    write_json(work / "dataset/test.json", samples[1:2])
    assert predict(work).exit_code == 0
    assert [(row.page_id, row.task, row.split) for row in rows(work)] == [
        ("0123456789ab-p0001", "content", "val"), ("0123456789ab-p0001", "invoice", "test"),
    ]  # fmt: skip


@pytest.mark.parametrize("change", ["nothing", "model", "prompt", "image", "parameter"])
def test_journal_of_another_run_is_not_used(work: Path, change: str) -> None:
    model, test = work / "model", work / "dataset" / "test.json"
    shutil.copytree(NANO, model)
    samples = json.loads(test.read_text())[:1]
    write_json(test, samples)
    parameters = Predict(max_new_tokens=TOKENS)
    key = hash_inputs(model, read_items(work / "dataset", work / "pages", PAGE), parameters)
    begun = Prediction(
        page_id="0123456789ab-p0001", task="content", split="test", text="begun", finish_reason="stop", tokens=1,
        seconds=1,
    )  # fmt: skip
    (work / "predictions.jsonl.key.part").write_text(key)
    (work / "predictions.jsonl.part").write_text(dump_row(begun))
    if change == "model":
        (model / "generation_config.json").write_text((NANO / "generation_config.json").read_text() + "\n")
    elif change == "prompt":
        samples[0]["conversations"][0]["content"] += " Now."
        write_json(test, samples)
    elif change == "image":
        draw(work / "pages" / samples[0]["images"][0], 5)
    elif change == "parameter":
        (work / "params.yaml").write_text(params_yaml({"predict.max_new_tokens": 2}))
    assert predict(work, model).exit_code == 0
    assert (rows(work) == [begun]) == (change == "nothing")


def test_no_sample_and_no_model_stop_before_work(work: Path) -> None:
    result = predict(work, work / "nothing")
    assert (result.exit_code, "config.json is missing" in result.output) == (2, True)
    write_json(work / "dataset" / "test.json", [])
    result = predict(work)
    assert (result.exit_code, "has no samples" in result.output) == (2, True)
    assert not (work / "predictions.jsonl.part").exists()
