"""A document that calls itself secret is never sent: by whatever it is known, however its pages look, whoever asks."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from support.gemini_server import GeminiServer
from support.label_project import Project, content_answer, draw_page
from warraq.records import Label, Page, write_rows

MARKS = [
    "سرّي", "ســري للغايــة", "سري وعاجل", "وثيقة سرية", "محدود التداول", "خاص", "CONFIDENTIAL - INTERNAL USE ONLY",
    "Private & Confidential", "C O N F I D E N T I A L",
]  # fmt: skip
LETTER = "وزارة المالية\n{}\nإلى المدير العام\nنرجو منكم الاطلاع على ما ورد في كتابكم بشأن الميزانية"
METADATA: dict[str, Any] = {
    "classification": dict.fromkeys(("title", "subject", "urgency_marking")) | {"document_type": "letter"},
    "source": dict.fromkeys(("issuing_body", "department", "country", "reference_number", "author")),
    "dates": [], "registrations": [], "marginal_notes": [],
    "physical": {
        "languages": ["ar"], "script_direction": "rtl", "production": "scanned", "page_number": None, "is_blank": False,
    },
    "official_marks": [], "signatures": [], "attachments": [],
    "routing": {"sender": None, "recipient": None, "copies": [], "instructions": None},
    "quality": {"condition_notes": [], "confidence": "high", "needs_human_review": False},
}  # fmt: skip


def draw_again(project: Project, size: str) -> None:
    """All pages as render draws them at another size: other images of the same documents."""
    for index, page in enumerate(project.pages):
        image = draw_page(f"{page.page_id} {size}")
        (project.root / "pages" / page.image).write_bytes(image)
        digest = hashlib.sha256(image).hexdigest()
        project.pages[index] = page.model_copy(update={"image_sha256": digest})


def add_documents(project: Project, **text: str | None) -> list[Page]:
    """A document of two pages for each mark, which the first page carries."""
    pages = []
    for mark in MARKS:
        number = len(project.pages) + 1
        layer = LETTER.format(mark) if text else None
        pages.append(project.add_page(number, text=layer, document=f"{number:012x}"))
        project.add_page(number + 1, document=f"{number:012x}")
    return pages


def deny_by_layer(project: Project, gemini: GeminiServer) -> None:
    add_documents(project, text="")


def deny_by_review(project: Project, gemini: GeminiServer) -> None:
    for index, (page, mark) in enumerate(zip(add_documents(project), MARKS, strict=True)):
        if index % 2:
            project.add_review(page, content_answer(LETTER.format(mark)))
        else:
            marking = METADATA["classification"] | {"sensitivity_marking": mark}
            project.add_review(page, METADATA | {"classification": marking}, "metadata")


def deny_by_answer(project: Project, gemini: GeminiServer) -> None:
    """Of a teacher on this machine, which may see it; and of any, in a labels file that came without its ledger."""
    pages = add_documents(project)
    marks = dict(zip([page.image_sha256 for page in pages[1:]], MARKS[1:], strict=True))
    gemini.reply = lambda image: content_answer(LETTER.format(marks.get(image, "عادي")))
    assert project.label("local").exit_code == 0
    gemini.requests.clear()
    gemini.seen.clear()
    row = Label(
        page_id=pages[0].page_id, task="invoice", key="-", teacher="gemini", model="m", reference="silver",
        answer=content_answer(MARKS[0]), reason=None, message=None,
    )  # fmt: skip
    write_rows(project.root / "labels/invoice.jsonl", [row], key=lambda row: row.page_id)


@pytest.mark.parametrize("lane", ["standard", "batch"])
@pytest.mark.parametrize("deny", [deny_by_layer, deny_by_review, deny_by_answer])
def test_no_byte_of_a_marked_document_is_sent(
    project: Project, gemini: GeminiServer, monkeypatch: pytest.MonkeyPatch, deny: Any, lane: str
) -> None:
    monkeypatch.setenv("WARRAQ_LOCAL_URL", f"{gemini.url}/v1")
    monkeypatch.setenv("WARRAQ_POLL", "0")
    deny(project, gemini)
    control = project.add_page(len(project.pages) + 1, text="قطاع خاص، والسرير في السرية الأولى")
    project.declare_public(page.page for page in project.pages)
    gemini.reply = content_answer
    sent = set()

    for size in ("1600", "1400"):
        for task in ("content", "metadata", "invoice"):
            result = project.label("gemini", task=task, lane=lane)
            assert result.exit_code == 0, result.output
            reasons = {row.page_id: row.reason for row in project.rows(task)}
            assert reasons.pop(control.page_id) != "marked_confidential"
            assert set(reasons.values()) == {"marked_confidential"}
        sent.add(project.pages[-1].image_sha256)
        draw_again(project, size)

    assert gemini.seen == sent and all(set(request.images) <= sent for request in gemini.requests)


def denied(project: Project) -> dict[str, str]:
    with (project.root / "reviews/denied.csv").open(encoding="utf-8", newline="") as stream:
        return {row["id"]: row["why"] for row in csv.DictReader(stream)}


def test_a_denial_outlives_ledger_labels_and_images(project: Project, gemini: GeminiServer) -> None:
    """Each of them alone keeps it, and so does the file that people see."""
    for number in (1, 2):
        project.add_page(number, document="0" * 12)
    project.declare_public([1, 2])
    gemini.script = ["ok", "marked"]
    project.label("gemini")
    assert "سري للغاية" in denied(project)["0" * 12]
    assert {page.image_sha256 for page in project.pages} < denied(project).keys()
    gemini.requests.clear()

    for path in (*(project.root / "ledger").iterdir(), project.out):  # as on another machine
        path.unlink()
    draw_again(project, "1400")
    project.label("gemini", task="metadata")
    (project.root / "reviews/denied.csv").unlink()  # the ledger has learned it from the file
    project.label("gemini")

    assert not gemini.requests and "0" * 12 in denied(project)


def test_a_person_denies_by_a_line(project: Project, gemini: GeminiServer) -> None:
    project.add_cleared_pages(3)
    path = project.root / "reviews/denied.csv"
    path.parent.mkdir()
    path.write_text(f"id,why\n{project.pages[0].document},no\n{project.pages[1].image_sha256},no", encoding="utf-8")

    project.label("gemini")
    path.write_text("id,why\n0.pdf,no\n", encoding="utf-8")
    result = project.label("gemini", task="invoice")

    assert gemini.seen == {project.pages[2].image_sha256}
    assert result.exit_code == 2 and "denied.csv, line 2: '0.pdf' is neither a document" in result.output


def test_an_image_of_a_marked_page_denies_every_document_that_has_it(project: Project, gemini: GeminiServer) -> None:
    project.add_page(1, image=draw_page("the same"), text=LETTER.format("سري"))
    project.add_page(2, image=draw_page("the same"), document="2" * 12)
    project.add_page(3, document="2" * 12)
    project.declare_public([1, 2, 3])

    project.label("gemini")

    assert not gemini.requests and {row.reason for row in project.rows()} == {"marked_confidential"}


def test_the_dry_run_tells_and_writes_nothing(project: Project, gemini: GeminiServer) -> None:
    project.add_page(1, text=LETTER.format("سري"))
    project.add_page(2)
    project.declare_public([1, 2])

    result = project.label("gemini", options=["--dry-run"])

    assert "1 marked_confidential, 1 to buy" in result.output
    assert "1 of 2 documents may be sent" in result.output
    assert sorted(path.name for path in Path(project.root).iterdir()) == ["pages", "params.yaml", "raw"]


def test_clearance_tells_who_is_sendable_and_why(project: Project, gemini: GeminiServer) -> None:
    project.add_page(1, text=LETTER.format("سري"))
    for number in (2, 3, 4, 5):
        project.add_page(number, image=draw_page("shared") if number > 3 else None)
    project.write_manifest(
        "1.pdf,public,a", "2.pdf,public,a", "4.pdf,public,a", "5.pdf,internal,a", "raw/*.pdf,public,a"
    )

    result = project.label("gemini", options=["--clearance"])

    assert result.exit_code == 0, result.output
    for words in (
        "sendable      2.pdf\n", "1 of 5 documents may be sent",
        "1.pdf: 000000000001-p0001: سري (text layer)", "3.pdf: documents.csv does not name it",
        "4.pdf: a page is also one of a document that is not public", "5.pdf: documents.csv calls it 'internal'",
        "line 6: 'raw/*.pdf' is no file",
    ):  # fmt: skip
        assert words in result.output
    assert not gemini.requests


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ("file,sensitivity,file\n1.pdf,public,2.pdf\n", "line 1 has two columns 'file'; keep one"),
        ("file,sensitivity\n1.pdf,public,secret\n", "line 2 has 3 cells for 2 columns"),
        ("file;sensitivity\n1.pdf;public\n", "not divided by commas; save it as CSV with commas"),
        ("file\tsensitivity\n1.pdf\tpublic\n", "not divided by commas"),
        ("file,sensitivity\n1.pdf,public\n1.pdf,secret\n", "lines 2 and 3 differ about '1.pdf'; keep one"),
        ("file,sensitivity\n1.pdf,public\n\n1.pdf,\n", "lines 2 and 4 differ about '1.pdf'"),
        ("file,sensitivity\n1.pdf,public,a\n2.pdf,,\n1.pdf,\n", "has 3 errors:\n  line 2 has 3 cells"),
        ("file,sensitivity\nملف,public\n", "line 2: 'ملف' is a folder; name each of its files"),
        ("file,sensitivity\n./1.pdf,public\n", "line 2: './1.pdf' is no file; write it as it is spelled, '1.pdf'"),
        ("file,sensitivity\ndata/raw/1.pdf,public\n", "write it as it is spelled, '1.pdf'"),
        ("file,sensitivity\nملف\\2.pdf,public\n", "write it as it is spelled, 'ملف/2.pdf'"),
        ("file,sensitivity\n1.PDF,public\n", "write it as it is spelled, '1.pdf'"),
        ("file,sensitivity\n 1.pdf,public\n", "write it as it is spelled, '1.pdf'"),
        ("file,sensitivity\ncafé.pdf,public\n", "letters of a file in another Unicode form; copy the file's name"),
        ("file,sensitivity\n*.pdf,public\n", "line 2: '*.pdf' is a pattern, which is not understood; name each file"),
        ("file,sensitivity\n9.pdf,public\n1.pdf,public\n8.pdf,public\n", "line 2: '9.pdf' is no file there"),
        ("file,sensitivity\n,public\n", "line 2: '' is"),
        ('file,sensitivity\n"1.pdf,public\n', "cannot be read as CSV"),
    ],
)
def test_a_manifest_that_can_be_misunderstood_is_refused(
    project: Project, gemini: GeminiServer, manifest: str, complaint: str
) -> None:
    for number, file in enumerate(("1.pdf", "ملف/2.pdf", "cafe\u0301.pdf")):
        project.add_page(number)
        project.pages[number] = project.pages[number].model_copy(update={"files": (file,)})
    (project.root / "raw").mkdir()
    (project.root / "raw/documents.csv").write_text(manifest, encoding="utf-8")

    result = project.label("gemini")

    assert result.exit_code == 2 and complaint in result.output, result.output
    assert "documents.csv" in result.output and not gemini.requests


def test_a_file_that_is_not_rendered_yet_may_be_named(project: Project, gemini: GeminiServer) -> None:
    project.add_page(1)
    project.declare_public([1, 2])
    (project.root / "raw/2.pdf").write_bytes(b"-")

    assert project.label("gemini").exit_code == 0 and len(gemini.requests) == 1


def test_a_denial_is_lifted_by_a_line_and_not_by_the_lack_of_one(project: Project, gemini: GeminiServer) -> None:
    """By a line of its own; pages that a document which is still denied has too stay."""
    shared = draw_page("shared")
    project.add_page(1, document="1" * 12, text=LETTER.format("سري"))
    project.add_page(2, document="1" * 12, image=shared)
    project.add_page(3, document="3" * 12, image=shared)
    project.declare_public([1, 2, 3])
    path = project.root / "reviews/denied.csv"
    path.parent.mkdir()
    path.write_text(f"id,why\n{'3' * 12},by hand\n", encoding="utf-8")
    project.label("gemini")
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    kept = [row for row in rows if row[0] != "1" * 12]
    path.write_text("".join(",".join(row) + "\n" for row in kept), encoding="utf-8")
    project.label("gemini", task="metadata")
    assert not gemini.requests and "1" * 12 in denied(project)  # the ledger has put it back

    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}{'1' * 12},lifted by Mona: no secret\n", encoding="utf-8")
    project.label("gemini")
    assert gemini.seen == {project.pages[0].image_sha256}
    assert {row.page_id: row.reason for row in project.rows()} == dict(
        zip([page.page_id for page in project.pages], [None, "marked_confidential", "marked_confidential"], strict=True)
    )

    path.write_text(before, encoding="utf-8")
    gemini.requests.clear()
    project.label("gemini", task="invoice")
    assert not gemini.requests


def test_a_bad_row_of_a_review_ends_no_search_and_a_second_reading_hides_no_mark(
    project: Project, gemini: GeminiServer
) -> None:
    pages = [project.add_page(number, document=f"{number:012x}") for number in (1, 2)]
    project.declare_public([1, 2])
    project.add_review(pages[0], content_answer(LETTER.format("سري")))
    path = project.root / "reviews/content.jsonl"
    second = {"page_id": pages[0].page_id, "task": "content", "reviewer": "r2", "status": "second"}
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(second | {"answer": content_answer("nothing of it")}) + "\n{broken\n")
    result = project.label("gemini", task="metadata")
    assert result.exit_code == 0, result.output
    assert gemini.seen == {pages[1].image_sha256}
