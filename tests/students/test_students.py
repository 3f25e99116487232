"""What a machine holds, and how answers, checkpoints and tiers are compared while training."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

from support import NANO, PARAMS
from support.params import params_yaml
from warraq import params as tree
from warraq.cli.main import main
from warraq.errors import InputError
from warraq.students import families
from warraq.students.weights import Shapes, read_shapes
from warraq.training import hardware, sizing
from warraq.training.page_image import measure_line_height
from warraq.training.selection import correlate_ranks, measure_gain


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of 100 MiB, as the driver would tell it."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Small GPU, 100'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_what_a_gpu_cannot_hold_is_refused_before_it_is_loaded(gpu: None, tmp_path: Path) -> None:
    student = tree.load(PARAMS).find_student("nano")
    shapes = read_shapes(NANO, families.load("gemma3"))
    assert hardware.count_devices() == 1
    with pytest.raises(InputError, match=r"training needs about .* GiB \(weights .*logits .*\), Small GPU has 0"):
        hardware.check_hardware(shapes, student, 8000, tmp_path)


def test_the_estimate_of_a_7b_model_is_that_of_its_parts() -> None:
    """Qwen2.5-VL-7B in bf16: 15.4 GiB of weights; 16 B a logit of 152,064 (facts of the trainer's loss)."""
    student = tree.load(PARAMS).find_student("qwen2_5_vl_7b_tableqa").model_copy(update={"fused_loss": False})
    shapes = {"model.language_model.embed_tokens.weight": (152_064, 3584), "rest": (8_292_166_656 - 152_064 * 3584,)}
    parts = hardware.estimate_memory(shapes, student, 42_000_000, 2048)
    assert parts["weights"] / 2**30 == pytest.approx(15.4, abs=0.1)
    assert parts["logits"] == 16 * 152_064 * 2048 * 3
    assert parts["trained"] == 42_000_000 * 16


def test_zero_3_and_fsdp_1_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student = tree.load(PARAMS).find_student("nano")
    shapes = read_shapes(NANO, families.load("gemma3"))
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    hardware.check_hardware(shapes, student, 500, tmp_path)  # ZeRO-2 is the default
    config = tmp_path / "zero3.json"
    config.write_text('{"zero_optimization": {"stage": 3}}')
    for name, value in (("ZERO_STAGE", "3"), ("CONFIG_FILE", str(config))):
        with monkeypatch.context() as patch:
            patch.setenv(f"ACCELERATE_DEEPSPEED_{name}", value)
            with pytest.raises(InputError, match="asks for ZeRO-3"):
                hardware.check_hardware(shapes, student, 500, tmp_path)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match="set FSDP_VERSION=2"):
        hardware.check_hardware(shapes, student, 500, tmp_path)


def test_doctor_sizes_a_student_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    result = CliRunner().invoke(main, ["--params", str(PARAMS), "doctor", "gemma3_4b"])
    assert result.exit_code == 1
    assert "!!  gemma3_4b: google/gemma-3-4b-it, 4.30 billion weights, 8.6 GB to fetch; accept its" in result.output
    assert "gemma3_4b: at most about 17.6 GiB to train" in result.output and "GB of disk at most" in result.output
    assert "of disk free" in result.output and "H200, 141 GiB: about 6.2 h" in result.output


def test_doctor_says_once_that_a_base_of_unknown_shape_has_to_be_fetched_first(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(params_yaml({"students.gemma4_e4b.base": "google/gemma-5-E4B-it"}), encoding="utf-8")
    result = CliRunner().invoke(main, ["--params", str(params), "doctor", "gemma4_e4b"])
    assert (
        result.exit_code == 1 and result.output.count("google/gemma-5-E4B-it can be sized once its files are in") == 1
    )
    assert "USD" not in result.output


def test_the_pinned_shape_of_a_base_has_the_parameters_that_its_publisher_counts(tmp_path: Path) -> None:
    """Of the smallest, of one whose embeddings are not tied, and of one whose files hold more than the model has: keys
    and values of 20 layers, four of them global, that take those of other layers. Each takes a second."""
    students = tree.load(PARAMS).students
    assert {one.base for one in students.values()} - {"nano"} == set(json.loads(sizing.BASES.read_text()))
    unused = 16 * (2 * 1536 + 1) * 256 + 4 * (2 * 1536 + 1) * 512
    for name, left in (("qwen3_vl_2b", 0), ("qwen2_5_vl_7b_tableqa", 0), ("gemma4_e2b", unused)):
        shapes = sizing.find_shapes(students[name], tmp_path)
        entry = sizing.find_base(students[name])
        assert entry is not None and sizing.count_weights(shapes) + left == entry["parameters"]


def test_the_height_of_a_line_is_that_of_its_letters() -> None:
    image = Image.new("L", (400, 300), 255)
    draw = ImageDraw.Draw(image)
    for top in range(20, 280, 40):
        for left in range(20, 380, 20):
            draw.rectangle((left, top, left + 7, top + 11), 0)
    assert measure_line_height(image) == 12
    draw.line((10, 0, 10, 299), 0)  # a rule from top to bottom joins all lines, and is not counted
    assert measure_line_height(image) == 12
    assert measure_line_height(Image.new("L", (400, 300), 255)) is None


def test_a_tier_is_adopted_only_where_its_interval_is_above_zero() -> None:
    before = {f"{number:012x}-p{page:04d} content": 0.5 for number in range(30) for page in (1, 2)}
    better = {name: 0.7 + place % 3 / 100 for place, name in enumerate(before)}
    mixed = {name: 0.5 + (0.1 if place % 4 < 2 else -0.1) for place, name in enumerate(before)}
    gain = measure_gain(before, better)
    assert gain["adopted"] and gain["documents"] == 30
    gain = measure_gain(before, mixed)
    assert not gain["adopted"] and gain["gain_lo"] is not None and gain["gain_lo"] < 0 < (gain["gain_hi"] or 0)
    assert not measure_gain(before, before)["adopted"]
    assert measure_gain({}, {}) == {"adopted": False, "gain": None, "gain_lo": None, "gain_hi": None, "documents": 0}


def test_three_documents_that_gain_alike_prove_no_tier() -> None:
    names = [f"{number:012x}-p0001 table_qa" for number in range(3)]
    gain = measure_gain(dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0))
    assert not gain["adopted"] and gain["gain"] == gain["gain_hi"] == 1


