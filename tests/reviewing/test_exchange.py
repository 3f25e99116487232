"""Reviews out and in again, folders of texts as gold, and how well people agree."""

import json
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from support import PARAMS
from support.label_project import content_answer
from support.review_project import ReviewProject
from warraq.cli.main import main
from warraq.editor import log
from warraq.records import Review, dump_row
from warraq.reviewing import exchange
from warraq.reviewing.project import ReviewFolders
from warraq.reviewing.project import ReviewProject as LoadedProject
from warraq.reviews import read_review_rows


def run(project: ReviewProject, *options: str, data: Path | None = None) -> Result:
    folders = ["--data", str(data or project.root), "--reports", str(project.root / "reports"), "--reviewer", "r1"]
    result = CliRunner().invoke(main, ["--params", str(PARAMS), "review", *folders, *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def add(project: ReviewProject, number: int, **values: object) -> None:
    row = {"page_id": project.pages[number].page_id, "task": "content", "reviewer": "r1"} | values
    project.add_row(Review.model_validate(row))


@pytest.mark.parametrize("form", ["jsonl", "csv", "label-studio"])
def test_what_goes_out_comes_in_with_the_same_bytes(project: ReviewProject, tmp_path: Path, form: str) -> None:
    for number in range(3):
        project.add_page(number)
    project.write_pages()
    add(project, 0, answer=content_answer('=1+1, "quoted"\nسطر <b>'), seen="label 12", at="2026-11-27T10:00:00+00:00")
    add(project, 1, status="unreadable", reason="بقعة", seconds=3.5)
    add(project, 0, answer=content_answer("second"), status="second", reviewer="r2")
    add(project, 0, answer=content_answer("later"), at="2026-11-28T10:00:00+00:00")
    before = run(project, "--export", form).stdout_bytes
    (tmp_path / "file").write_bytes(before)
    other = tmp_path / "other"
    (other / "pages").mkdir(parents=True)
    (other / "pages/pages.jsonl").write_bytes((project.root / "pages/pages.jsonl").read_bytes())
    assert "4 added" in run(project, "--import", str(tmp_path / "file"), data=other).output
    assert run(project, "--export", form, data=other).stdout_bytes == before
    assert "4 there already" in run(project, "--import", str(tmp_path / "file"), data=other).output


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXT, TEXT, st.sampled_from(["jsonl", "csv", "label-studio"]))
def test_every_text_goes_out_and_in(text: str, reason: str, form: str) -> None:
    rows = [
        Review(page_id="p", task="content", answer=content_answer(text), reviewer=reason),
        Review(page_id="p", task="content", status="skipped", reason=reason, reviewer="r"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(exchange.write_reviews(rows, {}, form).encode())  # type: ignore[arg-type]
        assert list(exchange.read_file(path)) == rows


def test_a_folder_named_like_the_pages_is_gold(project: ReviewProject, tmp_path: Path) -> None:
    for number in range(4):
        project.add_page(number)
    project.write_pages()
    add(project, 3, answer=content_answer("by hand"))
    folder = tmp_path / "have"
    (folder / "deep").mkdir(parents=True)
    (folder / "0.txt").write_text("first\nline\n\nsecond", encoding="utf-8-sig")
    (folder / "deep" / f"{project.pages[1].page_id}.json").write_text(json.dumps(content_answer("x")))
    (folder / "2-2.json").write_text('{"blocks": 5}')
    (folder / "3.txt").write_text("not taken")
    (folder / "stranger.txt").write_text("x")
    told = run(project, "--import", str(folder)).output
    for line in ("2 added", "1 named like no page", "1 the answer to no task", "1 of a page that has a review"):
        assert line in told, told
    texts = [[block["text"] for block in (row.answer or {})["blocks"]] for row in project.reviews()]
    assert texts == [["by hand"], ["first\nline", "second"], ["x"]]
    assert "gold pages: content 3" in told and "next: make review" in told


def test_teacher_and_people_are_compared(project: ReviewProject) -> None:
    for number in range(4):
        project.add_label(project.add_page(number).page_id, answer=content_answer("abcde fghi"))
    project.write_pages()
    for number in range(3):
        add(project, number, answer=content_answer("abcdX fghi" if number == 0 else "abcde fghi"))
        add(project, number, answer=content_answer("abcde fghi"), status="second", reviewer="r2")
    told = run(project, "--progress").output
    assert "teacher against people, content: CER 0.033 [" in told and "3 pages of 3 documents" in told
    assert "two people, content: CER 0.033 [" in told


def test_a_file_that_is_no_review_is_one_sentence(project: ReviewProject, tmp_path: Path) -> None:
    project.add_page(1)
    project.write_pages()
    (tmp_path / "bad").write_text("no reviews")
    result = run(project, "--import", str(tmp_path / "bad"))
    assert result.exit_code == 2 and "bad holds what is no review" in result.output


def test_a_file_of_many_reviews_reads_what_is_there_once(
    project: ReviewProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [project.add_page(number) for number in range(30)]
    project.write_pages()
    rows = [Review(page_id=page.page_id, task="content", answer=content_answer("x"), reviewer="r") for page in pages]
    (tmp_path / "reviews.jsonl").write_text("".join(map(dump_row, rows)), encoding="utf-8")
    readings: list[Path] = []

    def read(path: Path, task: str) -> list[Review]:
        readings.append(path)
        return read_review_rows(path, task)

    monkeypatch.setattr(log, "read_review_rows", read)
    loaded = LoadedProject(ReviewFolders(project.root, project.root / "reports"), ["content"])
    assert exchange.import_reviews(loaded, tmp_path / "reviews.jsonl", "r") == {"added": 30}
    assert len(readings) <= 1 and project.reviews() == rows
