"""`warraq status`: where a project stands and what comes next, from its files alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.params import params_yaml
from warraq.cli.main import main
from warraq.files import write_json
from warraq.records import Label, Page, Rejected, Review, Row, write_rows

Status = Callable[[], dict[str, str]]
TASKS = ("content", "invoice")


@pytest.fixture
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Status:
    """The lines of the command, by their heading, in an empty folder with params.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(params_yaml({"tasks": list(TASKS)}), encoding="utf-8")

    def run() -> dict[str, str]:
        result = CliRunner().invoke(main, ["status"])
        assert result.exit_code == 0, result.output
        return {line.split()[0]: line.split(maxsplit=1)[1] for line in result.output.splitlines()}

    return run


def write(path: str, *rows: Row) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_rows(Path(path), rows, key=str)


def make_page(number: int, damage: str | None = None) -> Page:
    document = f"{number:012x}"
    return Page(
        page_id=f"{document}-p0001", document=document, page=1, files=(f"{number}.pdf",), image=f"{document}/0001.png",
        image_sha256="0" * 64, width_px=8, height_px=8, px_per_pt=None, text=None, repaired=False, recipe="",
        damage=damage,
    )  # fmt: skip


def make_label(number: int, task: str, answer: dict[str, object] | None) -> Label:
    return Label(
        page_id=f"{number:012x}-p0001", task=task, key="", teacher="textlayer", model=None, reference="textlayer",
        answer=answer, reason=None if answer else "no_text", message=None,
    )  # fmt: skip


def put_files(count: int) -> None:
    Path("data/raw").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Path(f"data/raw/{number}.pdf").write_bytes(b"%PDF")


def test_an_empty_checkout_is_told_to_bring_files(status: Status) -> None:
    said = status()
    assert said["files"] == "none in data/raw" and said["next"].startswith("cp -r YOUR_FILES data/raw")


def test_hidden_files_and_documents_csv_are_no_documents(status: Status) -> None:
    put_files(2)
    Path("data/raw/documents.csv").write_text("file,sensitivity\n", encoding="utf-8")
    Path("data/raw/.DS_Store").write_bytes(b"")
    assert status()["files"] == "2 in data/raw"


def test_pages_are_told_with_what_was_refused_and_why(status: Status) -> None:
    put_files(3)
    write("data/pages/pages.jsonl", make_page(1), make_page(2, damage="a stream ends early"))
    write("data/pages/rejected.jsonl", Rejected(file="3.pdf", document=None, page=None, reason="encrypted", message=""))
    assert status()["pages"] == "2 of 2 documents, 1 of them damaged; 1 refused (encrypted 1)"


def test_with_files_alone_the_next_command_needs_no_activated_environment(status: Status) -> None:
    put_files(1)
    assert status()["next"].startswith("make review (page images")


def test_each_task_says_who_labelled_what_waits_and_what_has_no_answer(status: Status) -> None:
    put_files(4)
    write("data/pages/pages.jsonl", *map(make_page, range(4)))
    write("data/labels/content.jsonl", make_label(0, "content", {"blocks": []}), make_label(1, "content", None))
    write("data/reviews/content.jsonl", Review(page_id=f"{2:012x}-p0001", task="content", answer={}, reviewer="Huda"))
    said = status()
    assert said["content"] == "2 of 4 pages labelled (human 1, textlayer 1); 1 waiting; 1 without an answer (no_text 1)"
    assert said["invoice"] == "0 of 4 pages labelled; 4 waiting"


def test_a_handful_of_documents_sends_to_the_review(status: Status) -> None:
    put_files(4)
    write("data/pages/pages.jsonl", *map(make_page, range(4)))
    write("data/labels/content.jsonl", *(make_label(number, "content", {"blocks": []}) for number in range(4)))
    assert status()["next"] == "make review (4 labelled documents are too few to learn from and to measure by)"


def test_enough_labels_send_to_training_and_a_finished_model_to_reading(status: Status) -> None:
    put_files(9)
    write("data/pages/pages.jsonl", *map(make_page, range(9)))
    write("data/labels/content.jsonl", *(make_label(number, "content", {"blocks": []}) for number in range(9)))
    assert status()["next"] == "make repro"
    write_json(Path("data/dataset/audit.json"), {"splits": {"train": {"documents": 7}, "test": {"documents": 2}}})
    Path("models/nano/merged").mkdir(parents=True)
    said = status()
    assert said["dataset"] == "train 7 documents, test 2 documents"
    assert said["nano"] == "merged" and said["next"] == "make read FILES=YOUR_FILES"


def test_an_unknown_student_is_refused(status: Status) -> None:
    result = CliRunner().invoke(main, ["status", "pico"])
    assert result.exit_code == 2 and "has no student 'pico'" in result.output
