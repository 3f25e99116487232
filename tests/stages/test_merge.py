"""base + adapter -> merged model with a proof, through `warraq merge`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file, save_file

from support import NANO, merge_project
from support.merge_project import write_adapter, write_lineage
from support.train_project import MERGED_BY
from warraq import params as tree
from warraq.files import write_json
from warraq.runtimes import Trace, manifest
from warraq.students import Student
from warraq.students.families.gemma3 import GEMMA3
from warraq.students.weights import Weights, round_weights
from warraq.tasks import invoice
from warraq.training.answer_proof import compare_answers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A LoRA adapter with drawn weights, and one as PEFT makes it: its product is zero."""
    folder = tmp_path_factory.mktemp("adapters")
    for name, scale in {"idle": 0.0, "drawn": 0.02}.items():
        write_adapter(folder / name / "1", 1, scale)
        write_lineage(folder / name)
    return {name: folder / name for name in ("idle", "drawn")}


@pytest.fixture
def merge(params: Callable[..., Path], training_data: Path, tmp_path: Path) -> Callable[..., Result]:
    def run(adapter: Path, folder: Path = NANO, **changes: object) -> Result:
        return merge_project.merge(params(**changes), training_data, adapter, tmp_path / "merged", folder)

    return run


def test_an_adapter_is_merged_and_proved(
    merge: Callable[..., Result], adapters: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tree.Params.find_student

    def student(params: tree.Params, name: str) -> Student:
        """What dvc.yaml lists of it alone."""
        return Student.model_construct(**whole(params, name).model_dump(include=set(MERGED_BY)))

    monkeypatch.setattr(tree.Params, "find_student", student)
    result = merge(adapters["drawn"])
    assert result.exit_code == 0, result.output
    proof = json.loads((tmp_path / "merged.parity.json").read_text())
    assert proof["changed"] == {"language": 10, "projector": 2, "vision": 0}
    assert proof["answers_equal"]
    assert 0 < proof["largest_logit_difference"] < 1e-3 < proof["rounding"]["largest_logit_difference"]
    assert proof["pages"] == ["000000000008-p0001", "000000000009-p0001"]

    merged = tmp_path / "merged"
    names = {path.name for path in NANO.iterdir()} - {"README.md", "curve.jsonl"}  # which speak of the base
    assert {path.name for path in merged.iterdir()} == names | {"warraq.json"}
    held = manifest.read_manifest(merged)
    assert held.recipe == "0123" and held.look["long_side_px"] == 1600
    assert list(held.tasks) == ["invoice"] and held.tasks["invoice"].prompt == invoice.PROMPT
    assert set(held.files) == names
    assert all((merged / name).read_bytes() == (NANO / name).read_bytes() for name in names - {"model.safetensors"})
    before, after = load_file(NANO / "model.safetensors"), load_file(merged / "model.safetensors")
    adapter = load_file(adapters["drawn"] / "1/adapter_model.safetensors")
    name = "layers.3.mlp.down_proj"
    a, b = (adapter[f"base_model.model.model.language_model.{name}.lora_{side}.weight"] for side in "AB")
    stored = f"language_model.model.{name}.weight"
    assert torch.equal(after[stored], (before[stored].float() + 2 * b @ a).bfloat16())
    assert not (tmp_path / "merged.part").exists()


def test_an_adapter_that_changes_nothing_is_refused(
    merge: Callable[..., Result], adapters: dict[str, Path], tmp_path: Path
) -> None:
    result = merge(adapters["idle"])
    assert "1 does nothing on model.language_model.layers.0.mlp.down_proj (and 9 more)" in result.output
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("merged")]


def test_another_adapter_than_was_trained_there_is_refused(
    merge: Callable[..., Result], adapters: dict[str, Path], tmp_path: Path
) -> None:
    swapped = tmp_path / "swapped"
    shutil.copytree(adapters["drawn"], swapped)
    shutil.copyfile(adapters["idle"] / "1/adapter_model.safetensors", swapped / "1/adapter_model.safetensors")
    result = merge(swapped)
    assert (result.exit_code, "swapped/1 is not the adapter that was trained there" in result.output) == (2, True)


def test_a_shard_that_is_missing_is_refused_by_name(
    merge: Callable[..., Result], adapters: dict[str, Path], tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(NANO, base)
    shards = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    write_json(base / "model.safetensors.index.json", {"weight_map": shards})
    result = merge(adapters["drawn"], base, base="someone/else")
    assert (result.exit_code, "lacks model-00002-of-00002.safetensors" in result.output) == (2, True)


def test_another_base_than_the_adapter_was_trained_on_is_refused(
    merge: Callable[..., Result], adapters: dict[str, Path], tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(NANO, base)
    tensors = load_file(base / "model.safetensors")
    tensors["multi_modal_projector.mm_input_projection_weight"] *= 2
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    result = merge(adapters["drawn"], base)
    assert (result.exit_code, "has SHA-256" in result.output) == (2, True)
    result = merge(adapters["drawn"], base, base="someone/else")  # a hub model, which no hash in params.yaml guards
    assert (result.exit_code, "was trained on other weights" in result.output) == (2, True)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("merged")]


def test_answers_that_end_elsewhere_differ() -> None:
    def run(*rows: list[int]) -> Trace:
        tokens = np.array(rows)
        empty = np.zeros((2, 1))
        return Trace(empty, empty, empty, empty, np.zeros((*tokens.shape, 9)), tokens)

    assert compare_answers(run([1, 2, 3, 0], [4, 5, 6, 7]), run([1, 2, 3], [4, 5, 8])) == ([1], 0.0)
    assert compare_answers(run([1, 2], [4, 5]), run([1, 2], [4, 5])) == ([], 0.0)


@pytest.fixture
def altered(tmp_path: Path) -> Callable[[Callable[[dict[str, torch.Tensor]], object]], Path]:
    """A copy of the base's weights, changed."""

    def write(change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
        tensors = load_file(NANO / "model.safetensors")
        change(tensors)
        (tmp_path / "altered").mkdir()
        save_file(tensors, tmp_path / "altered/model.safetensors", {"format": "pt"})
        return tmp_path / "altered"

    return write


def test_a_missing_tensor_is_named(altered: Callable[..., Path], tmp_path: Path) -> None:
    folder = altered(lambda tensors: tensors.pop("language_model.model.norm.weight"))
    with pytest.raises(RuntimeError, match=r"norm\.weight is missing from"):
        round_weights(NANO, Weights(folder), tmp_path / "merged")


def test_a_base_with_the_names_of_today_that_stores_its_tied_head_is_merged(
    merge: Callable[..., Result], adapters: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(NANO, base := tmp_path / "base")
    tensors = {GEMMA3.module_name(name): one for name, one in load_file(NANO / "model.safetensors").items()}
    tensors["lm_head.weight"] = tensors["model.language_model.embed_tokens.weight"].clone()
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    shutil.copytree(adapters["drawn"], tmp_path / "adapter")
    write_lineage(tmp_path / "adapter", base, "0" * 40, "tiny/x")
    result = merge(tmp_path / "adapter", base, base="tiny/x", revision="0" * 40)
    assert result.exit_code == 0, result.output
    merged = load_file(tmp_path / "merged/model.safetensors")
    assert merged.keys() == tensors.keys()
    assert torch.equal(merged["lm_head.weight"], tensors["lm_head.weight"])
