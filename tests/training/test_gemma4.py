"""Gemma-4 is trained on all that it can see of a page, and on no thoughts."""

from pathlib import Path

import pytest
from PIL import Image

from support import PARAMS, tiny
from warraq import params as tree
from warraq.files import JsonObject, write_json
from warraq.image_settings import change_image_settings
from warraq.records import Sample, Turn
from warraq.runtimes import Request
from warraq.runtimes.torch import TorchRuntime
from warraq.students import families
from warraq.training import audit, llamafactory, mending, workdir

pytestmark = pytest.mark.slow


def test_a_page_reaches_the_trainer_with_its_whole_budget_and_no_marks_of_thinking(tmp_path: Path) -> None:
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    base, student = tiny.make_model("gemma4", tmp_path / "base"), tree.load(PARAMS).find_student("gemma4_e2b")
    family = families.load("gemma4")
    for folder in ("pages", "dataset"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (1131, 1600)).save(tmp_path / "pages/a.png")
    turns = (Turn(role="user", content="<image>Read."), Turn(role="assistant", content="{}"))
    sample = Sample(
        page_id="p", document="d", task="content", reference="gold", images=("a.png",), conversations=turns
    )  # fmt: skip
    samples: audit.Samples = {"train": [sample], "val": [sample]}
    write_json(tmp_path / "dataset/dataset_info.json", {"train": {"file_name": "x"}, "val": {"file_name": "x"}})
    measure = audit.SampleMeasure(base, student, tmp_path / "pages")
    sizes = audit.measure_samples(measure, samples, student.views)
    assert 1000 < sizes[0].image_tokens <= 1120

    workdir.write_workdir(part := tmp_path / "part", base, tmp_path / "dataset", tmp_path / "pages", student, samples)
    settings = llamafactory.training_settings(
        student, student.tiers[0], ["layer"], sizes, largest_px=1131 * 1600, seed=1, checkpoints=2
    )
    own = {"model_name_or_path": str(part / "base"), "dataset_dir": str(part / "data"), "output_dir": str(part / "o")}
    model, data, *_ = get_train_args({**settings, **own, "use_cpu": True, "bf16": False})
    loaded = load_tokenizer(model)
    mending.drop_thoughts(family.template)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
    page = [str(tmp_path / "pages/a.png")]
    seen = template.mm_plugin._get_mm_inputs(page, [], [], loaded["processor"])
    assert list(seen["num_soft_tokens_per_image"]) == [sizes[0].image_tokens]
    assert int((seen["image_position_ids"] >= 0).all(-1).sum()) == 9 * sizes[0].image_tokens  # patches of 16 x 16 px

    asking = [turn.model_dump() for turn in turns]
    spelled = template.mm_plugin.process_messages(asking, page, [], [], loaded["processor"])
    prompt, answer = template.encode_oneturn(loaded["tokenizer"], spelled, data.default_system)
    chat = family.render_chat("<image>Read.", "{}")
    image = "<|image|>" * sizes[0].image_tokens
    assert loaded["tokenizer"].decode(prompt) == "".join(chat.prompt).replace("<|image|>", image)
    assert loaded["tokenizer"].decode(answer) == "".join(chat.target)


def test_a_merged_model_is_asked_with_the_whole_budget(tmp_path: Path) -> None:
    """By `predict`, `read` and `serve`, whose processor is loaded from the folder as `merge` writes it."""
    base, student = tiny.make_model("gemma4", tmp_path / "base"), tree.load(PARAMS).find_student("gemma4_e2b")
    family = families.load("gemma4")
    Image.new("RGB", (1131, 1600)).save(tmp_path / "a.png")
    request, tokens = Request((tmp_path / "a.png",), "Read."), []
    for pixels in (None, student.image_max_pixels):

        def cap(settings: JsonObject, most: int | None = pixels) -> JsonObject:
            return family.cap_pixels(settings, most)

        changed = change_image_settings(base, cap)
        for name, settings in changed.items():
            write_json(base / name, settings)
        tokens.append(TorchRuntime(base, "float32").answer([request], 1)[0].prompt_tokens)
    assert tokens[0] is not None and tokens[1] is not None and 1000 < tokens[1] < 1150 and tokens[0] < 400
