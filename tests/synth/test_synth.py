"""Synthetic documents: real PDF files whose answers hold exactly what is printed, and never in a user's way."""

import hashlib
import os
import pty
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pymupdf
import pytest
from click.testing import CliRunner, Result

from warraq import tasks
from warraq.cli.main import main
from warraq.metrics.fields import flatten, strip_indices
from warraq.records import Review, read_rows, write_rows
from warraq.synth import drawing
from warraq.synth.documents import Document, make_document
from warraq.synth.phrases import load_phrases
from warraq.synth.words import load_words

DEMO, TRAIN = load_words("demo"), load_words("train")
UNPRINTED = {  # what describes the page without standing on it
    "document_type", "calendar", "languages", "script_direction", "production", "is_blank", "kind", "condition_notes",
    "confidence", "needs_human_review", "level", "language", "direction",
}  # fmt: skip


def synth(out: Path, documents: int, seed: int = 7) -> Result:
    return CliRunner().invoke(main, ["synth", str(out), "--documents", str(documents), "--seed", str(seed)])


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def answers(out: Path) -> dict[str, dict[str, Any]]:
    """page_id -> task -> answer."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((out / "reviews").iterdir()):
        for row in read_rows(path, Review):
            assert row.task == path.stem
            found.setdefault(row.page_id, {})[row.task] = row.answer
    return found


def printed(value: Any) -> Iterator[str]:
    """Each text of an answer that must stand on the page; a table cell by cell."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in UNPRINTED:
                yield from printed(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from printed(inner)
    elif value is not None:
        yield from (text for text in re.split(r"<[^>]+>", value) if text)


def documents(count: int, vocabulary: Any = DEMO) -> Iterator[Document]:
    return (make_document(Random(f"test:{number}"), vocabulary) for number in range(count))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth")
    assert synth(out, 24).exit_code == 0
    return out


def test_a_terminal_that_can_do_nothing_is_sent_no_control_characters(tmp_path: Path) -> None:
    shown, terminal = pty.openpty()
    command = [sys.executable, "-m", "warraq", "synth", str(tmp_path / "data"), "--documents", "1"]
    subprocess.run(command, stderr=terminal, env={**os.environ, "TERM": "dumb"}, check=True)
    assert b"\x1b" not in os.read(shown, 4096)


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("warraq"))
    # A file that may not grow stands for a disk that is full.
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", program, "synth", str(tmp_path / "data"), "--documents", "1"]
    full = subprocess.run(limited, capture_output=True, text=True)
    assert full.returncode == 1 and full.stderr.count("\n") == 1, full.stderr
    assert "File too large; allow larger files (ulimit -f) and run again." in full.stderr


def test_equal_arguments_give_equal_bytes(corpus: Path, tmp_path: Path) -> None:
    synth(tmp_path, 24)
    assert contents(tmp_path) == contents(corpus)


def test_a_document_does_not_depend_on_how_many_there_are(corpus: Path, tmp_path: Path) -> None:
    synth(tmp_path, 3)
    few, many = contents(tmp_path / "raw"), contents(corpus / "raw")
    assert few == {name: many[name] for name in few} and len(few) == 3


def test_another_seed_gives_other_documents(corpus: Path, tmp_path: Path) -> None:
    synth(tmp_path, 2, seed=8)
    assert not set(contents(tmp_path / "raw").values()) & set(contents(corpus / "raw").values())


def test_every_page_has_valid_sorted_answers(corpus: Path) -> None:
    expected = []
    for path in sorted((corpus / "raw").iterdir()):
        name = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        with pymupdf.open(path) as document:
            expected += [f"{name}-p{number:04d}" for number in range(1, len(document) + 1)]
    for task in ("content", "metadata", "invoice"):
        rows = read_rows(corpus / "reviews" / f"{task}.jsonl", Review)
        ids = [row.page_id for row in rows]
        assert ids == sorted(set(ids)) and {row.reviewer for row in rows} == {"synth"}
        assert set(ids) == set(expected) if task != "invoice" else set(ids) < set(expected)
        for row in rows:
            assert tasks.load(task).answer.model_validate(row.answer).model_dump(mode="json") == row.answer


