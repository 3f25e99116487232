"""base + dataset -> adapter, through `warraq train`, killed and taken up again."""

import itertools
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from support import NANO, PARAMS
from support.train_project import invoice_answer
from warraq import params as tree
from warraq import tasks
from warraq.files import write_json
from warraq.records import Prediction, Sample
from warraq.tasks.cases import Case, grade_answer
from warraq.tasks.scoring import score_quality
from warraq.training import llamafactory, trainer_output
from warraq.training.audit import SampleSize
from warraq.training.tier_training import collect_tier

pytestmark = pytest.mark.slow

STUDENTS = list(tree.load(PARAMS).students)
ANSWERS = {
    "content": [
        {"blocks": [{"kind": "paragraph", "text": text, "level": None, "language": None}]}
        for text in ("Total 5", "Totl 6")
    ],
    "invoice": [invoice_answer("7"), invoice_answer("8")],
    "table_qa": [{"reasoning": "r", "answer": text} for text in ("1,200", "1200", "12", "a; b", "b")],
}


@pytest.mark.parametrize("task", ANSWERS)
def test_an_answer_scores_what_evaluate_gives_it(task: str) -> None:
    quality = partial(score_quality, tasks.load(task))
    for gold, other in itertools.product(ANSWERS[task], repeat=2):
        target, text = tasks.dumps(gold), tasks.dumps(other)
        for raw in (text, text[:-1], text + " ", ""):
            sample = Sample(page_id="p", task=task, document="d", reference="gold", images=(), conversations=())
            answered = Prediction(
                page_id="p", task=task, split="test", text=raw, finish_reason="stop", tokens=1, seconds=1.0
            )
            graded = grade_answer(Case(sample, tasks.load(task), gold, ()), answered)
            assert quality(target, raw) == pytest.approx(graded.quality)
        assert quality(target, target) == 1
        assert other == gold or task == "table_qa" or quality(target, text) < 1


def test_on_a_blank_page_only_silence_scores() -> None:
    content, invoice = (partial(score_quality, tasks.load(name)) for name in ("content", "invoice"))
    blank, invented = tasks.dumps({"blocks": []}), tasks.dumps(ANSWERS["content"][0])
    assert (
        content(blank, blank),
        content(blank, invented),
    ) == (1, 0)
    nothing = tasks.dumps(invoice_answer("7") | {"invoice_number": None, "currency": None})
    assert (
        invoice(nothing, nothing),
        invoice(nothing, nothing[:-1]),
    ) == (1, 0.5)  # it needs mending


def size(**changes: Any) -> SampleSize:
    own = {"split": "train", "page_id": "p", "task": "content", "prompt_tokens": 10, "image_tokens": 20,
           "target_tokens": 30, "seen_px": 896**2, "line_px": 9.0, "special": None}  # fmt: skip
    return SampleSize(**{**own, **changes})


def settings(name: str, tier: int = 0, sizes: list[SampleSize] | None = None, **changes: Any) -> dict[str, Any]:
    """The keys of the YAML for a student of params.yaml."""
    student = tree.load(PARAMS).find_student(name).model_copy(update=changes)
    names = ["model.layers.0.q_proj"]
    return llamafactory.training_settings(
        student, student.tiers[tier], names, sizes or [size()] * 9, largest_px=900_000, seed=1, checkpoints=2
    )


def test_settings_name_every_part_of_a_full_tuning_and_only_paths_of_the_project(tmp_path: Path) -> None:
    keys = settings("nano", tuning="full")
    path = tmp_path / "models/nano/adapter.part/1/train.yaml"
    llamafactory.write_settings(path, keys, {"adapter_name_or_path": [tmp_path / "data/a", tmp_path / "b"]})
    assert yaml.safe_load(path.read_text()) == keys | {"adapter_name_or_path": "../../../../data/a,../../../../b"}
    assert keys["finetuning_type"] == "full" and "lora_target" not in keys
    parts = {"freeze_vision_tower", "freeze_multi_modal_projector", "freeze_language_model"}
    assert {key: keys[key] for key in keys if key.startswith("freeze_")} == dict.fromkeys(parts, False)
    assert not any("/" in str(value) for value in keys.values())


