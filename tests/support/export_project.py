"""A merged nano cut to two layers, a dataset and its pages, and how `warraq export` is given them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw

from support.params import params_yaml
from support.scripted_model import describe_model
from support.shared import copy_made
from warraq.cli.main import main
from warraq.files import write_json

CHANGES = {"export.max_new_tokens": 12, "export.precisions": ["fp32"]}
PROMPT = "You are a professional OCR details extractor. Answer in JSON only."


def make_project(folder: Path) -> None:
    from support import tiny

    tiny.make_small_nano(folder / "merged")
    samples = []
    for number in (1, 2, 3):
        image = f"0123456789ab/{number:04}.png"
        draw_page(folder / "pages" / image, number)
        turns = [{"role": "user", "content": "<image>" + PROMPT}, {"role": "assistant", "content": "{}"}]
        row = {"page_id": f"0123456789ab-p{number:04}", "document": "0123456789ab", "task": "content"}
        samples.append({**row, "reference": "gold", "images": [image], "conversations": turns})
    write_json(folder / "dataset" / "val.json", samples)
    describe_model(folder / "merged", "content")
    (folder / "params.yaml").write_text(params_yaml(CHANGES), encoding="utf-8")


def copy_exported(factory: pytest.TempPathFactory) -> Path:
    """A project for this process alone whose graphs, in fp32 and proved, are in `onnx`."""

    def make(folder: Path) -> None:
        make_project(folder)
        result = run_export(folder, "onnx")
        assert result.exit_code == 0, result.output

    return copy_made(factory, "exported", make)


def draw_page(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (310, 440), "white")
    for line in range(8):
        ImageDraw.Draw(image).text((20, 20 + 50 * line), f"{number} total {number * line}.50", "black", font_size=24)
    image.save(path)


def run_export(project: Path, out: str, dataset: str = "dataset", student: str = "nano") -> Result:
    names = {"merged": "merged", "dataset": dataset, "pages": "pages", "out": out}
    options = [word for name, folder in names.items() for word in (f"--{name}", str(project / folder))]
    return CliRunner().invoke(
        main, ["--params", str(project / "params.yaml"), "export", "--student", student, *options]
    )


def drop_vision_weight(folder: Path) -> None:
    path = folder / "vision_encoder.onnx_data"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 65536] = bytes(65536)
    path.write_bytes(data)


def swap_embeddings(folder: Path) -> None:
    path = folder / "embed_tokens.onnx_data"
    rows = json.loads((folder / "config.json").read_text())["text_config"]["vocab_size"]
    path.write_bytes(np.frombuffer(path.read_bytes(), dtype=np.float32).reshape(rows, -1)[::-1].tobytes())


def assert_refused(
    project: Path, exported: Path, exporter: ModuleType, plant: Callable[[Path], None], patch: pytest.MonkeyPatch,
    student: str = "nano",
) -> None:  # fmt: skip
    """Let `exporter` write the graphs in `exported` with a fault planted in them: the proof refuses them, text alone
    only where the fault is in the embeddings."""

    def write(merged: Path, out: Path) -> None:
        for path in exported.glob("*.onnx*"):
            shutil.copyfile(path, out / path.name)
        plant(out)

    patch.setattr(exporter, "write", write)
    result = run_export(project, plant.__name__, student=student)
    assert result.exit_code == 1
    assert "ONNX graphs are not" in result.output
    assert not (project / plant.__name__).exists()
    proof = json.loads((project / f"{plant.__name__}.part" / "parity.json").read_text())
    assert not proof["passed"]
    text_only = next(row for row in proof["cases"] if row["case"] == "text only")
    assert text_only["passed"] == (plant is not swap_embeddings)
