"""predictions -> metrics.json, plots, report.html, model_card.md, through `warraq evaluate`."""

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from warraq import tasks
from warraq.cli import main
from warraq.records import Page, Planted, Prediction, Sample, Turn, line, read_rows, write_json, write_rows
from warraq.teachers.ledger import Ledger

PARAMS = Path(__file__).parents[2] / "params.yaml"
VARIANTS = ("base", "merged", "onnx")
DOCUMENTS = 8
ATTACK = '<script>alert("1")</script><img src=x onerror=alert(2)>'


def gold(number: int, task: str) -> dict[str, Any]:
    if task == "content":
        text = ATTACK if number == 0 else f"إلى السيد المدير رقم {number}"
        return {"blocks": [{"kind": "paragraph", "text": text, "level": None}]}
    party = {"name": "شركة النور", "address": None, "tax_id": None}
    item = {"description": "ورق", "quantity": str(number), "unit_price": None, "total": "9.50"}
    return {
        "invoice_number": f"٢٠٢٤/{number}", "date": None, "due_date": None, "sender": party,
        "recipient": party | {"name": None}, "items": [item], "currency": "SAR", "subtotal": None, "tax": None,
        "total": "9.50",
    }  # fmt: skip


def page_id(number: int) -> str:
    return f"{number:012x}-p0001"


def sample(number: int, task: str, reference: str = "gold") -> Sample:
    turns = Turn(role="user", content="<image>?"), Turn(role="assistant", content=tasks.dumps(gold(number, task)))
    return Sample(
        page_id=page_id(number), document=f"{number:012x}", task=task, reference=reference,
        images=(f"{number:012x}/0001.png",), conversations=turns,
    )  # fmt: skip


def answer(number: int, task: str, text: str | None = None, **changes: Any) -> Prediction:
    raw = tasks.dumps(gold(number, task)) if text is None else text
    row = Prediction(page_id=page_id(number), task=task, text=raw, finish_reason="stop", tokens=9, seconds=0.5)
    return row.model_copy(update=changes)


