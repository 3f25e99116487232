"""What `warraq merge` refuses: faults planted in adapters, base, parameters and in each step of a merge."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from support import NANO
from support.merge_project import merge, write_adapter, write_lineage
from support.params import params_yaml
from warraq.files import write_json
from warraq.students import Student
from warraq.students.weights import INDEX
from warraq.training import merging

pytestmark = pytest.mark.slow

Fault = Callable[[Path], object]
Tensors = dict[str, torch.Tensor]
STAGE = "warraq.stages.merge"
LAYER = "language_model.model.layers.{}.mlp.down_proj.weight"
PROJECTION = "multi_modal_projector.mm_input_projection_weight"


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two adapters, the second on the first."""
    folder = tmp_path_factory.mktemp("chain")
    for number in (1, 2):
        write_adapter(folder / str(number), number)
    return write_lineage(folder)


@pytest.fixture(scope="session")
def exported(chain: Path, training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LLaMA-Factory's merged model in float32 of the chain, from a merge that was proved."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "params.yaml").write_text(params_yaml())

    def keep(base: Path, adapters: list[Path], part: Path, student: Student) -> Path:
        export = merging.merge_float32(base, adapters, part, student)
        shutil.copytree(export, folder / "export")
        return export

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{STAGE}.merge_float32", keep)
        result = merge(folder / "params.yaml", training_data, chain, folder / "merged")
    assert result.exit_code == 0, result.output
    changed = json.loads((folder / "merged.parity.json").read_text())["changed"]
    assert changed == {"language": 10, "projector": 2, "vision": 0}
    return folder / "export"


@pytest.fixture
def refused(
    exported: Path, chain: Path, params: Callable[..., Path], training_data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:  # fmt: skip
    """The sentence that refuses a merge with a fault in a copy of the adapters, of the base, or in what LLaMA-Factory
    exported or the stage wrote."""

    def nothing(folder: Path) -> None:
        pass

    def sentence(
        adapter: Fault = nothing, base: Fault = nothing, export: Fault = nothing, written: Fault = nothing,
        **changes: object,
    ) -> str:  # fmt: skip
        def give(base: Path, adapters: list[Path], part: Path, student: Student) -> Path:
            shutil.copytree(exported, part / "export")
            export(part / "export")
            return part / "export"

        def copy(base: Path, folder: Path, student: Student) -> None:
            merging.copy_configuration(base, folder, student)
            if folder.name == "merged":
                written(folder)

        monkeypatch.setattr(f"{STAGE}.merge_float32", give)
        monkeypatch.setattr(f"{STAGE}.copy_configuration", copy)
        for source, name, fault in ((chain, "adapter", adapter), (NANO, "base", base)):
            shutil.copytree(source, tmp_path / name)
            fault(tmp_path / name)
        settings = params(**changes)
        result = merge(settings, training_data, tmp_path / "adapter", tmp_path / "merged", tmp_path / "base")
        assert result.exit_code, result.output
        assert not [path for path in tmp_path.iterdir() if path.name.startswith("merged")]
        return result.output

    return sentence


def edit(change: Callable[[Tensors], object]) -> Fault:
    """A fault in the tensors of a folder."""

    def fault(folder: Path) -> None:
        path = next(folder.glob("*model.safetensors"))
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, {"format": "pt"})

    return fault


def put(name: str, **values: object) -> Fault:
    """A fault in a JSON file of a folder."""
    return lambda folder: write_json(folder / name, json.loads((folder / name).read_text()) | values)


def swap_layers(tensors: Tensors) -> None:
    one, other = LAYER.format(0), LAYER.format(1)
    tensors[one], tensors[other] = tensors[other], tensors[one]


def swap_tokens(folder: Path) -> None:
    tokens = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokens["model"]["vocab"]
    one, other = list(vocabulary)[300:302]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    write_json(folder / "tokenizer.json", tokens)


def halve(name: str) -> Callable[[Tensors], None]:
    """Half of the adapters' change of a tensor of nano."""

    def change(tensors: Tensors) -> None:
        tensors[name] = (tensors[name] + load_file(NANO / "model.safetensors")[name].float()) / 2

    return change


def set_first(name: str, value: float) -> Callable[[Tensors], object]:
    return lambda tensors: tensors[name].view(-1)[:1].fill_(value)


def replace(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], None]:
    def do(tensors: Tensors) -> None:
        tensors[name] = change(tensors[name]).contiguous()

    return do


