"""predictions -> metrics.json, plots/fields.csv, report.html, through `warraq evaluate`."""

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
from warraq.records import Page, Prediction, Sample, Turn, line, write_rows

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
    return CliRunner().invoke(
        main, ["--params", str(PARAMS), "evaluate", "--student=nano", *paths, f"--out={folder / out}"]
    )


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
    for name in ("metrics.json", "report.html", "plots/fields.csv"):
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
    wrong = gold(1, "invoice") | {"total": "9.5", "tax": "0.45", "currency": None}
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
    assert '<p dir="rtl"><bdi>إلى السيد</bdi> <bdi><mark class="added">الوزير</mark></bdi> <bdi>رقم 4</bdi></p>' in html
    assert '<mark class="lost">المدير</mark>' in html
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
