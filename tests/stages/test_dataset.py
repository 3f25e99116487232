"""labels + reviews -> ShareGPT samples, through `warraq dataset`."""

import csv
import hashlib
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from support.params import params_yaml
from warraq import tasks
from warraq.cli.main import main
from warraq.datasets.splits import assign_splits, join_attached
from warraq.metrics import duplicates
from warraq.records import Label, Page, Review, write_rows
from warraq.tasks import content


def document(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:12]


def page(number: int) -> Page:
    name = document(number)
    return Page(
        page_id=f"{name}-p0001", document=name, page=1, files=(f"{number}.pdf",), image=f"{name}/0001.png",
        image_sha256="0" * 64, width_px=10, height_px=10, px_per_pt=1.0, text=None, repaired=False, recipe="r",
    )  # fmt: skip


def label(number: int, answer: dict[str, Any] | None = None, reason: str | None = None) -> Label:
    if answer is None and reason is None:
        answer = {"blocks": [{"kind": "heading", "text": f"فاتورة رقم {number}", "level": 1, "language": None}]}
    return Label(
        page_id=page(number).page_id, task="content", key="k", teacher="gemini", model="gemini", reference="silver",
        answer=answer, reason=reason, message=None,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty labelled one-page documents; no reviews."""
    write_rows(tmp_path / "pages/pages.jsonl", [page(n) for n in range(30)], key=lambda row: row.page_id)
    write_rows(tmp_path / "labels/content.jsonl", [label(n) for n in range(30)], key=lambda row: row.page_id)
    for n in range(30):
        show(tmp_path, n, Random(n))
    return tmp_path


def show(folder: Path, number: int, draw: Random) -> None:
    """A page image of drawn fields, which looks like no other."""
    image = Image.frombytes("L", (16, 16), draw.randbytes(256)).resize((160, 160))
    path = folder / "pages" / page(number).image
    path.parent.mkdir(exist_ok=True)
    image.save(path)


def words(number: int, count: int = 40) -> str:
    draw = Random(number)
    return " ".join("".join(draw.choices("abcdefgh", k=6)) for _ in range(count))


def said(number: int, text: str) -> Label:
    return label(number, {"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None}]})


def run(folder: Path, **changes: object) -> Result:
    text = params_yaml({"tasks": ["content"], **{f"dataset.{key}": value for key, value in changes.items()}})
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    paths = [f"--{name}={folder / name}" for name in ("pages", "labels", "reviews")]
    return CliRunner().invoke(
        main,
        [
            "--params",
            str(folder / "params.yaml"),
            "dataset",
            *paths,
            f"--splits={folder / 'splits.csv'}",
            f"--out={folder / 'out'}",
        ],
    )


def samples(folder: Path, side: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / f"out/{side}.json").read_text())
    return rows


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
    assert re.fullmatch(
        r'\{"blocks":\[\{"kind":"heading","text":"فاتورة رقم \d+","level":1,"language":null\}\]\}', assistant["content"]
    )
    assert "فاتورة" in (folder / "out/train.json").read_text(encoding="utf-8")


def test_a_review_beats_the_teacher_and_the_last_review_wins(folder: Path) -> None:
    answers = [
        {"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None}]} for text in ("first", "last")
    ]
    rows = [Review(page_id=page(3).page_id, task="content", answer=answer, reviewer="r") for answer in answers]
    write_rows(folder / "reviews/content.jsonl", rows, key=lambda row: 0)
    run(folder)
    everything = [one for side in ("train", "val", "test") for one in samples(folder, side)]
    reviewed = next(one for one in everything if one["page_id"] == page(3).page_id)
    assert "last" in reviewed["conversations"][1]["content"]
    assert reviewed["reference"] == "gold"


def test_pages_without_an_answer_are_counted_by_reason(folder: Path) -> None:
    bad = {"blocks": [{"kind": "poem", "text": "x", "level": None, "language": None}]}
    rows = [label(n) for n in range(3, 30)] + [label(0, None, "blocked"), label(1, bad)]
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    result = run(folder)
    assert result.exit_code == 0 and "left out 3 (blocked 1, no_label 1, schema_invalid 1)" in result.output
    audit = json.loads((folder / "out/audit.json").read_text())
    assert audit["left_out"]["content"] == {"blocked": 1, "no_label": 1, "schema_invalid": 1}


COMMANDS = (
    "<image>",
    "<end_of_turn>",
    "<|im_end|>",
    "{{image}}",
    "</s>",
    "<image_soft_token>",
    "<|vision_start|>",
    "<pad>",
)


def test_commands_in_a_document_are_escaped_and_read_back(folder: Path) -> None:
    text = "a \\" + " ".join(COMMANDS) + " <table><tr><td>1 < 2</td></tr></table>"
    write_rows(folder / "labels/content.jsonl", [said(n, text) for n in range(30)], key=lambda row: row.page_id)
    assert run(folder, validation_documents=["7.pdf"], test_documents=[]).exit_code == 2  # all pages say the same
    write_rows(
        folder / "labels/content.jsonl", [said(n, f"{words(n)} {text}") for n in range(30)], key=lambda row: row.page_id
    )
    assert run(folder).exit_code == 0
    target = samples(folder, "train")[0]["conversations"][1]["content"]
    assert not [command for command in COMMANDS if command in target]
    assert "<table><tr><td>1 < 2" in target
    answer, _ = content.TASK.parse(target)
    assert answer and answer["blocks"][0]["text"].endswith(text)


@given(st.lists(st.sampled_from([*COMMANDS, "<", "{", "\\", '"', "ا", " ", "|>", "s>"])).map("".join))
def test_what_is_escaped_is_read_back_and_holds_no_command(text: str) -> None:
    written = tasks.dumps({"text": text})
    assert json.loads(written) == {"text": text}
    assert not [command for command in COMMANDS if command in written]


def test_near_duplicates_go_to_one_side_and_the_closest_pair_is_told(folder: Path) -> None:
    rows = [said(n, words(n)) for n in range(20)]
    rows += [said(n, words(n - 20) + " copy") for n in range(20, 30)]  # ten are copies with a word more
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    assert run(folder).exit_code == 0
    sides = {one["document"]: side for side in ("train", "val", "test") for one in samples(folder, side)}
    assert [n for n in range(10) if sides[document(n)] != sides[document(n + 20)]] == []
    leaks = json.loads((folder / "out/audit.json").read_text())["leaks"]
    assert (leaks["clusters"], leaks["documents"]) == (10, 20)
    assert leaks["closest"] is None or leaks["closest"]["likeness"] < 0.2
    assert "10 groups of near-duplicates" in (folder / "out/README.md").read_text()


def test_hundreds_of_copies_of_one_form_are_one_group_on_one_side(folder: Path) -> None:
    copies = range(30, 290)
    rows = [said(n, words(n)) for n in range(30)] + [said(n, words(7) + f" number {n}") for n in copies]
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    write_rows(folder / "pages/pages.jsonl", [page(n) for n in range(290)], key=lambda row: row.page_id)
    for n in copies:
        show(folder, n, Random(n))
    assert run(folder).exit_code == 0
    leaks = json.loads((folder / "out/audit.json").read_text())["leaks"]
    assert (leaks["clusters"], leaks["documents"]) == (1, 261)
    sides = {one["document"]: side for side in ("train", "val", "test") for one in samples(folder, side)}
    assert len({sides[document(n)] for n in (7, *copies)}) == 1


def test_a_page_that_cannot_be_compared_stops_the_stage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "LARGEST_BUCKET", 5)
    monkeypatch.setattr(duplicates, "_bucket_keys", lambda page: [("text", 0, "stock phrase")])
    write_rows(folder / "labels/content.jsonl", [said(n, words(n)) for n in range(30)], key=lambda row: row.page_id)
    result = run(folder)
    assert result.exit_code == 2 and "cannot be told from near-duplicates" in result.output


def test_no_document_moves_when_others_are_labelled_or_added(folder: Path) -> None:
    rows = [said(n, words(n)) for n in range(15)]
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    assert run(folder).exit_code == 0
    with (folder / "splits.csv").open() as stream:
        before = {row["document"]: row["split"] for row in csv.DictReader(stream)}
    rows += [said(n, words(n - 15) + " copy") for n in range(15, 30)]  # near-duplicates, half of them with a lower name
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    assert run(folder, test_share=0.4).exit_code == 0
    with (folder / "splits.csv").open() as stream:
        after = {row["document"]: row["split"] for row in csv.DictReader(stream)}
    assert before.items() <= after.items()
    assert [n for n in range(15) if after[document(n)] != after[document(n + 15)]] == []


def test_a_row_of_the_sides_that_is_none_is_refused(folder: Path) -> None:
    (folder / "splits.csv").write_text(f"document,split\n{document(1)},both\n")
    result = run(folder)
    assert result.exit_code == 2 and "splits.csv" in result.output and not (folder / "out").exists()


def test_a_near_duplicate_that_is_named_for_another_side_is_refused(folder: Path) -> None:
    rows = [said(n, words(n)) for n in range(29)] + [said(29, words(7) + " copy")]
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    result = run(folder, test_documents=["7.pdf"], validation_documents=["29.pdf"])
    assert result.exit_code == 2
    assert "are nearly the same (likeness of their texts 0.974)" in result.output


def test_pages_that_look_the_same_are_one_where_their_texts_do_not_contradict(folder: Path) -> None:
    for number in (3, 4, 5):
        show(folder, number, Random(3))
    rows = [said(n, words(n)) for n in range(30)]
    rows[4] = said(4, " ".join(words(3).split()[:30]) + " " + words(4, 10))  # a poorer reading of the same scan
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    assert run(folder).exit_code == 0
    leaks = json.loads((folder / "out/audit.json").read_text())["leaks"]
    assert (leaks["clusters"], leaks["documents"]) == (1, 2)  # 5 is another filling of the same form


def test_samples_with_nothing_to_say_are_at_most_the_stated_share(folder: Path) -> None:
    rows = [said(n, words(n)) for n in range(15)] + [label(n, {"blocks": []}) for n in range(15, 30)]
    write_rows(folder / "labels/content.jsonl", rows, key=lambda row: row.page_id)
    assert run(folder, negative_share=0.1).exit_code == 0
    audit = json.loads((folder / "out/audit.json").read_text())
    assert 0 < audit["negatives"]["samples"] <= 0.1 * audit["negatives"]["of"]
    assert audit["left_out"]["content"]["negative_surplus"] > 5


def test_documents_named_by_hand_go_where_they_are_told(folder: Path) -> None:
    assert run(folder, test_documents=["7.pdf"], validation_documents=[document(8)]).exit_code == 0
    assert document(7) in {one["document"] for one in samples(folder, "test")}
    assert document(8) in {one["document"] for one in samples(folder, "val")}


def test_a_document_that_is_not_there_is_refused(folder: Path) -> None:
    result = run(folder, test_documents=["missing.pdf"])
    assert result.exit_code == 2
    assert "dataset.test_documents names 'missing.pdf'" in result.output


def test_a_review_without_a_usable_answer_leaves_its_page_out(folder: Path) -> None:
    rows = [
        Review(page_id=page(3).page_id, task="content", answer={"blocks": 5}, reviewer="r"),
        Review(page_id=page(4).page_id, task="content", reviewer="r", status="unreadable"),
    ]
    write_rows(folder / "reviews/content.jsonl", rows, key=lambda row: 0)
    assert run(folder).exit_code == 0
    pages = {one["page_id"] for side in ("train", "val", "test") for one in samples(folder, side)}
    assert pages.isdisjoint({page(3).page_id, page(4).page_id})
    left_out = json.loads((folder / "out/audit.json").read_text())["left_out"]["content"]
    assert left_out == {"review_invalid": 1, "unreadable": 1}


def test_equal_inputs_give_equal_bytes(folder: Path) -> None:
    run(folder)
    first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    run(folder)
    assert first == {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@given(st.sets(st.integers(0, 10**6), min_size=3, max_size=60), st.floats(0, 0.4), st.floats(0, 0.4))
def test_split_is_total_and_gives_a_wanted_side_its_document(numbers: set[int], test: float, val: float) -> None:
    leaders = {document(n): document(n) for n in numbers}
    splits = assign_splits(leaders, set(), set(), {}, test_share=test, validation_share=val)
    assert splits.keys() == leaders.keys()
    assert set(splits.values()) == {"train"} | ({"test"} if test else set()) | ({"val"} if val else set())


def test_split_of_old_documents_stays_when_new_ones_come() -> None:
    few, many = (
        assign_splits(
            {document(n): document(n) for n in range(count)}, set(), set(), {}, test_share=0.2, validation_share=0.2
        )
        for count in (40, 90)
    )
    assert few.items() <= many.items()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 14)), max_size=20))
def test_what_is_attached_goes_with_what_carries_it(pairs: list[tuple[int, int]]) -> None:
    leaders = {str(number): str(number // 2 * 2) for number in range(10)}
    containers: dict[str, list[str]] = {}
    for document, container in pairs:  # some of which have no label
        containers.setdefault(str(document), []).append(str(container))
    joined = join_attached(leaders, containers)
    assert joined.keys() == leaders.keys() and all(joined[leader] == leader for leader in joined.values())
    groups: dict[str, set[str]] = {}
    for name in leaders:
        for key in (leaders[name], *containers.get(name, ())):
            groups.setdefault(leaders.get(key, key), set()).add(joined[name])
    assert all(len(group) == 1 for group in groups.values())
    assert containers or joined == leaders
