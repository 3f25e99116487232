"""labels + reviews -> ShareGPT samples, through `warraq dataset`."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from warraq.cli import main
from warraq.records import Label, Page, Review, write_rows
from warraq.stages.dataset import Dataset, split

PARAMS = Path(__file__).parents[2] / "params.yaml"
CONTENT = {"blocks": [{"kind": "heading", "text": "فاتورة رقم ١٢", "level": 1}]}


def document(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:12]


def page(number: int) -> Page:
    name = document(number)
    return Page(
        page_id=f"{name}-p0001", document=name, page=1, files=(f"{number}.pdf",), image=f"{name}/0001.png",
        image_sha256="0" * 64, width_px=10, height_px=10, px_per_pt=1.0, text=None, repaired=False, recipe="r",
    )  # fmt: skip


def label(number: int, answer: dict | None = CONTENT, reason: str | None = None) -> Label:
    return Label(
        page_id=page(number).page_id, task="content", key="k", teacher="gemini", model="gemini", reference="silver",
        answer=answer, reason=reason, message=None,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty labelled one-page documents; no reviews."""
    write_rows(tmp_path / "pages/pages.jsonl", [page(n) for n in range(30)], key=lambda row: row.page_id)
    write_rows(tmp_path / "labels/content.jsonl", [label(n) for n in range(30)], key=lambda row: row.page_id)
    return tmp_path


def run(folder: Path, **changes: str) -> Result:
    text = PARAMS.read_text().replace("tasks: [content, metadata, invoice]", "tasks: [content]")
    for key, value in changes.items():
        old = next(line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
        text = text.replace(old, f"  {key}: {value}", 1)
    (folder / "params.yaml").write_text(text)
    paths = [f"--{name}={folder / name}" for name in ("pages", "labels", "reviews")]
    return CliRunner().invoke(
        main, ["--params", str(folder / "params.yaml"), "dataset", *paths, f"--out={folder / 'out'}"]
    )


def samples(folder: Path, side: str) -> list[dict]:
    return json.loads((folder / f"out/{side}.json").read_text())


def test_every_sample_is_on_one_side_and_says_its_page_and_task(folder: Path) -> None:
    assert run(folder).exit_code == 0
    sides = {side: {one["document"] for one in samples(folder, side)} for side in ("train", "val", "test")}
    assert sum(len(side) for side in sides.values()) == len(set.union(*sides.values())) == 30
    assert all(
        one["page_id"].startswith(one["document"]) and one["task"] == "content" for one in samples(folder, "train")
    )


def test_target_is_compact_unescaped_json_after_an_image_prompt(folder: Path) -> None:
    run(folder)
    user, assistant = samples(folder, "train")[0]["conversations"]
    assert user["content"].startswith("<image>You are a professional OCR details extractor")
    assert assistant["content"] == '{"blocks":[{"kind":"heading","text":"فاتورة رقم ١٢","level":1}]}'
    assert "فاتورة" in (folder / "out/train.json").read_text(encoding="utf-8")


def test_a_review_beats_the_teacher_and_the_last_review_wins(folder: Path) -> None:
    answers = [{"blocks": [{"kind": "paragraph", "text": text, "level": None}]} for text in ("first", "last")]
    rows = [Review(page_id=page(3).page_id, task="content", answer=answer, reviewer="r") for answer in answers]
    write_rows(folder / "reviews/content.jsonl", rows, key=lambda row: 0)
    run(folder)
    everything = [one for side in ("train", "val", "test") for one in samples(folder, side)]
    reviewed = next(one for one in everything if one["page_id"] == page(3).page_id)
    assert "last" in reviewed["conversations"][1]["content"]
    assert reviewed["reference"] == "gold"


def test_pages_without_an_answer_are_counted_by_reason(folder: Path) -> None:
    bad = {"blocks": [{"kind": "poem", "text": "x", "level": None}]}
    trap = {"blocks": [{"kind": "other", "text": "see <image> here", "level": None}]}
    rows = [label(n) for n in range(4, 30)] + [label(0, None, "blocked"), label(1, bad), label(2, trap)]
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    assert run(folder).exit_code == 0
    audit = json.loads((folder / "out/audit.json").read_text())
    assert audit["left_out"]["content"] == {"blocked": 1, "control_text": 1, "no_label": 1, "schema_invalid": 1}


def test_documents_named_by_hand_go_where_they_are_told(folder: Path) -> None:
    assert run(folder, test_documents="[7.pdf]", validation_documents=f"[{document(8)}]").exit_code == 0
    assert document(7) in {one["document"] for one in samples(folder, "test")}
    assert document(8) in {one["document"] for one in samples(folder, "val")}


def test_a_document_that_is_not_there_is_refused(folder: Path) -> None:
    result = run(folder, test_documents="[missing.pdf]")
    assert result.exit_code == 2
    assert "dataset.test_documents names 'missing.pdf'" in result.output


def test_a_review_that_breaks_the_schema_is_refused_by_page(folder: Path) -> None:
    rows = [Review(page_id=page(3).page_id, task="content", answer={"blocks": 5}, reviewer="r")]
    write_rows(folder / "reviews/content.jsonl", rows, key=lambda row: 0)
    result = run(folder)
    assert result.exit_code == 2
    assert page(3).page_id in result.output


def test_equal_inputs_give_equal_bytes(folder: Path) -> None:
    run(folder)
    first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    run(folder)
    assert first == {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@given(st.sets(st.integers(0, 10**6), min_size=3, max_size=60), st.floats(0, 0.4), st.floats(0, 0.4))
def test_split_is_total_and_gives_a_wanted_side_its_document(numbers: set[int], test: float, val: float) -> None:
    parameters = Dataset(validation_share=val, test_share=test, validation_documents=[], test_documents=[])
    sides = split({document(n) for n in numbers}, set(), set(), parameters)
    assert sides.keys() == {document(n) for n in numbers}
    assert set(sides.values()) == {"train"} | ({"test"} if test else set()) | ({"val"} if val else set())


def test_split_of_old_documents_stays_when_new_ones_come() -> None:
    parameters = Dataset(validation_share=0.2, test_share=0.2, validation_documents=[], test_documents=[])
    few = split({document(n) for n in range(40)}, set(), set(), parameters)
    many = split({document(n) for n in range(90)}, set(), set(), parameters)
    assert few.items() <= many.items()