def write(path: Path, rows: list[Prediction]) -> None:
    write_rows(path, rows, key=lambda row: (row.page_id, row.task))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight one-page documents with content and invoice; base writes nonsense, merged and onnx are perfect."""
    asked = [(number, task) for number in range(DOCUMENTS) for task in ("content", "invoice")]
    for number in range(DOCUMENTS):
        path = tmp_path / f"pages/{number:012x}/0001.png"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (60, 80), (255, 255, 10 * number)).save(path)
    pages = [
        Page(
            page_id=page_id(n), document=f"{n:012x}", page=1, files=(f"خطاب <b>{n}</b>.pdf",), text=None, recipe="r",
            image=f"{n:012x}/0001.png", image_sha256="0", width_px=60, height_px=80, px_per_pt=1.0, repaired=False,
        )
        for n in range(DOCUMENTS)
    ]  # fmt: skip
    write_json(tmp_path / "proof.json", {"base": "nano", "revision": "0" * 64, "tuning": "full"})
    write_rows(tmp_path / "pages/pages.jsonl", pages, key=lambda page: page.page_id)
    dataset(tmp_path, [sample(*one) for one in asked])
    write(tmp_path / "predictions/base/predictions.jsonl", [answer(*one, text="the the") for one in asked])
    for variant in ("merged", "onnx"):
        write(tmp_path / f"predictions/{variant}/predictions.jsonl", [answer(*one) for one in asked])
    return tmp_path


def dataset(folder: Path, samples: list[Sample]) -> None:
    (folder / "dataset").mkdir(exist_ok=True)
    (folder / "dataset/test.json").write_text(json.dumps([json.loads(line(one)) for one in samples]), encoding="utf-8")


def change(folder: Path, variant: str, number: int, task: str, new: Callable[[Prediction], list[Prediction]]) -> None:
    """Replace one prediction of a variant by what `new` makes of it."""
    path = folder / f"predictions/{variant}/predictions.jsonl"
    rows = [Prediction.model_validate_json(text) for text in path.read_text(encoding="utf-8").splitlines()]
    at = next(i for i, row in enumerate(rows) if (row.page_id, row.task) == (page_id(number), task))
    write(path, rows[:at] + new(rows[at]) + rows[at + 1 :])


def run(folder: Path, out: str = "out") -> Result:
    paths = [f"--{name}={folder / name}" for name in ("dataset", "pages", "predictions")]
    paths += [f"--proof={folder / 'proof.json'}", f"--out={folder / out}"]
    return CliRunner().invoke(main, ["--params", str(PARAMS), "evaluate", *paths])


def metrics(folder: Path) -> dict[str, Any]:
    result = run(folder)
    assert result.exit_code == 0, result.output
    return json.loads((folder / "out/metrics.json").read_text())


def test_metrics_are_flat_sorted_and_have_intervals(folder: Path) -> None:
    found = metrics(folder)
    assert list(found) == sorted(found)
    assert all(value is None or isinstance(value, int | float | str) for value in found.values())
    names = ["schema_valid_share", "strict_json_share", "field_f1", "field_precision", "field_recall", "cer",
             "cer_macro", "wer", "wer_macro", "pages_per_s", "truncated_share", "failed_share"]  # fmt: skip
    for variant in VARIANTS:
        assert {f"{variant}_{name}{end}" for name in names for end in ("", "_lo", "_hi")} <= found.keys()
    assert (found["test_documents"], found["test_pages"], found["test_samples"]) == (8, 8, 16)
    assert (found["merged_cer"], found["merged_field_f1"], found["merged_strict_json_share"]) == (0, 1, 1)
    assert (found["base_schema_valid_share"], found["base_field_f1"], found["base_field_missing"]) == (0, 0, 56)
    assert (found["merged_minus_base_field_f1"], found["merged_minus_base_field_f1_lo"]) == (1, 0.541218)
    assert found["verdict"] == "significant gain"


def test_equal_inputs_give_equal_bytes(folder: Path) -> None:
    run(folder)
    run(folder, "again")
    written = sorted(path.relative_to(folder / "out") for path in (folder / "out").rglob("*.*"))
    assert len(written) == 8
    for name in written:
        assert (folder / "out" / name).read_bytes() == (folder / "again" / name).read_bytes()


def test_the_table_fits_a_terminal_and_ends_with_verdict_and_report(folder: Path) -> None:
    output = run(folder).stdout
    assert max(map(len, output.split("Report:")[0].splitlines())) <= 100
    assert "Tuning helped: field F1 0.000 → 1.000, +1.000 [" in " ".join(output.split())
    assert output.rstrip().endswith(f"Report: {folder / 'out/report.html'}")


@pytest.mark.parametrize("how", ["missing", "failed"])
def test_a_page_without_an_answer_scores_worst_and_is_counted(folder: Path, how: str) -> None:
    def none(row: Prediction) -> list[Prediction]:
        failed = {"text": "", "finish_reason": "error", "message": "out of memory"}
        return [] if how == "missing" else [row.model_copy(update=failed)]

    for task in ("content", "invoice"):
        change(folder, "merged", 3, task, none)
    found = metrics(folder)
    lost = len(gold(3, "content")["blocks"][0]["text"])
    everything = sum(len(gold(number, "content")["blocks"][0]["text"]) for number in range(DOCUMENTS))
    assert found["merged_cer"] == pytest.approx(lost / everything, abs=1e-6)
    assert found["merged_cer_macro"] == found["merged_failed_share"] == 1 / 8
    assert (found["merged_field_correct"], found["merged_field_missing"]) == (49, 7)
    assert found["merged_schema_valid_share"] == found["merged_field_recall"] == 7 / 8
    assert found["merged_missing_predictions"] == (2 if how == "missing" else 0)
    first = (folder / "out/report.html").read_text(encoding="utf-8").split('<details class="sheet"')[1]
    assert page_id(3) in first
    assert "no prediction" in first if how == "missing" else "failed: out of memory" in first


def test_scores_by_hand(folder: Path) -> None:
    wrong = gold(1, "invoice") | {"total": "9.05", "tax": "0.45", "currency": None}
    change(folder, "merged", 1, "invoice", lambda row: [row.model_copy(update={"text": tasks.dumps(wrong)})])
    cut = {"text": "plain", "finish_reason": "length"}
    change(folder, "merged", 2, "content", lambda row: [row.model_copy(update=cut)])
    found = metrics(folder)
    outcomes = {name: found[f"merged_field_{name}"] for name in ("correct", "wrong", "missing", "invented")}
    assert outcomes == {"correct": 54, "wrong": 1, "missing": 1, "invented": 1}
    assert found["merged_field_f1"] == pytest.approx(2 * 54 / (56 + 56), abs=1e-6)
    assert found["merged_truncated_share"] == 1 / 16
    assert found["merged_strict_json_share"] == found["merged_schema_valid_share"] == 15 / 16
    assert found["merged_wer"] > 0
    assert (found["merged_pages_per_s"], found["merged_answers_per_s"]) == (1, 2)
    with (folder / "out/plots/fields.csv").open() as stream:
        rows = {(row["field"], row["variant"]): row for row in csv.DictReader(stream)}
    assert rows["invoice.total", "merged"]["wrong"] == "1"
    assert rows["invoice.items[].quantity", "onnx"]["correct"] == "8"


@pytest.mark.parametrize(
    "text",
    [
        '{"blocks":[],"blocks":[]}',
        '{"blocks":NaN}',
        "[" * 100_000,
        '{"blocks":[{"kind":"other","text":"\\ud800","level":null}]}',
    ],
    ids=["a key twice", "no number", "deep", "half a pair"],
)
def test_what_is_not_strict_json_is_not_called_so(folder: Path, text: str) -> None:
    change(folder, "merged", 5, "content", lambda row: [row.model_copy(update={"text": text})])
    found = metrics(folder)
    assert found["merged_strict_json_share"] == found["merged_schema_valid_share"] == 15 / 16


def test_only_the_strongest_reference_is_scored_and_the_rest_counted(folder: Path) -> None:
    kinds = ["gold", "silver", "textlayer", "gold"]
    dataset(folder, [sample(n, task, kinds[n % 4]) for n in range(DOCUMENTS) for task in ("content", "invoice")])
    found = metrics(folder)
    assert (found["reference"], found["test_samples"]) == ("gold", 8)
    assert (found["left_out_gold"], found["left_out_textlayer"], found["left_out_silver"]) == (0, 4, 4)
    assert "their reference is only silver: 4" in run(folder).stdout


def test_against_a_teacher_the_verdict_speaks_of_agreement(folder: Path) -> None:
    dataset(folder, [sample(n, task, "silver") for n in range(DOCUMENTS) for task in ("content", "invoice")])
    output = run(folder).stdout
    assert "nearer its teacher" in output
    assert "helped" not in output


def test_equal_models_are_no_significant_gain(folder: Path) -> None:
    path = folder / "predictions/{}/predictions.jsonl"
    Path(str(path).format("merged")).write_bytes(Path(str(path).format("base")).read_bytes())
    assert metrics(folder)["verdict"] == "no significant gain"
    assert "No significant gain: field F1 0.000 → 0.000" in run(folder).stdout


def test_five_documents_are_too_few_for_a_verdict(folder: Path) -> None:
    keep = range(5)
    dataset(folder, [sample(n, "invoice") for n in keep])
    for variant in VARIANTS:
        write(folder / f"predictions/{variant}/predictions.jsonl", [answer(n, "invoice") for n in keep])
    found = metrics(folder)
    assert found["verdict"] == "too few documents"
    assert found["merged_cer"] is None


PAGE = (
    "إلى السيد مدير عام الشؤون المالية المحترم تحية طيبة وبعد نحيطكم بأن الدفعة الثالثة من العقد رقم 20871 قد اعتمدت "
    "وصرفت فى موعدها المحدد وفق النظام المعتمد لدى الوزارة وتقبلوا فائق الاحترام والتقدير"
)
TABLE = "<table><tr><td>البند</td><td>السعر</td></tr><tr><td>كتاب</td><td>12</td></tr></table>"
MIRRORED = "<table><tr><td>السعر</td><td>البند</td></tr><tr><td>12</td><td>كتاب</td></tr></table>"


def page(text: str, table: str = TABLE) -> dict[str, Any]:
    parts = (("paragraph", text), ("table", table))
    return {"blocks": [{"kind": kind, "text": part, "level": None} for kind, part in parts]}


FAULTS: dict[str, tuple[str, dict[str, Any] | str, set[str], str]] = {
    # what was done: the task, the answer, the scores that it must move, what the page of the report must say
    "added sentence": (
        "content", page(PAGE + " يرجى السداد فورا لتجنب الإجراءات"), {"added_run_page_share", "added_run_rate"},
        "added: يرجى السداد فورا",
    ),
    "fixed spelling": (
        "content", page(PAGE.replace(" فى ", " في ")), {"silent_correction_rate"}, "spelling mended in 1 letter",
    ),
    "Chinese character": (
        "content", page(PAGE.replace("الوزارة", "الوزارة中")), {"foreign_answer_share", "foreign_letter_rate"},
        "foreign letters: 中 U+4E2D",
    ),
    "looped phrase": ("content", page(PAGE + " وتقبلوا" * 40), {"looped_answer_share"}, "in circles"),
    "cut JSON": (
        "content", tasks.dumps(page(PAGE))[:-40], {"truncated_share", "mended_share"}, "cut at the token limit",
    ),
    "invented field": ("invoice", {"tax": "0.45"}, {"field_invention_rate"}, "invented: tax"),
    "mirrored table": ("content", page(PAGE, MIRRORED), {"mirrored_table_share"}, "table mirrored"),
    "lost digit": ("content", page(PAGE.replace("20871", "2087")), {"fact_near_miss_share"}, "not on the page: 2087"),
}  # fmt: skip
NAMED = set().union(*(names for _, _, names, _ in FAULTS.values()))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_moves_the_score_that_names_it_and_stands_on_its_page(folder: Path, fault: str) -> None:
    task, spoilt, names, sentence = FAULTS[fault]
    right = {"content": page(PAGE), "invoice": gold(3, "invoice")}
    turns = {name: (Turn(role="user", content="<image>?"), Turn(role="assistant", content=tasks.dumps(right[name])))
             for name in right}  # fmt: skip
    dataset(folder, [sample(3, name).model_copy(update={"conversations": turns[name]}) for name in right])
    whole = [answer(3, name, tasks.dumps(right[name])) for name in right]
    for variant in VARIANTS:
        write(folder / f"predictions/{variant}/predictions.jsonl", whole)
    if isinstance(spoilt, dict):
        spoilt = tasks.dumps(right[task] | spoilt)
    ends = {"finish_reason": "length"} if fault == "cut JSON" else {}
    change(folder, "merged", 3, task, lambda row: [row.model_copy(update={"text": spoilt, **ends})])
    found = metrics(folder)
    moved = {name for name in NAMED if found.get(f"merged_{name}") != found.get(f"base_{name}")}
    assert moved == names | ({"added_run_page_share", "added_run_rate"} if fault == "looped phrase" else set())
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    assert f'<span class="flag">{sentence}' in html


def test_an_answer_that_only_needs_a_wrapper_off_is_counted_as_such(folder: Path) -> None:
    wrapped = f"```json\n{tasks.dumps(gold(2, 'invoice'))}\n```"
    change(folder, "merged", 2, "invoice", lambda row: [row.model_copy(update={"text": wrapped})])
    found = metrics(folder)
    assert (found["merged_mended_share"], found["merged_lost_share"], found["merged_talk_share"]) == (1 / 16, 0, 1 / 16)
    assert found["merged_field_f1"] < found["merged_field_f1_mended"] == 1


def test_right_values_written_otherwise_are_right_and_counted(folder: Path) -> None:
    other = gold(1, "invoice") | {"total": "٩٫٥", "invoice_number": "2024/1"}
    change(folder, "merged", 1, "invoice", lambda row: [row.model_copy(update={"text": tasks.dumps(other)})])
    found = metrics(folder)
    assert found["merged_field_f1"] == 1
    assert found["merged_field_rewritten_share"] == pytest.approx(2 / 56, abs=1e-6)


def test_other_models_stand_beside_the_students(folder: Path) -> None:
    asked = [(number, task) for number in range(DOCUMENTS) for task in ("content", "invoice")]
    write(folder / "predictions/tesseract/predictions.jsonl", [answer(*one) for one in asked[:3]])
    found = metrics(folder)
    assert found["variants"] == "base merged onnx tesseract"
    assert (found["tesseract_missing_predictions"], found["tesseract_failed_share"]) == (13, 13 / 16)
    assert ">tesseract <" in (folder / "out/report.html").read_text(encoding="utf-8")


def test_planted_errors_are_scored_where_the_test_set_has_them(folder: Path) -> None:
    plants = [Planted(page_id=page_id(n), kind="spelling", printed="المدير", mended="الوزير") for n in (4, 5)]
    write_rows(folder / "dataset/planted.jsonl", plants, key=lambda row: row.page_id)
    mended = {"blocks": [{"kind": "paragraph", "text": "إلى السيد الوزير رقم 4", "level": None}]}
    change(folder, "merged", 4, "content", lambda row: [row.model_copy(update={"text": tasks.dumps(mended)})])
    found = metrics(folder)
    assert (found["merged_planted_copied_share"], found["merged_planted_fixed_share"]) == (0.5, 0.5)
    assert (found["onnx_planted_copied_share"], found["base_planted_copied_share"]) == (1, 0)


def test_a_small_gain_is_no_significant_gain_and_says_what_could_not_be_seen(folder: Path) -> None:
    """Field F1 differs in one of eight documents."""
    base = folder / "predictions/base/predictions.jsonl"
    base.write_bytes((folder / "predictions/merged/predictions.jsonl").read_bytes())
    wrong = gold(1, "invoice") | {"total": "1"}
    change(folder, "base", 1, "invoice", lambda row: [row.model_copy(update={"text": tasks.dumps(wrong)})])
    found = metrics(folder)
    assert found["verdict"] == "no significant gain"
    assert found["merged_minus_base_field_f1"] > 0
    assert found["merged_minus_base_field_f1_mde"] > found["merged_minus_base_field_f1"]
    assert found["merged_minus_base_field_f1_p_holm"] == 1
    assert "not to be seen" in run(folder).stdout


def test_better_fields_and_worse_text_are_told_as_both(folder: Path) -> None:
    for number in range(DOCUMENTS):
        for variant, task in (("merged", "content"), ("base", "content")):
            text = tasks.dumps(gold(number, task)) if variant == "base" else '{"blocks":[]}'
            change(folder, variant, number, task, lambda row, text=text: [row.model_copy(update={"text": text})])
    found = metrics(folder)
    assert found["verdict"] == "gain and loss"
    assert "Tuning helped and hurt: field F1 0.000 → 1.000" in " ".join(run(folder).stdout.split())


def test_the_model_card_names_data_base_scores_and_limits(folder: Path) -> None:
    side = {"documents": 3, "pages": 4, "samples": {"content": 4}, "references": {"gold": 4}}
    write_json(folder / "dataset/audit.json", {"splits": {"train": side, "val": side, "test": side}, "left_out": {}})
    for name in ("train", "val"):
        (folder / f"dataset/{name}.json").write_text("[]")
    found = metrics(folder)
    card = (folder / "out/model_card.md").read_text(encoding="utf-8")
    assert "3 documents, 4 pages; 4 content; 4 gold; `train.json` 4f53cda18c2b" in card
    assert found["test_sha256"] in card and "revision `" + "0" * 64 in card
    assert "| field F1 | 0.000 [0.000, 0.324] | 1.000 [0.676, 1.000] | 1.000 [0.676, 1.000] |" in card


def test_stated_confidence_is_held_against_the_fields(folder: Path) -> None:
    run(folder)
    assert (folder / "out/plots/confidence.csv").read_text() == "variant\n"  # invoices state none


class Tags(HTMLParser):
    """The tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_report_stands_alone_and_what_was_read_stays_text(folder: Path) -> None:
    run(folder)
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    parsed = Tags()
    parsed.feed(html)
    assert "script" not in parsed.tags and "b" in parsed.tags
    assert all(address.startswith(("data:image/webp;base64,", "#")) for address in parsed.addresses)
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in html
    assert ATTACK not in html and "<b>1</b>" not in html
    assert re.search(r"url\(|@import|https?:", html) is None


