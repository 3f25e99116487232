"""A project that `warraq evaluate` can read, made without a model: test samples, page images and predictions."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from PIL import Image

from support.params import params_yaml
from warraq import tasks
from warraq.cli.main import main
from warraq.files import write_json
from warraq.records import Label, Page, Prediction, Reference, Sample, Turn, read_rows, write_rows

VARIANTS = ("base", "merged", "onnx")
TASKS = ("content", "invoice")
DOCUMENTS = 8
FIRST = 100  # number of the first validation document
ATTACK = '<script>alert("1")</script><img src=x onerror=alert(2)>'


def make_gold(number: int, task: str) -> dict[str, Any]:
    if task == "content":
        text = ATTACK if number == 0 else f"إلى السيد المدير رقم {number}"
        return {"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None}]}
    party = {"name": "شركة النور", "address": None, "tax_id": None}
    item = {
        "description": "ورق",
        "quantity": str(number),
        "unit_price": None,
        "tax_rate": None,
        "tax_amount": None,
        "total": "9.50",
        "currency": None,
    }
    return {
        "invoice_number": f"٢٠٢٤/{number}", "customer_id": None, "status": None, "date": None,
        "due_date": None, "sender": party,
        "recipient": party | {"name": None}, "items": [item], "currency": "SAR", "subtotal": None,
        "tax_rate": None, "tax_amount": None, "notes": None,
        "total": "9.50",
    }  # fmt: skip


def make_page_id(number: int) -> str:
    return f"{number:012x}-p0001"


def make_sample(number: int, task: str, reference: Reference = "gold") -> Sample:
    turns = Turn(role="user", content="<image>?"), Turn(role="assistant", content=tasks.dumps(make_gold(number, task)))
    return Sample(
        page_id=make_page_id(number), document=f"{number:012x}", task=task, reference=reference,
        images=(f"{number:012x}/0001.png",), conversations=turns,
    )  # fmt: skip


def make_prediction(number: int, task: str, text: str | None = None, **changes: Any) -> Prediction:
    raw = tasks.dumps(make_gold(number, task)) if text is None else text
    row = Prediction(
        page_id=make_page_id(number), task=task, split="test", text=raw, finish_reason="stop", tokens=9, seconds=0.5
    )
    return row.model_copy(update=changes)


def write_predictions(path: Path, rows: list[Prediction]) -> None:
    write_rows(path, rows, key=lambda row: (row.page_id, row.task))


def make_project(folder: Path, documents: int = DOCUMENTS) -> None:
    """Eight one-page documents with content and invoice; base writes nonsense, merged and onnx are perfect."""
    asked = [(number, task) for number in range(documents) for task in TASKS]
    for number in range(documents):
        path = folder / f"pages/{number:012x}/0001.png"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (60, 80), (255, 255, 10 * number % 256)).save(path)
    pages = [
        Page(
            page_id=make_page_id(n), document=f"{n:012x}", page=1, files=(f"خطاب <b>{n}</b>.pdf",), text=None,
            recipe="r", image=f"{n:012x}/0001.png", image_sha256="0", width_px=60, height_px=80, px_per_pt=1.0,
            repaired=False,
        )
        for n in range(documents)
    ]  # fmt: skip
    (folder / "params.yaml").write_text(params_yaml({"evaluate.drawings": 2000}), encoding="utf-8")
    write_json(folder / "proof.json", {"base": "nano", "revision": "0" * 64, "tuning": "full"})
    write_rows(folder / "pages/pages.jsonl", pages, key=lambda page: page.page_id)
    write_dataset(folder, [make_sample(*one) for one in asked])
    for task in TASKS:
        write_rows(folder / f"labels/{task}.jsonl", [], key=str)
    write_predictions(
        folder / "predictions/base/predictions.jsonl", [make_prediction(*one, text="the the") for one in asked]
    )
    for variant in ("merged", "onnx"):
        write_predictions(folder / f"predictions/{variant}/predictions.jsonl", [make_prediction(*one) for one in asked])


def write_dataset(folder: Path, samples: list[Sample], split: str = "test") -> None:
    rows = [one.model_dump(mode="json") for one in samples]
    write_json(folder / f"dataset/{split}.json", rows)


def change_prediction(
    folder: Path, variant: str, number: int, task: str, new: Callable[[Prediction], list[Prediction]]
) -> None:
    """Replace one prediction of a variant by what `new` makes of it."""
    path = folder / f"predictions/{variant}/predictions.jsonl"
    rows = [Prediction.model_validate_json(text) for text in path.read_text(encoding="utf-8").splitlines()]
    at = next(i for i, row in enumerate(rows) if (row.page_id, row.task) == (make_page_id(number), task))
    write_predictions(path, rows[:at] + new(rows[at]) + rows[at + 1 :])


def rewrite(text: str) -> Callable[[Prediction], list[Prediction]]:
    """For `change_prediction`: the same row with another text."""
    return lambda row: [row.model_copy(update={"text": text})]


def run_evaluate(folder: Path, out: str = "out") -> Result:
    paths = [f"--{name}={folder / name}" for name in ("dataset", "pages", "labels", "reviews", "predictions")]
    paths += [f"--proof={folder / 'proof.json'}", f"--out={folder / out}"]
    return CliRunner().invoke(main, ["--params", str(folder / "params.yaml"), "evaluate", *paths])


def evaluate(folder: Path) -> dict[str, Any]:
    result = run_evaluate(folder)
    assert result.exit_code == 0, result.output
    numbers: dict[str, Any] = json.loads((folder / "out/metrics.json").read_text())
    return numbers


def read_views(folder: Path) -> dict[str, Any]:
    """What the report gives its script: pages, documents, scores."""
    html = (folder / "out/report.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', html)
    assert found is not None
    views: dict[str, Any] = json.loads(found[1])
    return views


def add_validation(folder: Path, documents: int, **changes: Any) -> None:
    """Give the project validation documents, and merged the right answers to them but for `changes` of the last."""
    numbers = range(FIRST, FIRST + documents)
    write_dataset(folder, [make_sample(number, task) for number in numbers for task in TASKS], "val")
    for variant in VARIANTS:
        path = folder / f"predictions/{variant}/predictions.jsonl"
        rows = read_rows(path, Prediction)
        rows += [make_prediction(number, task, split="val") for number in numbers for task in TASKS]
        if variant == "merged" and changes:
            rows[-1] = rows[-1].model_copy(update={"text": tasks.dumps(make_gold(numbers[-1], TASKS[-1]) | changes)})
        write_rows(path, rows, key=lambda row: (row.page_id, row.task))


def add_teacher_labels(folder: Path, numbers: range, **changes: Any) -> None:
    """Labels of a teacher, wrong by `changes` where it labelled invoices."""
    for task in TASKS:
        spoilt = changes if task == "invoice" else {}
        rows = [
            Label(
                page_id=make_page_id(n), task=task, key="", teacher="gemini", model="gemini-3.8-flash",
                reference="silver", answer=make_gold(n, task) | spoilt, reason=None, message=None,
            )
            for n in numbers
        ]  # fmt: skip
        write_rows(folder / f"labels/{task}.jsonl", rows, key=lambda row: row.page_id)