NORM, FIRST = "language_model.model.norm.weight", LAYER.format(0)
UNTRAINED = "vision_tower.vision_model.post_layernorm.weight"
OFF = rf"warraq: {FIRST} is not what base and adapters make of it: in float32 it is .* off"
EXPORTED: dict[str, tuple[Callable[[Tensors], object], str]] = {
    "two layers swapped": (swap_layers, OFF),
    "half scale": (halve(FIRST), OFF),
    "one element": (set_first(FIRST, 0.5), OFF),
    "not a number": (set_first(FIRST, float("nan")), r"in float32 it is inf off"),
    "projector at half": (halve(PROJECTION), rf"{PROJECTION} is not what base and adapters make of it"),
    "left as it was": (
        replace(FIRST, lambda _: load_file(NANO / "model.safetensors")[FIRST].float()), OFF,
    ),
    "untrained": (set_first(UNTRAINED, 3.0), rf"{UNTRAINED} changed, although it was not trained"),
    "lost": (lambda tensors: tensors.pop(NORM), rf"{NORM} is missing from the merged model"),
    "invented": (lambda tensors: tensors.update(x=torch.ones(1)), r"x is new in the merged model"),
    "other shape": (replace(NORM, lambda one: one[:-1]), rf"{NORM} is \[\d+\] in the merged model, \[\d+\] in"),
}  # fmt: skip
WRITTEN: dict[str, tuple[Fault, str]] = {
    "two layers swapped": (
        edit(swap_layers), rf"{FIRST} in the merged model is not its float32 value rounded once to torch.bfloat16",
    ),
    "an untrained tensor": (edit(set_first(UNTRAINED, 3.0)), rf"{UNTRAINED} changed, although it was not trained"),
    "other type": (
        edit(replace(FIRST, torch.Tensor.half)), rf"{FIRST} is torch.float16 in the merged model, torch.bfloat16 in",
    ),
    "lost": (edit(lambda tensors: tensors.pop(NORM)), rf"{NORM} is missing from the merged model"),
    "token ids": (swap_tokens, "tokenizer.json of the merged model is not the base's"),
    "image mean": (
        put("processor_config.json", image_processor={"image_mean": [0.1, 0.1, 0.1]}),
        "processor_config.json of the merged model is not the base's",
    ),
    "configuration": (
        put("config.json", torch_dtype="float16"), "warraq: config.json of the merged model is not the base's",
    ),
    "template": (
        lambda folder: (folder / "chat_template.jinja").write_text("x"), "chat_template.jinja of the merged model is",
    ),
    "an adapter left": (
        lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter_config.json is new in the merged",
    ),
    "a file lost": (
        lambda folder: (folder / "generation_config.json").unlink(), "generation_config.json is missing from",
    ),
    "an index": (lambda folder: (folder / INDEX).write_text("{}"), f"{INDEX} is new in the merged model"),
}  # fmt: skip
ADAPTER: dict[str, tuple[Fault, str]] = {
    "alpha": (put("1/adapter_config.json", lora_alpha=80), "adapter/1/adapter_config.json is not what it was"),
    "weights": (
        lambda folder: edit(set_first("base_model.model.model.language_model.layers.0.mlp.down_proj.lora_A.weight", 1))(
            folder / "2"
        ),
        "adapter/2 is not the adapter that was trained there",
    ),
    "revision": (put("lineage.json", revision="1" * 64), "was trained with revision 111.*, params.yaml says"),
    "pixels": (
        put("lineage.json", image_max_pixels=9999), "was trained with image_max_pixels 9999, params.yaml says None",
    ),
    "views": (put("lineage.json", views="page + 2 bands"), "with views page . 2 bands, params.yaml says page"),
    "base": (put("lineage.json", base="someone/else"), "was trained with base someone/else, params.yaml says nano"),
    "tuning": (put("lineage.json", tuning="full"), "was trained with tuning full, params.yaml says lora"),
    "no settings": (
        lambda folder: write_json(folder / "lineage.json", {"base": "nano"}), "lineage.json does not tell base_sha256",
    ),
    "a kind without proof": (
        lambda folder: (put("1/adapter_config.json", use_rslora=True)(folder), write_lineage(folder)),
        "adapter/1/adapter_config.json sets use_rslora to True, which the proof cannot hold",
    ),
    "half a pair": (
        lambda folder: (
            edit(lambda some: some.pop("base_model.model.model.language_model.layers.0.mlp.down_proj.lora_A.weight"))(
                folder / "1"
            ),
            write_lineage(folder),
        ),
        "down_proj.lora_B.weight without its other factor",
    ),
}  # fmt: skip
BASE: dict[str, tuple[Fault, str]] = {
    "token ids": (swap_tokens, "base/tokenizer.json is not what it was when .*adapter was trained"),
    "image mean": (
        put("processor_config.json", image_processor={}), "base/processor_config.json is not what it was",
    ),
    "a new template": (
        lambda folder: (folder / "chat_template.json").write_text("{}"), "base/chat_template.json is not what it was",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTED)
def test_a_fault_in_what_was_exported_is_refused(refused: Callable[..., str], name: str) -> None:
    fault, said = EXPORTED[name]
    check(refused(export=edit(fault)), said)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_fault_in_what_was_written_is_refused(refused: Callable[..., str], name: str) -> None:
    fault, said = WRITTEN[name]
    check(refused(written=fault), said)


@pytest.mark.parametrize("name", ADAPTER)
def test_another_adapter_than_was_trained_is_refused(refused: Callable[..., str], name: str) -> None:
    fault, said = ADAPTER[name]
    check(refused(adapter=fault), said)


@pytest.mark.parametrize("name", BASE)
def test_another_base_than_was_trained_is_refused(refused: Callable[..., str], name: str) -> None:
    fault, said = BASE[name]
    check(refused(base=fault), said)


def check(output: str, said: str) -> None:
    assert re.search(said, output), output