def test_the_report_sets_arabic_right_to_left_and_isolates_marked_words(folder: Path) -> None:
    spoilt = {"blocks": [{"kind": "paragraph", "text": "إلى السيد الوزير رقم 4", "level": None}]}
    change(folder, "merged", 4, "content", lambda row: [row.model_copy(update={"text": tasks.dumps(spoilt)})])
    run(folder)
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    words = '<bdi>إلى السيد</bdi> <bdi><mark class="added">ال<b>وز</b>ير</mark></bdi> <bdi>رقم 4</bdi>'
    assert f'<p dir="rtl">{words}</p>' in html
    assert '<mark class="lost">ال<b>مد</b>ير</mark>' in html
    assert "Letter for letter the answer of merged." in html


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: change(folder, "base", 0, "content", lambda row: [row, row]),
            "twice; run `warraq predict` again",
        ),
        (
            lambda folder: dataset(folder, [sample(n, "invoice") for n in range(DOCUMENTS)]),
            "no test sample asks for it; run `warraq predict` again",
        ),
        (lambda folder: dataset(folder, []), "has no samples"),
        (lambda folder: dataset(folder, [sample(0, "content")] * 2), "twice; run `warraq dataset` again"),
        (lambda folder: (folder / "dataset/test.json").write_text("[{}]"), "not a sample"),
        (lambda folder: (folder / "predictions/onnx/predictions.jsonl").unlink(), "is missing"),
        (lambda folder: (folder / f"pages/{2:012x}/0001.png").unlink(), "has no image of"),
    ],
)
def test_bad_inputs_are_one_sentence_and_write_nothing(
    folder: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(folder)
    result = run(folder)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder / "out").exists()


