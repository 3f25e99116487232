"""Pre-training of nano: the stream of cards, the supervision taken from it, and a run that can be cut off."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from warraq.records import InputError
from warraq.students import nano
from warraq.synth import batches, cards, pretrain, reading, strips
from warraq.synth.documents import make
from warraq.synth.words import DEMO

GRID = batches.Grid(18, 16)
SIDE_PX = GRID.side_px
STEPS = 8  # 4 of vision, 1 of the decoder, 2 together, 1 on whole images


@pytest.fixture(scope="module")
def block() -> list[cards.Card]:
    return cards.block(1, 0, SIDE_PX)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cards, batches, pretrain):
        monkeypatch.setattr(module, "CARDS_PER_BLOCK", 8)
    monkeypatch.setattr(cards, "PAGES_PER_BLOCK", 8)
    monkeypatch.setattr(batches, "PASSES", 1)
    monkeypatch.setattr(pretrain, "CHECKPOINT_STEPS", 2)
    monkeypatch.setattr(reading, "HELD_OUT_CARDS", 2)
    monkeypatch.setattr(reading, "MAX_NEW_TOKENS", 4)
    monkeypatch.setenv("WARRAQ_WORKERS", "1")


def test_a_block_of_the_stream_is_always_the_same(block: list[cards.Card]) -> None:
    again = cards.block(1, 0, SIDE_PX)
    assert [card.text for card in again] == [card.text for card in block]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(again, block, strict=True))
    assert np.array_equal(again[7].places, block[7].places, equal_nan=True)
    assert cards.block(2, 0, SIDE_PX)[0].text != block[0].text


def test_letters_stand_where_the_stream_says(block: list[cards.Card]) -> None:
    for language in ("ar", "en"):
        at: list[float] = []
        for card in (card for card in block if card.language == language):
            x, y = np.nan_to_num(card.places * SIDE_PX, nan=-1).astype(int).T
            letter = np.array([character.isalnum() for character in card.text])
            inside = letter & (x > 2) & (y > 2) & (x < SIDE_PX - 3) & (y < SIDE_PX - 3)
            at += [
                card.image[v - 3 : v + 3, u - 2 : u + 3].min() / card.image.mean()
                for u, v in zip(x[inside], y[inside], strict=True)
            ]
        assert np.mean(np.array(at) < 0.85) > 0.95


def test_the_text_is_in_the_order_of_reading() -> None:
    text = "رقم: 12/34 تم"
    assert "".join(text[index] for index in strips.visual(text, right_to_left=True)) == "مت 12/34 :مقر"
    assert strips.visual("No: 12", right_to_left=False) == list(range(6))


def test_no_value_of_the_demo_is_in_the_stream(block: list[cards.Card]) -> None:
    values = {word for words in DEMO.values() for field in vars(words).values() for word in field}
    assert not values & {*strips.common("ar"), *strips.common("en")}
    shown = {word for card in block for word in card.text.replace(":", " ").replace(".", " ").split()}
    assert not values & shown


def test_the_stream_has_every_character_of_the_demo(block: list[cards.Card]) -> None:
    printed = set()
    for number in range(60):
        for page in make(Random(f"1:{number}"), DEMO).pages:
            printed |= {character for block in page.answers["content"]["blocks"] for character in block["text"]}
    assert printed - set("<>") <= set(strips.CHARACTERS)
    assert set("".join(card.text for card in block)) == {*strips.CHARACTERS, "|", "\n"}


def test_kept_patches_become_the_image_tokens_of_the_whole_image(small: None) -> None:
    import torch

    from warraq.synth.trainer import Trainer

    tokenizer = nano.tokenizer([])
    trainer = Trainer(pretrain.architecture(len(tokenizer)), 1, torch.device("cpu"))
    words = batches.words(tokenizer, ["Copy."])
    some, whole = (batches.Stream(1, GRID, words, 2, 9, whole_from)[0][0] for whole_from in (9, 0))
    side, px = GRID.side, GRID.patch_px
    image = whole.patches.reshape(2, side, side, px, px).transpose(0, 1, 3, 2, 4).reshape(2, 1, side * px, side * px)
    with torch.no_grad():
        pixels = torch.from_numpy(image).expand(-1, 3, -1, -1) / 127.5 - 1
        ours, theirs = trainer.image_tokens(whole), trainer.model.model.get_image_features(pixels)
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert some.patches.shape[1] == batches.KEPT < whole.patches.shape[1] == side**2
    letters = {card: set(some.ids[card][some.last[card] >= 0]) for card in range(2)}
    assert all(len(found) > 5 for found in letters.values())


def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not_been(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import safe_open
    from transformers import AutoModelForImageTextToText

    from warraq.synth.trainer import Trainer

    scores = pretrain.run(tmp_path / "whole", STEPS, seed=1, batch_size=2)
    whole = Trainer.step
    calls: list[str] = []

    def cut_off(self: Trainer, batch: batches.Batch, name: str, rate: float) -> dict[str, float]:
        calls.append(name)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return whole(self, batch, name, rate)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "step", cut_off)
        pretrain.run(tmp_path / "resumed", STEPS, seed=1, batch_size=2)
    assert (tmp_path / "resumed.part" / pretrain.CHECKPOINT).exists() and not (tmp_path / "resumed").exists()
    with pytest.raises(InputError, match="'seed': 1"):
        pretrain.run(tmp_path / "resumed", STEPS, seed=2, batch_size=2)
    assert pretrain.run(tmp_path / "resumed", STEPS, seed=1, batch_size=2) == scores
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "resumed").iterdir())
    assert all((tmp_path / "whole" / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes() for name in names)
    assert not (tmp_path / "resumed.part").exists()
    with safe_open(tmp_path / "whole" / "model.safetensors", "np") as weights:
        assert not any("namer" in name for name in weights.keys())  # noqa: SIM118
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "whole")
    assert model.config.mm_tokens_per_image == GRID.side**2
