"""Pre-training of nano: the stream of pages, the supervision taken from it, and a run that can be cut off."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from warraq.errors import InputError
from warraq.nano import architecture, batches, exchanges, pretrain, text_lines, training_pages
from warraq.synth.documents import make_document
from warraq.synth.words import load_words

pytestmark = pytest.mark.slow

GRID = batches.Grid(20, 16)
SIDE_PX = GRID.side_px
SIZES = (
    ("training_pages", "BLOCK_PAGES", 8), ("pretrain", "BLOCK_PAGES", 8),
    ("training_pages", "SHEETS_PER_BLOCK", 8), ("batches", "PASSES", 1), ("pretrain", "CHECKPOINT_STEPS", 2),
    ("evaluation", "HELD_OUT_PAGES", 2), ("evaluation", "HELD_OUT_TALL_PAGES", 1),
    ("evaluation", "MAX_NEW_TOKENS", {"card": 4, "receipt": 4, "letter": 4}),
)  # fmt: skip
SMALL = f"""
import importlib, sys
from pathlib import Path
for module, name, value in {SIZES}:
    setattr(importlib.import_module("warraq.nano." + module), name, value)
from warraq.nano import pretrain
pretrain.run(out=Path(sys.argv[1]), steps=int(sys.argv[2]), minutes=None, seed=1, batch_size=2)
"""
TASKS = ["Read it.", "Describe it."]
PIECES = ["{mark}", ',"key":"']
MARK = r"(?:\{mark\}|,\"key\":\"|[\"{}\[\],])"
STEPS = 12  # 5 of vision, 1 of the decoder, 5 together, 1 on whole images


@pytest.fixture(scope="module")
def block() -> list[training_pages.TrainingPage]:
    return training_pages.make_block(1, 0, SIDE_PX)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SIZES:
        monkeypatch.setattr(f"warraq.nano.{module}.{name}", value)
    monkeypatch.setenv("WARRAQ_WORKERS", "1")


def test_a_block_of_the_stream_is_always_the_same(block: list[training_pages.TrainingPage]) -> None:
    again = training_pages.make_block(1, 0, SIDE_PX)
    assert [page.text for page in again] == [page.text for page in block]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(again, block, strict=True))
    assert np.array_equal(again[7].places, block[7].places, equal_nan=True)
    assert training_pages.make_block(2, 0, SIDE_PX)[0].text != block[0].text


def test_letters_stand_where_the_stream_says(block: list[training_pages.TrainingPage]) -> None:
    for language in ("ar", "en"):
        at: list[float] = []
        for page in (page for page in block if page.language == language):
            x, y = np.nan_to_num(page.places * SIDE_PX, nan=-1).astype(int).T
            letter = np.array([character.isalnum() for character in page.text])
            inside = letter & (x > 2) & (y > 2) & (x < SIDE_PX - 3) & (y < SIDE_PX - 3)
            at += [
                page.image[v - 3 : v + 3, u - 2 : u + 3].min() / page.image.mean()
                for u, v in zip(x[inside], y[inside], strict=True)
            ]
        assert np.mean(np.array(at) < 0.85) > 0.93


def test_the_text_is_in_the_order_of_reading() -> None:
    text = "رقم: 12/34 تم"
    assert "".join(text[index] for index in text_lines.order_visually(text, right_to_left=True)) == "مت 12/34 :مقر"
    assert text_lines.order_visually("No: 12", right_to_left=False) == list(range(6))


def test_no_value_of_the_demo_is_in_the_stream(block: list[training_pages.TrainingPage]) -> None:
    values = {word for words in load_words("demo").values() for field in vars(words).values() for word in field}
    assert not values & {*text_lines.list_common_words("ar"), *text_lines.list_common_words("en")}
    shown = {word for page in block for word in page.text.replace(":", " ").replace(".", " ").split()}
    assert not values & shown


def test_the_stream_has_every_character_of_the_demo(block: list[training_pages.TrainingPage]) -> None:
    printed = set()
    for number in range(60):
        for page in make_document(Random(f"1:{number}"), load_words("demo")).pages:
            printed |= {character for block in page.answers["content"]["blocks"] for character in block["text"]}
    assert printed - set("<>") <= set(text_lines.CHARACTERS)
    assert set("".join(page.text for page in block)) == {*text_lines.CHARACTERS, "|", "\n"}


def test_each_form_asks_for_what_is_printed(block: list[training_pages.TrainingPage]) -> None:
    tokenizer = architecture.build_tokenizer(PIECES)
    words = exchanges.build_token_ids(tokenizer, "Copy.", TASKS, PIECES)
    draw = np.random.default_rng(1)
    for page in block[:40]:
        cells = batches.locate_patches(page.places, GRID)
        for form in exchanges.FORMS:
            asked, said = exchanges.make_exchange(draw, form, page, cells, words)
            prompt, answer = tokenizer.decode(asked), tokenizer.decode([token for token, _ in said])
            parts = re.split(f"{MARK}+", answer)
            if form == "copy":
                assert (prompt, answer) == ("Copy.", page.text)
            elif form in ("marked", "ordered"):
                assert [part for part in parts if part] == [line.rstrip(",") for line in page.text.split("\n")]
            else:
                names = [line.split("{")[0] for line in re.sub(f"{MARK}+", "{", prompt).splitlines()[1:]]
                printed = {key: page.text[start:end] for key, start, end in page.fields}
                worn = {key: exchanges.PRESENT for key, there in page.state.items() if there}
                assert parts[1:] == [(printed | worn).get(name, exchanges.ABSENT) for name in names]
                assert len(page.state.keys() & names) == min(exchanges.STATES_ASKED, len(page.state))


def test_the_wear_of_a_card_is_told_only_where_it_is_clear(block: list[training_pages.TrainingPage]) -> None:
    smooth = [page for page in block if page.state.get("noise") is False]
    paper = {
        grey: [np.median(page.image) for page in smooth if page.state.get("grey_paper") == grey]
        for grey in (True, False)
    }
    assert max(paper[True]) < 252 <= min(paper[False])
    for key in ("skew", "noise", "pale"):
        assert {page.state.get(key) for page in block} == {True, False, None}, key


def test_an_order_is_gone_on_with_from_text_to_text(block: list[training_pages.TrainingPage]) -> None:
    tokenizer = architecture.build_tokenizer([*PIECES, *architecture.TABLE])
    words = exchanges.build_token_ids(tokenizer, "Copy.", TASKS, [*PIECES, *architecture.TABLE])
    page = max(block, key=lambda page: page.text.count("\n"))
    draw, cells, starts = np.random.default_rng(1), np.zeros(len(page.text), int), set()
    for _ in range(20):
        asked, said = exchanges.make_exchange(draw, "ordered", page, cells, words)
        task, *given = tokenizer.decode(asked).split("\n")
        order = words.orders[TASKS.index(task)]
        pieces = [token for token, _ in said if token in order]
        start = order.index(asked[-1]) if given else 0
        starts.add((task, bool(given)))
        assert pieces == [order[(start + index) % len(order)] for index in range(len(pieces))]
        assert [index for index, piece in enumerate(pieces) if piece in words.opens][-1] == len(pieces) - 1
        assert sum(piece in words.opens for piece in pieces) == page.text.count("\n") + 1
    assert len(starts) == 2 * len(TASKS)


def test_kept_patches_become_the_image_tokens_of_the_whole_image(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from warraq.nano.trainer import Trainer

    tokenizer = architecture.build_tokenizer(PIECES)
    monkeypatch.setattr(batches, "FORMS", {"copy": 1.0})
    words = exchanges.build_token_ids(tokenizer, "Copy.", TASKS, PIECES)
    trainer = Trainer(architecture.build_config(len(tokenizer)), words, 1, torch.device("cpu"))
    made = batches.BatchStream(1, GRID, words, 2)[0].unpack(trainer.device)
    some, whole = min(made, key=lambda batch: batch.kept.shape[2]), max(made, key=lambda batch: batch.kept.shape[2])
    side, px = GRID.side, GRID.patch_px
    image = whole.patches.view(-1, side, side, px, px).transpose(2, 3).reshape(-1, 1, side * px, side * px)
    with torch.no_grad():
        pixels = image.expand(-1, 3, -1, -1) / 127.5 - 1
        ours, theirs = trainer.encode_images(whole)[:, 0], trainer.model.model.get_image_features(pixels).pooler_output
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert some.patches.shape[2] == batches.KEPT < whole.patches.shape[2] == side**2
    letters = {page: set(some.ids[page][some.last[page] >= 0].tolist()) for page in range(2)}
    assert all(len(found) > 5 for found in letters.values())


@pytest.mark.parametrize("bands", [0, 2, 3])
def test_the_student_is_taught_on_what_its_processor_gives(
    small: None, monkeypatch: pytest.MonkeyPatch, bands: int
) -> None:
    import torch
    from PIL import Image

    from warraq.nano.trainer import Trainer

    tokenizer = architecture.build_tokenizer(PIECES)
    monkeypatch.setattr(batches, "FORMS", {"copy": 1.0})
    monkeypatch.setattr(batches, "BANDS", (bands,))
    monkeypatch.setattr(batches, "WHOLE_SHARE", 1.0)
    words = exchanges.build_token_ids(tokenizer, "Copy.", TASKS, PIECES)
    config = architecture.build_config(len(tokenizer))
    trainer = Trainer(config, words, 1, torch.device("cpu"))
    batch = batches.BatchStream(1, GRID, words, 1)[0].unpack(trainer.device)[0]
    views, side, px = 1 + bands, GRID.side, GRID.patch_px
    pixels = batch.patches.view(views, side, side, px, px).transpose(2, 3).reshape(views, SIDE_PX, SIDE_PX)
    images = [Image.fromarray(view.numpy()).convert("RGB") for view in pixels]
    processor: Any = architecture.build_processor(tokenizer, config)
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": "Copy."}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=[prompt], images=[images], return_tensors="pt", add_special_tokens=False)
    length = inputs["input_ids"].shape[1]
    assert batch.ids[0, :length].tolist() == inputs["input_ids"][0].tolist()
    assert batch.positions[0].tolist() == [*range(batch.ids.shape[1])]
    taught = batch.labels[0] != batches.IGNORED
    assert batch.labels[0, taught].tolist() == [*batch.ids[0, length:].tolist()]

    scores: list[torch.Tensor] = []
    trainer.model.lm_head.register_forward_hook(lambda _, __, out: scores.append(out.detach().float()))
    with torch.no_grad():
        trainer.compute_writing_loss(trainer.encode_images(batch), batch)
        trainer.model.model.language_model.set_attn_implementation("eager")
        shown = torch.nn.functional.pad(inputs["token_type_ids"], (0, batch.ids.shape[1] - length))
        trainer.model(input_ids=batch.ids, pixel_values=inputs["pixel_values"], token_type_ids=shown)
    ours, theirs = scores
    assert torch.allclose(ours, theirs[:, -ours.shape[1] :], atol=1e-2)


def test_a_letter_of_a_tall_page_is_looked_for_in_the_band_that_shows_it_best(small: None) -> None:
    page = training_pages.make_block(1, 0, SIDE_PX, 3)[0]
    patches, characters, _, cells = batches.show_page(page, (0, 0), GRID)
    assert patches.shape == (4, GRID.side**2, GRID.patch_px**2)
    assert page.image.shape == (training_pages.HEIGHT_PX[3], SIDE_PX)
    assert (characters[0] == batches.IGNORED).all()
    printed = [place for place, cell in enumerate(cells) if cell >= 0]
    assert len(printed) > 0.7 * len(page.text)
    views = cells[printed] // GRID.side**2
    assert (views[np.argsort(page.places[printed, 1], kind="stable")] == np.sort(views)).all()
    assert set(views) <= {1, 2, 3}
    flat = characters.reshape(-1, batches.SLOTS)
    named = [batches.NUMBERS_OF[page.text[place]] in flat[cells[place]] for place in printed]
    assert np.mean(named) > 0.9


def test_a_killed_run_goes_on_as_if_it_had_not_been(small: None, tmp_path: Path) -> None:
    from safetensors import safe_open
    from transformers import AutoModelForImageTextToText

    scores = pretrain.run(out=tmp_path / "whole", steps=STEPS, minutes=None, seed=1, batch_size=2)
    resumed = tmp_path / "resumed"
    checkpoint = tmp_path / "resumed.part" / pretrain.CHECKPOINT
    with subprocess.Popen([sys.executable, "-c", SMALL, str(resumed), str(STEPS)]) as child:
        while not checkpoint.exists():
            assert child.poll() is None
        os.kill(child.pid, signal.SIGKILL)
    assert not resumed.exists()
    with pytest.raises(InputError, match="'seed': 1"):
        pretrain.run(out=resumed, steps=STEPS, minutes=None, seed=2, batch_size=2)
    assert pretrain.run(out=resumed, steps=STEPS, minutes=None, seed=1, batch_size=2) == scores
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in resumed.iterdir())
    assert all((tmp_path / "whole" / name).read_bytes() == (resumed / name).read_bytes() for name in names)
    assert not (tmp_path / "resumed.part").exists()
    with safe_open(tmp_path / "whole" / "model.safetensors", "np") as weights:
        assert not any("namer" in name for name in weights.keys())  # noqa: SIM118
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "whole")
    assert model.config.mm_tokens_per_image == GRID.side**2


def test_matrices_of_a_shape_learn_together_as_they_do_alone() -> None:
    import torch

    from warraq.nano.muon import StackedMuon

    made = np.random.default_rng(1)
    shapes = [(6, 4), (4, 6), (4, 6), (5, 5)]
    drawn = [torch.from_numpy(made.standard_normal((4, *shape), np.float32)) for shape in shapes]
    ways = []
    for optimiser in (torch.optim.Muon, StackedMuon):
        weights = [torch.nn.Parameter(values[0].clone()) for values in drawn]
        steps = optimiser(weights, lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        for step in range(1, 4):
            for weight, values in zip(weights, drawn, strict=True):
                weight.grad = values[step].clone()
            steps.step()
        ways.append(weights)
    assert all(torch.allclose(one, other, atol=0.02) for one, other in zip(*ways, strict=True))
    assert not torch.allclose(ways[0][0], drawn[0][0], atol=0.02)


def test_a_run_goes_through_all_phases_and_ends_at_a_low_rate() -> None:
    at = [pretrain.find_phase(place / 1000) for place in range(1001)]
    names = [name for name, _ in at]
    assert list(dict.fromkeys(names)) == list(pretrain.PHASES)
    for name, plan in pretrain.PHASES.items():
        rates = [rate for phase, rate in at if phase == name]
        assert rates[0] == plan.rate
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] <= plan.rate * (plan.final_share + 0.03)


def test_a_run_has_one_length(tmp_path: Path) -> None:
    for steps, minutes in ((None, None), (3, 0.1)):
        with pytest.raises(InputError, match="--steps or --minutes"):
            pretrain.run(out=tmp_path / "out", steps=steps, minutes=minutes, seed=1, batch_size=2)