def compared(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_students_stand_side_by_side_and_pages_that_became_worse_are_named(folder: Path) -> None:
    run(folder)
    wrong = gold(1, "invoice") | {"total": "1"}
    change(folder, "merged", 1, "invoice", lambda row: [row.model_copy(update={"text": tasks.dumps(wrong)})])
    run(folder, "after")
    output = compared(folder / "out", folder / "after").stdout
    assert "| field F1 | 1.000 [0.676, 1.000] | 0.982 [" in output
    assert f"1 page became worse:\n\n* {page_id(1)}: field F1 1.000 → 0.857" in output
    assert "No page became worse." in compared(folder / "after", folder / "out").stdout
    three = compared(folder / "out", folder / "after", folder / "out", "--variant=onnx").stdout
    assert three.splitlines()[0].count("|") == 5 and "became worse" not in three


def test_different_test_sets_are_not_put_side_by_side(folder: Path) -> None:
    run(folder)
    dataset(folder, [sample(number, "invoice") for number in range(DOCUMENTS)])
    for variant in VARIANTS:
        write(folder / f"predictions/{variant}/predictions.jsonl", [answer(n, "invoice") for n in range(DOCUMENTS)])
    run(folder, "other")
    result = compared(folder / "out", folder / "other")
    assert result.exit_code == 2 and "was scored on another test set" in result.stderr
    assert "no predictions of 'teacher'" in compared(folder / "out", "--variant=teacher").stderr


def test_what_became_worse_is_told_beside_a_gain(folder: Path) -> None:
    for number in range(DOCUMENTS):
        text = tasks.dumps(gold(number, "invoice") | {"tax": "中"})
        change(folder, "merged", number, "invoice", lambda row, text=text: [row.model_copy(update={"text": text})])
    assert metrics(folder)["verdict"] == "significant gain"
    told = "Worse, though no part of the verdict: answers, foreign script 0.000 → 0.500"
    assert told in " ".join(run(folder).stdout.split())
    assert told in (folder / "out/report.html").read_text(encoding="utf-8")


def test_the_cost_of_teacher_and_student_and_where_they_meet(folder: Path) -> None:
    run(folder)
    page = read_rows(folder / "pages/pages.jsonl", Page)[0]
    with Ledger.open(folder / "ledger", write=True) as book:
        for task in ("content", "metadata"):
            number = book.begin("key", page, task, "gemini-3.8-flash", "standard", 0.01)
            book.answered(number, "{}", 0.01, (3000, 2000), 0.1, 4.0)
    command = ["--params", str(PARAMS), "cost", str(folder / "out"), "--usd-per-hour=3.6"]
    output = CliRunner().invoke(main, [*command, f"--ledger={folder / 'ledger'}"]).stdout
    assert "| gemini-3.8-flash | 20.00 | 8000, one at a time |" in output
    assert "| merged | 1.00 | 1000 |" in output  # a page a second, a thousandth of a USD each
    assert "Labels cost 0.02 USD" in output and "merged: cheaper than the teacher from 2 pages on" in output
    nothing = CliRunner().invoke(main, [*command, f"--ledger={folder / 'none'}"]).stdout
    assert "No page was bought" in nothing and "cheaper" not in nothing


def test_numbers_go_to_weights_and_biases_and_no_text_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    refused = CliRunner().invoke(main, ["track", str(folder / "out")])
    assert refused.exit_code == 2 and "WANDB_MODE=offline" in refused.stderr
    monkeypatch.setenv("WANDB_MODE", "offline")
    done = CliRunner().invoke(main, ["track", str(folder / "out")])
    assert done.exit_code == 0, done.output
    logged = b"".join(path.read_bytes() for path in (tmp_path / "wandb").rglob("*") if path.is_file())
    assert b"merged_field_f1" in logged and page_id(3).encode() in logged
    assert "المدير".encode() not in logged and b"MIME" not in logged
