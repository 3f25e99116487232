"""Tables and questions of others: parquet -> pages, labels and a dataset, through `warraq import tableqa`."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from pyarrow import parquet

from support import PARAMS
from support.rendering import read_red
from warraq.cli.main import main
from warraq.importers.tableqa import convert_to_png
from warraq.tasks import table_qa


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def table(number: int) -> bytes:
    fields = bytes(255 * ((number * 37 + place) * 97 % 7 < 3) for place in range(256))
    return encoded(Image.frombytes("L", (16, 16), fields).resize((128, 128)))


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Parquet as the data set has it: twenty tables with three questions each, in two files."""

    def write(reasoning: bool = True, **changes: object) -> Path:
        rows = [
            {"table_id": f"t{number}", "image": {"bytes": table(number), "path": f"{number}.png"},
             "question": f"<image> What is cell {part} of table {number}?", "answer": f"{number * 7 + part}",
             **({"reasoning": f"Row {part} says so."} if reasoning else {}), **changes}
            for number in range(20) for part in range(3)
        ]  # fmt: skip
        folder = tmp_path / "source/data"
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in (("train-00000", rows[::2]), ("test-00000", rows[1::2])):
            parquet.write_table(pyarrow.Table.from_pylist(part), folder / f"{name}.parquet")
        return tmp_path / "source"

    return write


def run(source: Path | str, out: Path, *options: str) -> Result:
    arguments = ["--params", str(PARAMS), "import", "tableqa", str(source), "--out", str(out), *options]
    return CliRunner().invoke(main, arguments)


def test_no_table_is_on_two_sides_and_no_question_is_lost(source: Callable[..., Path], tmp_path: Path) -> None:
    result = run(source(), tmp_path / "out")
    assert result.exit_code == 0, result.output
    sides = {s: json.loads((tmp_path / f"out/dataset/{s}.json").read_text()) for s in ("train", "val", "test")}
    tables = {side: {one["document"] for one in part} for side, part in sides.items()}
    assert sum(len(part) for part in tables.values()) == len(set.union(*tables.values())) == 20
    assert sum(len(part) for part in sides.values()) == 60
    assert len(list((tmp_path / "out/pages").rglob("*.png"))) == 20


def test_the_question_is_in_the_prompt_escaped_and_the_answer_is_json(
    source: Callable[..., Path], tmp_path: Path
) -> None:
    run(source(), tmp_path / "out")
    one = json.loads((tmp_path / "out/dataset/train.json").read_text())[0]
    question, answer = (turn["content"] for turn in one["conversations"])
    assert question.count("<image>") == 1
    assert 'Question: "\\u003cimage> What is cell' in question
    assert json.loads(answer).keys() == {"reasoning", "answer"}
    parsed, _ = table_qa.TASK.parse(answer)
    assert parsed and parsed["reasoning"].startswith("Row")


def test_without_a_column_for_it_there_is_no_reasoning_made_up(source: Callable[..., Path], tmp_path: Path) -> None:
    assert run(source(reasoning=False), tmp_path / "out").exit_code == 0
    row = json.loads((tmp_path / "out/labels/table_qa.jsonl").read_text().splitlines()[0])
    assert row["answer"]["reasoning"] == ""


def test_a_table_with_two_images_is_refused(source: Callable[..., Path], tmp_path: Path) -> None:
    result = run(source(table_id="same"), tmp_path / "out")
    assert (result.exit_code, "table same has two images" in result.output) == (2, True)


def test_a_hub_data_set_needs_a_commit_and_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    result = run("AI-4-Everyone/Visual-TableQA", tmp_path / "out", "--revision", "main")
    assert (result.exit_code, "the 40 digits of a commit" in result.output) == (2, True)
    parquet.write_table(pyarrow.table({"image": ["x"], "question": ["y"]}), tmp_path / "a.parquet")
    assert "has no column table_id; it has image, question" in run(tmp_path / "a.parquet", tmp_path / "out").output


def grey(data: bytes, at: tuple[int, int]) -> int:
    with Image.open(io.BytesIO(convert_to_png(data)[0])) as image:
        assert image.mode == "RGB"
        return read_red(image, at)


def test_images_of_any_kind_look_like_themselves() -> None:
    half = Image.new("L", (40, 20), 255)
    half.paste(0, (0, 0, 20, 20))
    assert [grey(encoded(half.convert("1")), at) for at in ((5, 5), (35, 5))] == [0, 255]
    assert [grey(encoded(half.convert("P")), at) for at in ((5, 5), (35, 5))] == [0, 255]
    assert [grey(encoded(half.convert("CMYK"), "TIFF"), at) for at in ((5, 5), (35, 5))] == [0, 255]
    deep = Image.new("I;16", (4, 4), 40_000)
    assert abs(grey(encoded(deep), (1, 1)) - 40_000 // 257) <= 1  # not white, as a plain conversion makes it
    assert grey(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0))), (1, 1)) == 255  # paper, not ink
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by 90 degrees: the dark left half comes to the top
    turned = encoded(half, "JPEG", exif=exif)
    assert convert_to_png(turned)[1:] == (20, 40)
    assert [grey(turned, at) < 128 for at in ((10, 5), (10, 35))] == [True, False]


@pytest.mark.parametrize(("gold", "answer", "name", "value"), [
    ("42", "42.0", "score", 1.0), ("42", "43", "score", 0.0),
    ("42", "43", "relaxed", 1.0), ("42", "45", "relaxed", 0.0),
    ("1,250 USD", "1250", "score", 1.0), ("12%", "12 %", "exact", 1.0),
    ("Paris, Rome", "rome, Paris", "score", 1.0), ("Paris, Rome", "Rome", "score", 2 / 3),
    ("Helvetia", "helvetia.", "exact", 1.0), ("Germany", "Germani", "score", 1 - 1 / 7), ("Germany", "", "score", 0.0),
])  # fmt: skip
def test_scores_fit_the_kind_of_answer(gold: str, answer: str, name: str, value: float) -> None:
    assert table_qa.compare_answers(gold, answer)[name] == pytest.approx(value)