def test_the_last_evaluation_is_at_the_end() -> None:
    whole = settings("nano", eval_steps=1000)["eval_steps"]
    for most in range(1, whole):
        steps = settings("nano", eval_steps=most)["eval_steps"]
        assert steps <= most and whole % steps < math.ceil(whole / most)


def test_one_evaluation_where_eval_steps_exceed_all_steps() -> None:
    keys = settings("nano", eval_steps=1000, batch_size=8)
    epochs = tree.load(PARAMS).find_student("nano").tiers[0].epochs
    assert keys["eval_steps"] == keys["save_steps"] == 2 * epochs  # two batches each


def test_the_trainers_own_rounding_never_cuts_a_token_below_the_cut_off() -> None:
    from llamafactory.data.processor.processor_utils import infer_seqlen

    @given(st.integers(1, 3000), st.integers(1, 3000))
    def whole(source: int, target: int) -> None:
        assert infer_seqlen(source, target, llamafactory.choose_cutoff(source + target)) == (source, target)

    whole()


@pytest.mark.parametrize("name", STUDENTS)
def test_llama_factory_accepts_the_settings_of_every_tier(name: str, tmp_path: Path, training_data: Path) -> None:
    from llamafactory.hparams import get_train_args

    student = tree.load(PARAMS).find_student(name)
    for number, tier in enumerate(student.tiers):
        keys = settings(name, number)
        places = {
            "model_name_or_path": str(NANO),
            "dataset_dir": str(training_data / "dataset"),
            "output_dir": str(tmp_path),
        }
        chain = {"adapter_name_or_path": str(tmp_path), "create_new_adapter": True} if number else {}
        options: Any = OmegaConf.to_container(
            OmegaConf.from_cli(llamafactory.checkpointing_options(student, tier, True))
        )
        model, data, training, tuning, _ = get_train_args(
            {**keys, **places, **chain, **options, "use_cpu": True, "bf16": False}
        )
        assert model.enable_liger_kernel == student.fused_loss
        assert (
            training.gradient_checkpointing != tier.language and model.disable_gradient_checkpointing != tier.language
        )
        assert (data.cutoff_len, model.image_max_pixels) == (64, 900_000)  # above 60 tokens; no image is shrunk
        assert training.eval_steps == keys["eval_steps"]
        assert (tuning.lora_rank, tuning.lora_alpha) == (tier.rank, tier.alpha)


def test_llama_factory_accepts_weights_of_4_bits(tmp_path: Path, training_data: Path) -> None:
    from llamafactory.hparams import get_train_args

    places = {"model_name_or_path": str(NANO), "dataset_dir": str(training_data / "dataset"), "use_cpu": True}
    keys = settings("gemma3_4b", quantization="nf4") | {"output_dir": str(tmp_path), "bf16": False}
    model = get_train_args(keys | places)[0]
    assert (model.quantization_bit, model.quantization_type, model.double_quantization) == (4, "nf4", True)


def test_the_tables_recipe_is_the_published_one() -> None:
    first, second = (settings("qwen2_5_vl_7b_tableqa", tier) for tier in (0, 1))
    shared = {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 8, "lr_scheduler_type": "cosine",
              "warmup_ratio": 0.07, "early_stopping_steps": 2}  # fmt: skip
    a = {"lora_rank": 16, "lora_alpha": 8, "lora_dropout": 0.05, "learning_rate": 1e-4, "num_train_epochs": 2}
    b = {"lora_rank": 8, "lora_alpha": 32, "lora_dropout": 0.1, "learning_rate": 2e-5, "num_train_epochs": 1}
    assert {**shared, **a}.items() <= first.items()
    assert {**shared, **b}.items() <= second.items()
    student = tree.load(PARAMS).find_student("qwen2_5_vl_7b_tableqa")
    options = llamafactory.checkpointing_options(student, student.tiers[1], True)
    assert OmegaConf.from_cli(options) == {
        "disable_gradient_checkpointing": True,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }


@pytest.mark.parametrize("name", STUDENTS)
def test_known_bad_combinations_are_not_set(name: str) -> None:
    keys = settings(name)
    assert keys["flash_attn"] == "sdpa"
    assert not keys.keys() & {
        "packing",
        "neat_packing",
        "fp16",
        "image_do_pan_and_scan",
        "deepspeed",
        "quantization_bit",
    }
    assert keys["report_to"] == "none"


@pytest.mark.parametrize(("batch", "steps", "devices", "options"), [
    (3, 8, 2, ["gradient_accumulation_steps=4"]),
    (8, 1, 2, ["per_device_train_batch_size=4"]),
    (3, 8, 1, ["gradient_accumulation_steps=8"]),
])  # fmt: skip
def test_several_devices_share_the_batch(batch: int, steps: int, devices: int, options: list[str]) -> None:
    student = tree.load(PARAMS).find_student("nano")
    student = student.model_copy(update={"batch_size": batch, "accumulation": steps})
    assert llamafactory.share_batch(student, devices) == options


@pytest.mark.parametrize(
    ("optimizer", "processes", "step"),
    [("optimizer.pt", 1, 4), ("optimizer.bin", 1, 4), ("latest", 1, 4), ("x", 1, 0), ("optimizer.pt", 2, 0)],
)
def test_a_checkpoint_is_whole_with_the_optimizer_and_the_random_numbers_of_each_process(
    tmp_path: Path, optimizer: str, processes: int, step: int
) -> None:
    """The optimizer of one device, FSDP or DeepSpeed."""
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    for name in (optimizer, "scheduler.pt", "rng_state_0.pth", "adapter_model.safetensors"):
        (folder / name).touch()
    write_json(folder / "trainer_state.json", {})
    assert trainer_output.find_resumable_step(tmp_path, processes) == step
    assert folder.exists() == bool(step)


def ended(folder: Path, step: int, waited: int) -> Path:
    """What a trainer leaves after `step` of 8 updates, having waited `waited` of 3 evaluations for a gain."""
    stopping = {"args": {"early_stopping_patience": 3}, "attributes": {"early_stopping_patience_counter": waited}}
    state = {"global_step": step, "max_steps": 8, "stateful_callbacks": {"EarlyStoppingCallback": stopping}}
    for name in ("adapter_model.safetensors", "train_results.json", "eval_results.json"):
        (folder / name).touch()
    write_json(folder / "trainer_state.json", state)
    return folder


@pytest.mark.parametrize(("step", "waited", "whole"), [(8, 0, True), (5, 3, True), (5, 2, False)])
def test_success_is_read_from_what_is_there(tmp_path: Path, step: int, waited: int, whole: bool) -> None:
    assert trainer_output.is_finished(ended(tmp_path, step, waited)) == whole


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "train_results.json", "eval_results.json"])
def test_no_success_without_weights_and_results(tmp_path: Path, name: str) -> None:
    (ended(tmp_path, 8, 0) / name).unlink()
    assert not trainer_output.is_finished(tmp_path)


def test_the_best_checkpoint_is_kept_not_the_last(tmp_path: Path) -> None:
    output = tmp_path / "output"
    for folder, weights in ((output, b"last"), (output / "checkpoint-4", b"best")):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(weights)
    write_json(output / "trainer_state.json", {"best_global_step": 4, "log_history": []})
    write_json(tmp_path / "modules.json", {})
    (output / "trainer_log.jsonl").touch()
    (tmp_path / "train.yaml").touch()
    student = tree.load(PARAMS).find_student("nano").model_copy(update={"tuning": "full"})
    assert collect_tier(tmp_path, tmp_path / "final", NANO, student)["step"] == 4
    assert (tmp_path / "final/model.safetensors").read_bytes() == b"best"


def test_the_last_error_is_what_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("ValueError: first\n<start_of_turn>private\nRuntimeError: No space left on device\n  0%| | 0/4\n")
    assert llamafactory.find_complaint(log) == "RuntimeError: No space left on device"
    log.write_text("[rank0]: OSError: gone\nsubprocess.CalledProcessError: Command torchrun\n")
    assert llamafactory.find_complaint(log) == "[rank0]: OSError: gone"
