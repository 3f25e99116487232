"""What the trainer's process refuses before its first step: modules and lengths that are not those of the audit."""

from pathlib import Path
from typing import Any

import pytest

from support import tiny
from warraq.errors import InputError
from warraq.students import families
from warraq.training import mending, trainable_modules, trainer
from warraq.training.trainer_contract import TrainerContract

pytestmark = pytest.mark.slow


def contract(**changes: Any) -> TrainerContract:
    agreed = {"family": "qwen2_5_vl", "components": (), "targets": (), "names": (), "tokens": (), "loss_by_task": ()}
    return TrainerContract(**{**agreed, "scored": (), "fused_loss": False, **changes})


PUBLISHED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def published(model: Any) -> list[str]:
    """The modules that Visual-TableQA's published first tier trains: seven short names, nothing frozen."""
    from llamafactory.hparams import FinetuningArguments
    from llamafactory.model.model_utils.visual import patch_target_modules

    free = FinetuningArguments(freeze_vision_tower=False, freeze_multi_modal_projector=False)
    return list(patch_target_modules(model, free, PUBLISHED))


def test_the_published_recipe_trains_every_vision_mlp_and_no_projector() -> None:
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152064}  # fmt: skip
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    family, names = families.load("qwen2_5_vl"), published(model)
    assert trainable_modules.count_lora_weights(shapes, names, 16) == 47_589_376
    table = trainable_modules.tabulate(
        shapes, family, {name: trainable_modules.count_lora_weights(shapes, [name], 16) for name in names}
    )
    assert table["vision"]["modules_trained"] == 3 * 32
    assert table["projector"]["modules_trained"] == 0


def test_a_leaked_module_and_an_unmatched_one_stop_the_trainer_before_its_first_step(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny.make_model("qwen2_5_vl", tmp_path / "base"))
    names = published(model)
    terms = contract(components=("language", "projector"))
    tuned = get_peft_model(model, LoraConfig(r=16, target_modules=names))
    with pytest.raises(InputError) as error:
        trainer.check_contract(terms, tuned, [])
    assert "vision is trained (18 modules" in str(error.value)
    assert "projector is named by the tier, but none of it would be trained" in str(error.value)


def test_frozen_vision_is_not_gone_through_backwards(tmp_path: Path) -> None:
    """By transformers' own hooks the patches of an image ask for gradients, too, and the whole tower keeps its work."""
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(tiny.make_model("qwen2_5_vl", tmp_path / "base"))
    model.requires_grad_(False)
    mending.require_text_gradients(model)
    assert model.get_input_embeddings()(torch.tensor([1])).requires_grad
    assert not model.model.visual.patch_embed(torch.zeros(4, 3 * 2 * 14 * 14)).requires_grad


def test_lengths_that_are_not_the_audits_stop_the_trainer() -> None:
    terms = contract(names=("a content", "b content"), tokens=(7, 9))
    with pytest.raises(InputError, match="counts 8 tokens of sample b content, the audit 9"):
        trainer.check_contract(terms, None, [7, 8])
    with pytest.raises(InputError, match="kept 1 of 2 samples"):
        trainer.check_contract(terms, None, [7])


def test_weights_of_4_bits_count_as_what_they_stand_for() -> None:
    import torch

    layer = torch.nn.Linear(4, 6, bias=False)
    layer.weight.quant_state = torch.nn.Linear(8, 6).weight  # type: ignore[attr-defined]  # bitsandbytes': of the whole
    assert trainer.read_trained(layer)[0] == {"weight": (6, 8)}


def test_the_fused_loss_is_that_of_evaluation_too() -> None:
    step = trainer.skip_logits(lambda _, __, inputs, alone: (inputs, alone))
    assert step(None, None, {"labels": 1}, True) == ({"labels": 1, "skip_logits": True}, True)