def test_only_bills_have_an_invoice_answer(corpus: Path) -> None:
    for page in answers(corpus).values():
        assert ("invoice" in page) == (page["metadata"]["classification"]["document_type"] in ("invoice", "receipt"))


def test_the_text_layer_holds_every_english_answer(corpus: Path) -> None:
    gold, checked = answers(corpus), 0
    for path in (corpus / "raw").iterdir():
        name = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        with pymupdf.open(path) as document:
            for number, page in enumerate(document, start=1):
                answer = gold[f"{name}-p{number:04d}"]
                physical = answer["metadata"]["physical"]
                if physical["production"] == "born_digital" and physical["languages"] == ["en"]:
                    layer = " ".join(
                        unicodedata.normalize("NFKC", page.get_text()).split()
                    )  # the serif face has an ffi
                    assert [text for text in printed(answer) if text not in layer] == []
                    checked += 1
    assert checked > 3


@pytest.mark.parametrize("vocabulary", [TRAIN, DEMO])
def test_every_answer_stands_in_the_html_of_its_own_page(vocabulary: Any) -> None:
    for document in documents(200, vocabulary):
        for page in document.pages:
            boxes = [*(text.html for text in page.texts), *(page.stamp.lines if page.stamp else ())]
            html = " ".join(re.sub(r"</?(p|b|h1|br|div)\b[^>]*>", " ", box) for box in boxes)
            shown = " ".join(re.sub(r"<[^>]+>", " ", html).split())
            assert [text for text in printed(page.answers) if text not in shown] == []


def test_answers_are_in_logical_order_without_invisible_characters() -> None:
    invisible = re.compile("[\u0640\u200b-\u200f\u061c\u202a-\u202e\u2066-\u2069\ufb50-\ufdff\ufe70-\ufeff]")
    for document in documents(200):
        for page in document.pages:
            assert not invisible.search("".join(printed(page.answers)))


def test_scanned_pages_are_one_image_without_text(corpus: Path) -> None:
    gold, seen = answers(corpus), set()
    for path in (corpus / "raw").iterdir():
        name = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        with pymupdf.open(path) as document:
            for number, page in enumerate(document, start=1):
                production = gold[f"{name}-p{number:04d}"]["metadata"]["physical"]["production"]
                assert (production == "scanned") == (page.get_text() == "") == (len(page.get_images()) == 1)
                seen.add(production)
    assert seen == {"scanned", "born_digital"}


def test_condition_notes_say_what_was_done_to_the_page() -> None:
    seen = set()
    for document in documents(60):
        for page in document.pages:
            notes = page.answers["metadata"]["quality"]["condition_notes"]
            if page.scan is None:
                assert notes == []
                continue
            pixels = drawing.draw_pixels(page)
            grain = np.median(np.abs(np.diff(pixels.astype(float))))  # most neighbours are bare paper
            assert ("noise" in notes) == (grain > 5)
            assert ("faded" in notes) == (np.percentile(pixels, 0.3) > 75)
            assert ("skew" in notes) == (abs(page.scan.skew_deg) > 0.5)
            seen.update(notes)
    assert seen == {"noise", "faded", "skew"}


def test_everything_fits_on_small_nearly_square_pages() -> None:
    kinds = set()
    for vocabulary in (TRAIN, DEMO):
        for document in documents(60, vocabulary):
            drawing.draw_pdf(document.pages)  # raises where a text would be shrunk or cut
            kinds.add((document.kind, document.language, document.scanned, len(document.pages) > 1))
            for page in document.pages:
                assert 0.62 <= page.width_pt / page.height_pt <= 1
                assert len(page.answers["content"]["blocks"]) <= 12
    assert len(kinds) > 12


