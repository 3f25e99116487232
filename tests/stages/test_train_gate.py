"""What is too small or too dense for a student is refused before it is trained, and the sentence names the views."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont

from support import NANO, PARAMS
from support.train_project import train_arguments
from warraq import params as tree
from warraq import tasks
from warraq.cli.main import main
from warraq.errors import InputError
from warraq.files import write_json
from warraq.image_settings import read_image_settings
from warraq.records import Sample, Turn
from warraq.tasks import content
from warraq.training.audit import SampleMeasure, Samples
from warraq.training.misfits import select_samples
from warraq.training.page_image import measure_line_height


def draw_text(size: tuple[int, int], type_px: int, skew_deg: float = 0) -> tuple[Image.Image, str]:
    """A page that is full of text, in a frame, and the text."""
    page, font = Image.new("L", size, 255), ImageFont.load_default(type_px)
    draw, lines, left = ImageDraw.Draw(page), list[str](), size[0] // 12
    line = ("Minutes of the meeting, paragraph 48.50 by Qasim " * 9)[: int((size[0] - 2 * left) / type_px / 0.5)]
    for top in range(left, size[1] - left - type_px, type_px * 5 // 4):
        draw.text((left, top), line, 0, font=font)
        lines.append(line)
    draw.rectangle((left // 2, left // 2, size[0] - left // 2, size[1] - left // 2), outline=0, width=3)
    return page.rotate(skew_deg, fillcolor=255, resample=Image.Resampling.BICUBIC), "\n".join(lines)


def write_sample(folder: Path, image: Image.Image, text: str) -> Sample:
    """A sample of the task content."""
    document = "0" * 12
    (folder / document).mkdir(parents=True)
    image.save(folder / document / "0001.png")
    answer = {"blocks": [{"kind": "paragraph", "text": text, "level": None}]}
    turns = (
        Turn(role="user", content="<image>" + content.PROMPT),
        Turn(role="assistant", content=tasks.dumps(tasks.load("content").build_example(answer)[1])),
    )
    return Sample(
        page_id=f"{document}-p0001", document=document, task="content", reference="gold",
        images=(f"{document}/0001.png",), conversations=turns,
    )  # fmt: skip


def test_a_dense_page_is_refused_as_one_view_of_gemma3_4b_and_learned_from_in_bands(tmp_path: Path) -> None:
    """By nano's tokenizer, whose tokens are letters."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "tokenizer.json").symlink_to(NANO / "tokenizer.json")
    settings = read_image_settings(NANO) | {"size": {"width": 896, "height": 896}}
    write_json(base / "preprocessor_config.json", settings)
    write_json(base / "processor_config.json", {"image_seq_length": 256})
    image, text = draw_text((1131, 1600), 18)
    student = tree.load(PARAMS).find_student("gemma3_4b")
    sample = write_sample(tmp_path / "pages", image, text)
    samples: Samples = {"train": [sample], "val": [sample]}
    measure = SampleMeasure(base, student, tmp_path / "pages")
    with pytest.raises(InputError, match=r"min_line_px 8.0 .* views: page \+ \d bands would do, or set train.misfits"):
        select_samples(samples, measure, student.model_copy(update={"views": "page"}), leave_out=False)
    seen_well = student.model_copy(update={"views": "page", "min_line_px": 0.0})
    with pytest.raises(InputError, match=r"max_tokens_per_image_token 10.0 .* views: page \+ \d bands would do"):
        select_samples(samples, measure, seen_well, leave_out=False)
    kept, (size, _), misfits = select_samples(samples, measure, student, leave_out=False)
    assert kept == samples and not misfits
    assert size.image_tokens == 3 * 256 and size.line_px and size.line_px > 10


def test_nano_refuses_a_real_letter_and_takes_it_in_bands(
    params: Callable[..., Path], training_data: Path, tmp_path: Path
) -> None:
    """An A5 letter of 12 pt."""
    image, _ = draw_text((1128, 1600), 32)
    sample = write_sample(tmp_path / "pages", image, "Minutes of the meeting")
    (tmp_path / "dataset").mkdir()
    info = (training_data / "dataset/dataset_info.json").read_text()
    (tmp_path / "dataset/dataset_info.json").write_text(info)
    for split in ("train", "val"):
        write_json(tmp_path / f"dataset/{split}.json", [sample.model_dump(mode="json")])
    arguments = [*train_arguments(params(), tmp_path, tmp_path / "adapter"), "--dry-run"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    said = r"lower than min_line_px 6.0 .*000-p0001 content: \d\.\d px\); views: (page \+ \d bands) would do"
    found = re.search(said, result.output)
    assert found, result.output
    student = tree.load(PARAMS).find_student("nano").model_copy(update={"views": found[1]})
    samples: Samples = {"train": [sample], "val": [sample]}
    _, sizes, misfits = select_samples(samples, SampleMeasure(NANO, student, tmp_path / "pages"), student, False)
    assert not misfits and all(size.line_px and size.line_px >= 6 for size in sizes)


@pytest.mark.parametrize("skew_deg", [0, 0.7, -2])
@pytest.mark.parametrize("type_px", [18, 40, 80])
def test_a_line_is_as_high_as_its_type_framed_and_skewed(type_px: int, skew_deg: float) -> None:
    image, _ = draw_text((1131, 1600), type_px, skew_deg)
    height = measure_line_height(image)
    assert height and 0.5 * type_px < height < 1.2 * type_px
