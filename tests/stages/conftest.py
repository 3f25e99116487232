"""A dataset small enough to train on within a test, and the params for it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from support import evaluate_project, export_project
from support.gemini_server import KEY, GeminiServer
from support.label_project import Project, content_answer
from support.params import params_yaml
from support.train_project import invoice_answer
from warraq.files import write_json
from warraq.records import Page, Sample, Turn, write_rows
from warraq.stages.dataset import dataset_info
from warraq.stages.train import Train
from warraq.students import Tier
from warraq.tasks import dumps, invoice


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pages/` and `dataset/`: eight pages to learn from, two to validate, one to test, each with an invoice sample."""
    folder = tmp_path_factory.mktemp("training_data")
    samples = []
    for index in range(11):
        document = f"{index:012x}"
        image = Image.new("L", (160, 200), 255)
        ImageDraw.Draw(image).text((20, 60), str(10 + index), 0, font=ImageFont.load_default(60))
        (folder / "pages" / document).mkdir(parents=True)
        image.save(folder / "pages" / document / "0001.png")
        turns = (
            Turn(role="user", content="<image>" + invoice.PROMPT),
            Turn(role="assistant", content=dumps(invoice_answer(str(10 + index)))),
        )
        samples.append(
            Sample(
                page_id=f"{document}-p0001", document=document, task="invoice", reference="gold",
                images=(f"{document}/0001.png",), conversations=turns,
            ).model_dump(mode="json")
        )  # fmt: skip
    page = Page(
        page_id="000000000000-p0001", document="000000000000", page=1, files=("0.png",),
        image="000000000000/0001.png", image_sha256="", width_px=160, height_px=200, px_per_pt=None, text=None,
        repaired=False, recipe="0123",
    )  # fmt: skip
    settings = {
        "long_side_px": 1600, "colour": "rgb", "contrast": "none", "autocontrast_cutoff_percent": 0.0, "deskew": False,
        "crop": False,
    }  # fmt: skip
    write_json(folder / "pages/settings.json", {"settings": settings, "recipe": "0123"})
    write_rows(folder / "pages/pages.jsonl", [page], key=lambda row: row.page_id)
    for name, part in (("train", samples[:8]), ("val", samples[8:10]), ("test", samples[10:])):
        write_json(folder / "dataset" / f"{name}.json", part)
    write_json(folder / "dataset/dataset_info.json", dataset_info())
    return folder


@pytest.fixture
def params(tmp_path: Path) -> Callable[..., Path]:
    """A params.yaml with other values of train, nano or its tier: eight updates, a checkpoint after every second."""

    def write(**changes: object) -> Path:
        small = {"batch_size": 4, "epochs": 4, "eval_steps": 2, "logging_steps": 1} | changes
        branches = dict.fromkeys(Tier.model_fields, "students.nano.tiers.0") | dict.fromkeys(
            Train.model_fields, "train"
        )
        path = tmp_path / "params.yaml"
        path.write_text(params_yaml({f"{branches.get(key, 'students.nano')}.{key}": small[key] for key in small}))
        return path

    return write


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def gemini(monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiServer]:
    """A server that answers each page with its image's hash; `warraq` asks it one page after another."""
    with GeminiServer(reply=content_answer) as server:
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        monkeypatch.setenv("WARRAQ_GEMINI_URL", server.url)
        monkeypatch.setenv("WARRAQ_IN_FLIGHT", "1")
        yield server


@pytest.fixture(scope="session")
def evaluable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluable")
    evaluate_project.make_project(folder)
    return folder


@pytest.fixture
def folder(evaluable: Path, tmp_path: Path) -> Path:
    """Eight one-page documents with content and invoice; base writes nonsense, merged and onnx are perfect."""
    shutil.copytree(evaluable, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="session")
def exportable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_project.copy_exported(tmp_path_factory)


@pytest.fixture(scope="session")
def exported(exportable: Path) -> Path:
    """Its graphs in fp32, proved."""
    return exportable / "onnx"