def test_every_field_is_printed_in_some_document() -> None:
    filled = set()
    for document in documents(500):
        for page in document.pages:
            for task, answer in page.answers.items():
                filled |= {
                    f"{task}.{strip_indices(path)}" for path, value in flatten(answer).items() if value is not None
                }
                filled |= {f"dates.{one['kind']}" for one in page.answers["metadata"]["dates"]}
                filled |= {f"blocks.{one['kind']}" for one in page.answers["content"]["blocks"]}
                filled |= {one["direction"] for one in page.answers["metadata"]["registrations"]}
            filled.add(page.answers["metadata"]["classification"]["document_type"])
    templates = {name: tasks.fill_template(tasks.load(name).answer) for name in ("content", "metadata", "invoice")}
    known = {f"{name}.{strip_indices(path)}" for name, template in templates.items() for path in flatten(template)}
    assert known - filled == {"metadata.source.country", "metadata.source.author"} | {
        f"invoice.recipient.{name}" for name in ("address", "tax_id")
    }
    assert {"dates.issued", "dates.due", "dates.received", "dates.effective", "dates.expiry"} <= filled
    assert {"blocks.checkbox_checked", "blocks.checkbox_empty", "blocks.form_field", "incoming", "outgoing"} <= filled
    assert {"memo", "decision", "circular", "minutes", "judgment", "power_of_attorney"} <= filled


def test_no_held_out_value_occurs_in_the_vocabulary_of_pretraining() -> None:
    for language in ("ar", "en"):
        train = {kind: list(entries) for kind, entries in vars(TRAIN[language]).items()}
        demo = {kind: list(entries) for kind, entries in vars(DEMO[language]).items()}
        known = [word.lower() for entries in train.values() for word in entries]
        held_out = [word.lower() for entries in demo.values() for word in entries]
        assert len(set(known)) == len(known) and len(set(held_out)) == len(held_out)
        assert [word for word in held_out if any(word in other for other in known)] == []
        assert len(train["given"] + train["family"]) >= 150 and len(demo["given"] + demo["family"]) >= 50
        forms = " ".join(re.findall(r"[^\W\d_]+", repr(load_phrases(language)))).lower().split()
        assert not set(held_out) & set(forms)


def test_a_folder_with_other_documents_is_refused_untouched(tmp_path: Path) -> None:
    synth(tmp_path, 2)
    (tmp_path / "raw" / "contract.pdf").write_bytes(b"%PDF-1.7")
    before = contents(tmp_path)
    result = synth(tmp_path, 1, seed=9)
    assert result.exit_code == 2 and "contract.pdf" in result.output and "another folder" in result.output
    assert contents(tmp_path) == before


def test_a_persons_reviews_are_refused_untouched(tmp_path: Path) -> None:
    synth(tmp_path, 2)
    path = tmp_path / "reviews" / "content.jsonl"
    rows = read_rows(path, Review)
    write_rows(path, [*rows, rows[0].model_copy(update={"reviewer": "layla"})], key=lambda row: row.page_id)
    before = contents(tmp_path)
    result = synth(tmp_path, 1, seed=9)
    assert result.exit_code == 2 and "layla" in result.output and "content.jsonl" in result.output
    assert contents(tmp_path) == before


def test_other_arguments_replace_all_that_was_written_before(tmp_path: Path) -> None:
    fresh, used = tmp_path / "fresh", tmp_path / "used"
    synth(used, 4)
    (used / "raw" / "synth-0005.pdf.part").write_bytes(b"left by a kill")
    synth(used, 2, seed=9)
    synth(fresh, 2, seed=9)
    assert contents(used) == contents(fresh)


def test_the_last_line_says_what_was_written_and_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="warraq"):
        synth(tmp_path, 3)
    assert re.search(r"3 documents, \d+ pages, \d Arabic, \d English, \d+ % scanned", caplog.records[-1].getMessage())
    assert str(tmp_path) in caplog.records[-1].getMessage()