def test_the_rank_correlation_of_loss_and_score() -> None:
    assert correlate_ranks([3.0, 2.0, 1.0], [0.1, 0.2, 0.9]) == -1.0
    assert correlate_ranks([3.0, 2.0], [0.1, 0.2]) is None


GEMMA_4B: Shapes = {
    "model.language_model.embed_tokens.weight": (262_208, 2560), "model.vision_tower.rest": (480_000, 1000),
    **{f"model.language_model.layers.{layer}.{name}.weight": shape for layer in range(34) for name, shape in {
        "self_attn.q_proj": (2048, 2560), "self_attn.k_proj": (1024, 2560), "self_attn.v_proj": (1024, 2560),
        "self_attn.o_proj": (2560, 2048), "mlp.gate_proj": (10240, 2560), "mlp.up_proj": (10240, 2560),
        "mlp.down_proj": (2560, 10240)}.items()},
}  # fmt: skip
"""Names and shapes of Gemma-3-4B, its vision tower as one; a dense page has 4,011 tokens."""


def claim_gpu(monkeypatch: pytest.MonkeyPatch, gib: int) -> None:
    monkeypatch.setattr(hardware, "list_gpus", lambda: [("Some GPU", gib * hardware.GIB)])


def test_a_dense_page_of_gemma_3_4b_fits_a_card_of_16_gib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student = tree.load(PARAMS).find_student("gemma3_4b")
    claim_gpu(monkeypatch, 16)
    hardware.check_hardware(GEMMA_4B, student, 4011, tmp_path)
    claim_gpu(monkeypatch, 10)
    with pytest.raises(InputError, match="set quantization to nf4, and it needs 8"):
        hardware.check_hardware(GEMMA_4B, student, 4011, tmp_path)
    hardware.check_hardware(GEMMA_4B, student.model_copy(update={"quantization": "nf4"}), 4011, tmp_path)


def test_the_remedies_offered_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim_gpu(monkeypatch, 24)
    whole = tree.load(PARAMS).find_student("gemma3_4b").model_copy(update={"fused_loss": False})
    with pytest.raises(InputError, match=r"about 29 GiB .*; set fused_loss to true, and it needs 13\.$"):
        hardware.check_hardware(GEMMA_4B, whole, 4011, tmp_path)
    batch = whole.model_copy(update={"fused_loss": True, "batch_size": 8, "eval_batch_size": 8})
    both = "set batch_size to 1 and eval_batch_size to 1 and accumulation to 64, and it needs 13"
    with pytest.raises(InputError, match=both):
        hardware.check_hardware(GEMMA_4B, batch, 4011, tmp_path)
    never = batch.model_copy(update={"batch_size": 1, "eval_batch_size": 1, "checkpointing": "never"})
    with pytest.raises(InputError, match="set checkpointing to auto, and it needs 13"):
        hardware.check_hardware(GEMMA_4B, never, 4011, tmp_path)
    claim_gpu(monkeypatch, 4)
    with pytest.raises(InputError, match=r"and it needs 8; lower cutoff_len .*, or take a larger GPU\.$"):
        hardware.check_hardware(GEMMA_4B, never, 4011, tmp_path)


def test_gradients_are_checkpointed_where_they_do_not_fit_without(monkeypatch: pytest.MonkeyPatch) -> None:
    student = tree.load(PARAMS).find_student("gemma3_4b")
    for gib, is_checkpointed in ((24, True), (80, False)):
        claim_gpu(monkeypatch, gib)
        assert hardware.choose_checkpointing(GEMMA_4B, student, 4011) == is_checkpointed
        for said in ("always", "never"):
            own = student.model_copy(update={"checkpointing": said})
            assert hardware.choose_checkpointing(GEMMA_4B, own, 4011) == (said == "always")
    monkeypatch.setattr(hardware, "list_gpus", lambda: [])
    assert hardware.choose_checkpointing(GEMMA_4B, student, 4011)
    assert not hardware.choose_checkpointing(GEMMA_4B, student.model_copy(update={"precision": "fp32"}), 4011)


def test_a_fused_loss_without_a_gpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "list_gpus", lambda: [])
    nano = tree.load(PARAMS).find_student("nano").model_copy(update={"fused_loss": True})
    with pytest.raises(InputError, match="there is no GPU, which fused_loss needs"):
        hardware.check_hardware(read_shapes(NANO, families.load("gemma3")), nano, 500, tmp_path)
