"""The bands that the trainer is given lie in its folder, are those that every runtime cuts, and are cut once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support import NANO, PARAMS
from warraq import params as tree
from warraq.files import read_json, write_json
from warraq.records import Sample, Turn
from warraq.runtimes import Request, open_views
from warraq.training import workdir
from warraq.training.audit import Samples

VIEWS = "page + 3 bands"


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """A grey page and one in colour, each asked twice."""
    noise = np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    (tmp_path / "pages/d").mkdir(parents=True)
    Image.fromarray(noise).save(tmp_path / "pages/d/0001.png")
    Image.fromarray(noise[..., 0]).save(tmp_path / "pages/d/0002.png")
    write_json(tmp_path / "dataset/dataset_info.json", {"train": {}, "val": {}})
    turns = (Turn(role="user", content="<image>Read."), Turn(role="assistant", content="{}"))
    part = [
        Sample(page_id=f"d-p000{page}", document="d", task=task, reference="gold", images=(f"d/000{page}.png",),
               conversations=turns)
        for page in (1, 2) for task in ("content", "invoice")
    ]  # fmt: skip
    return {"train": part, "val": part[:1]}


def open_workdir(folder: Path, samples: Samples, views: str) -> Path:
    student = tree.load(PARAMS).find_student("nano").model_copy(update={"views": views})
    workdir.open_workdir(folder / "part", NANO, folder / "dataset", folder / "pages", student, samples, [views])
    return workdir.find_media(folder / "part", views)


def test_the_trainer_is_shown_what_a_runtime_shows(tmp_path: Path, samples: Samples) -> None:
    media = open_workdir(tmp_path, samples, VIEWS)
    rows = read_json(tmp_path / "part/data/train.json")
    for sample, row in zip(samples["train"], rows, strict=True):
        assert row["conversations"][0]["content"] == "<image>" * 4 + "Read."
        request = Request((tmp_path / "pages" / sample.images[0],), "Read.", views=VIEWS)
        for name, view in zip(row["images"], open_views(request), strict=True):
            assert (np.asarray(Image.open(media / name).convert("RGB")) == np.asarray(view)).all()
    assert len(list((media / "bands").iterdir())) == 2 * 3  # a page that two tasks ask about is cut once


def test_bands_stay_where_a_training_goes_on_and_the_missing_are_cut(tmp_path: Path, samples: Samples) -> None:
    bands = sorted((open_workdir(tmp_path, samples, VIEWS) / "bands").iterdir())
    before = [path.stat().st_ino for path in bands]
    bands[0].unlink()
    open_workdir(tmp_path, samples, VIEWS)
    after = [path.stat().st_ino for path in bands]
    assert before[3:] == after[3:] or before[:3] == after[:3]
    assert all(path.exists() for path in bands)


def test_a_page_alone_is_linked_and_nothing_is_cut(tmp_path: Path, samples: Samples) -> None:
    media = open_workdir(tmp_path, samples, "page")
    rows = read_json(tmp_path / "part/data/train.json")
    assert [row["images"] for row in rows] == [list(sample.images) for sample in samples["train"]]
    assert rows[0]["conversations"][0]["content"] == "<image>Read."
    assert media == tmp_path / "part/pages" and not (tmp_path / "part/bands").exists()
