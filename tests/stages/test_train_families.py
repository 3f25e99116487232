"""Every family on a tiny model: audit, train, merge, reload, answer; and what each of them must refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from support import NANO, PARAMS, tiny
from support.params import params_yaml, read_params
from warraq import params as tree
from warraq.cli.main import main
from warraq.errors import InputError
from warraq.files import read_json, write_json
from warraq.image_settings import change_image_settings, read_image_settings
from warraq.records import Sample, Turn, read_samples
from warraq.students import Student, Tier, families
from warraq.students.weights import read_shapes
from warraq.training import audit, llamafactory, mending, trainable_modules, workdir
from warraq.views import count_views, cut_views

pytestmark = pytest.mark.slow

FAMILIES = ("gemma3", "gemma4", "qwen2_5_vl", "qwen3_vl", "llava_1_5", "llava_next")
TIER = {"language": True, "projector": True, "vision_attention_last": 0, "rank": 4, "alpha": 8, "dropout": 0.0,
        "learning_rate": 0.01, "epochs": 1.5, "patience": 3}  # fmt: skip
VISION = TIER | {"language": False, "projector": False, "vision_attention_last": 4, "epochs": 0.5}


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("bases")

    def base(name: str) -> Path:
        if name == "gemma3":
            return NANO
        return folder / name if (folder / name).exists() else tiny.make_model(name, folder / name)

    return base


@pytest.fixture
def chosen(tmp_path: Path) -> Callable[..., Path]:
    """A params.yaml with one student of a family."""

    def write(name: str, tiers: list[dict[str, Any]], **changes: Any) -> Path:
        entry = read_params()["students"]["nano"] | {
            "family": name,
            "batch_size": 4,
            "eval_batch_size": 1,
            "eval_steps": 3,
        }
        entry |= {"logging_steps": 1, "scored_samples": len(tiers), "image_max_pixels": 100_000, "tiers": tiers}
        entry |= {"min_line_px": 0, "max_tokens_per_image_token": 100}
        entry |= {"views": "page + 2 bands"} if name == "gemma3" else {"base": f"tiny/{name}", "revision": "0" * 40}
        path = tmp_path / "params.yaml"
        path.write_text(params_yaml({"students": {"student": entry | changes}}), encoding="utf-8")
        return path

    return write


def call(params: Path, training_data: Path, command: str, *options: str, **places: Path) -> Result:
    places |= {"dataset": training_data / "dataset", "pages": training_data / "pages"}
    flat = [text for key, place in places.items() for text in (f"--{key}", str(place))]
    return CliRunner().invoke(main, ["--params", str(params), command, "--student", "student", *flat, *options])


def train(params: Path, training_data: Path, base: Path, folder: Path, *options: str) -> Result:
    places = {"base": base, "out": folder / "adapter", "metrics": folder / "audit.json", "curve": folder / "tokens.csv",
              "losses": folder / "loss.csv"}  # fmt: skip
    return call(params, training_data, "train", *options, **places)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_audited_trained_merged_reloaded_and_asked(
    name: str, bases: Callable[[str], Path], chosen: Callable[..., Path], training_data: Path, tmp_path: Path
) -> None:
    base, tiers = bases(name), [TIER, VISION] if name == "qwen2_5_vl" else [TIER]
    params = chosen(name, tiers, checkpointing="always" if len(tiers) == 2 else "auto")
    result = train(params, training_data, base, tmp_path)
    assert result.exit_code == 0, result.output
    lineage = read_json(tmp_path / "adapter/lineage.json")
    first = lineage["tiers"][0]
    assert first["modules"]["vision"]["modules_trained"] == 0
    layers = {"gemma3": 7 * 5, "gemma4": 7 * 4 - 2 * 2, "qwen3_vl": 7 * 3}.get(name, 7 * 2)
    assert first["modules"]["language"]["modules_trained"] == layers
    assert first["modules"]["projector"]["weights_trained"] > 0
    audited = read_json(tmp_path / "audit.json")
    assert name != "gemma3" or audited["tasks"]["invoice"]["image_tokens"]["p50"] == 3 * 400
    metrics = audited["tiers"]["1"]
    assert 0 <= metrics["eval_score"] == first["eval_score"] <= 1
    assert "eval_invoice_loss" in (tmp_path / "adapter/1/loss.csv").read_text()
    header, *losses = (tmp_path / "loss.csv").read_text().splitlines()
    assert header == "tier,step,loss,eval_loss" and {line[0] for line in losses} == set("12"[: len(tiers)])
    steps = [int(line.split(",")[1]) for line in losses]
    assert steps == sorted(steps) and all(line.split(",")[3] for line in losses)
    if len(tiers) == 2:
        second = lineage["tiers"][1]["modules"]
        assert second["vision"]["modules_trained"] == 8
        assert second["language"]["modules_trained"] == second["projector"]["modules_trained"] == 0
        assert lineage["tiers"][1]["adopted"] == (tmp_path / "adapter/2").exists()

    merged = tmp_path / "merged"
    result = call(params, training_data, "merge", base=base, adapter=tmp_path / "adapter", out=merged)
    assert result.exit_code == 0, result.output
    proof = read_json(tmp_path / "merged.parity.json")
    assert proof["changed"]["language"] > 0 and proof["changed"]["projector"] > 0 and proof["changed"]["vision"] == 0
    assert proof["expected"] == sum(proof["changed"].values()) + len(proof["lost_in_rounding"])
    assert proof["answers_equal"] and proof["tokens"] > 0
    assert read_image_settings(merged) == families.load(name).cap_pixels(read_image_settings(base), 100_000)


@pytest.mark.parametrize("views", ["page", "page + 2 bands"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_audit_the_trainer_and_the_serving_processor_see_the_same_tokens(
    name: str, views: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    """Golden tokens: LLaMA-Factory's ids are those of the model's own chat template, for images of any shape, one and
    several."""
    from llamafactory.data.processor.supervised import SupervisedDatasetProcessor
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer
    from transformers import AutoImageProcessor, AutoProcessor

    base, family, prompt, answer = bases(name), families.load(name), "Read: what?", '{"a":"é"}'
    student = plain(name)
    changed = change_image_settings(base, lambda settings: family.cap_pixels(settings, student.image_max_pixels))
    llamafactory.link_model(tmp_path / "base", base, base, changed)
    mending.drop_thoughts(family.template)
    settings = {"model_name_or_path": str(tmp_path / "base"), "template": family.template,
                "default_system": family.system, "stage": "sft", "do_train": True, "dataset": "x",
                "dataset_dir": str(tmp_path), "use_cpu": True, "output_dir": str(tmp_path / "o"),
                "image_max_pixels": 10**7, "cutoff_len": 10**6}  # fmt: skip
    (tmp_path / "dataset_info.json").write_text('{"x": {"file_name": "x.json"}}')
    model_args, data_args, *_ = get_train_args(settings)
    loaded = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
    encoder = SupervisedDatasetProcessor(template, loaded["tokenizer"], loaded["processor"], data_args)
    processor = AutoProcessor.from_pretrained(tmp_path / "base")
    processor.image_processor = AutoImageProcessor.from_pretrained(tmp_path / "base", backend="pil")

    samples = []
    for number, size in enumerate([(160, 200), (900, 640), (333, 1001), (50, 60)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
        turns = (Turn(role="user", content="<image>" + prompt), Turn(role="assistant", content=answer))
        samples.append(
            Sample(page_id=f"p{number}", document="d", task="t", reference="gold", images=(f"{number}.png",),
                   conversations=turns)
        )  # fmt: skip
    content = [*[{"type": "image"}] * count_views(views), {"type": "text", "text": prompt}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    measure = audit.SampleMeasure(base, student, tmp_path)
    for sample, row in zip(samples, audit.measure_samples(measure, {"train": samples}, views), strict=True):
        shown = [*cut_views(Image.open(tmp_path / sample.images[0]), views)]
        paths = [str(tmp_path / f"{place}-{sample.images[0]}") for place, _ in enumerate(shown)]
        for view, path in zip(shown, paths, strict=True):
            view.save(path)
        asking = [{"role": "user", "content": family.image_mark * len(shown) + prompt}]
        answering = [{"role": "assistant", "content": answer}]
        ids, labels = encoder._encode_data_example(asking, answering, None, None, paths, [], [])
        asked = sum(label == -100 for label in labels)
        own = processor(text=[text], images=shown, add_special_tokens=False)["input_ids"][0]
        begin = ids[:1] if name.startswith("llava") else []  # its template leaves <s> to the tokenizer
        assert begin + list(own) == ids[:asked]
        assert (row.tokens, row.target_tokens) == (len(ids), len(ids) - asked)


def plain(name: str) -> Student:
    student = tree.load(PARAMS).find_student("nano")
    return student.model_copy(update={"family": name, "image_max_pixels": 200_000})


def test_a_tier_that_matches_nothing_is_refused(
    bases: Callable[[str], Path], chosen: Callable[..., Path], training_data: Path, tmp_path: Path
) -> None:
    result = train(
        chosen("gemma3", [TIER], base="tiny/x", revision="0" * 40), training_data, bases("qwen3_vl"), tmp_path
    )
    assert (result.exit_code, "is a qwen3_vl model, not a gemma3" in result.output) == (2, True)
    shapes = read_shapes(bases("llava_1_5"), families.load("llava_1_5"))
    with pytest.raises(InputError, match="the tier trains projector, but no linear layer of the base is one"):
        trainable_modules.lora_targets(shapes, families.load("qwen3_vl"), Tier.model_validate(TIER))
    result = train(
        chosen("llava_1_5", [VISION | {"vision_attention_last": 6}]), training_data, bases("llava_1_5"), tmp_path
    )
    assert "vision_attention_last is 6, but only 5 blocks are used" in result.output


@pytest.mark.parametrize(("added", "code", "said"), [(0.0, 0, "audit: 10 samples"), (1.0, 2, "stores lm_head.weight")])
def test_a_tied_head_may_be_stored_if_it_is_the_embedding(
    chosen: Callable[..., Path], training_data: Path, tmp_path: Path, added: float, code: int, said: str
) -> None:
    """As Qwen3-VL-2B stores it."""
    from safetensors.torch import load_file, save_file

    base = tiny.make_model("qwen3_vl", tmp_path / "base")
    config, tied = read_json(base / "config.json"), {"tie_word_embeddings": True}
    write_json(base / "config.json", config | tied | {"text_config": config["text_config"] | tied})
    tensors = load_file(base / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.language_model.embed_tokens.weight"] + added
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    result = train(chosen("qwen3_vl", [TIER]), training_data, base, tmp_path, "--dry-run")
    assert (result.exit_code, said in result.output) == (code, True), result.output


def test_several_processes_prepare_the_samples_as_one(training_data: Path, tmp_path: Path) -> None:
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    student, family = tree.load(PARAMS).find_student("nano"), families.load("gemma3")
    dataset = training_data / "dataset"
    samples: audit.Samples = {"train": read_samples(dataset / "train.json"), "val": read_samples(dataset / "val.json")}
    workdir.write_workdir(folder := tmp_path / "part", NANO, dataset, training_data / "pages", student, samples)
    measure = audit.SampleMeasure(NANO, student, training_data / "pages")
    sizes = audit.measure_samples(measure, samples, student.views)
    settings = llamafactory.training_settings(
        student, student.tiers[0], ["layer"], sizes, largest_px=32_000, seed=1, checkpoints=2
    )
    assert settings["template"] == family.template

    def prepare(processes: int) -> list[dict[str, Any]]:
        places = {"model_name_or_path": "base", "dataset_dir": "data", "media_dir": "pages", "output_dir": "output"}
        own = {name: str(folder / place) for name, place in places.items()}
        several = {"preprocessing_num_workers": processes, "use_cpu": True}
        model, data, training, *_ = get_train_args({**settings, **own, **several})
        tokenizer = load_tokenizer(model)
        template = get_template_and_fix_tokenizer(tokenizer["tokenizer"], data)
        rows: list[dict[str, Any]] = get_dataset(template, model, data, training, "sft", **tokenizer)["train_dataset"]
        return list(rows)

    one, three = prepare(1), prepare(3)
    assert one == three and len(one) == len(samples["train"])
    assert [len(row["input_ids"]) for row in one] == [size.tokens for size in sizes if size.split == "train"]


def test_a_missing_shard_and_a_cut_one_are_refused(
    bases: Callable[[str], Path], chosen: Callable[..., Path], training_data: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    llamafactory.link_model(base, bases("llava_next"), bases("llava_next"), {})
    weights = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").unlink()
    (base / "model.safetensors").write_bytes(weights[:-100])
    assert "is cut: it should have" in train(chosen("llava_next", [TIER]), training_data, base, tmp_path).output
    shards = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    (base / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert (
        "lacks model-00002-of-00002.safetensors"
        in train(chosen("llava_next", [TIER]), training_data, base, tmp_path).output
    )


def test_the_export_of_two_tiers_is_one_merge_after_another_bit_for_bit(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    import torch
    from llamafactory.train.tuner import export_model
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForImageTextToText

    base, family = bases("qwen2_5_vl"), families.load("qwen2_5_vl")
    shapes = read_shapes(base, family)
    for number, tier in (("1", TIER), ("2", VISION)):
        model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
        names = trainable_modules.lora_targets(shapes, family, Tier.model_validate(tier))
        tuned = get_peft_model(model, LoraConfig(r=4, target_modules=names))
        torch.manual_seed(int(number))
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)
        tuned.save_pretrained(str(tmp_path / number))

    def export(model: Path, adapters: str, out: str) -> dict[str, torch.Tensor]:
        export_model({"model_name_or_path": str(model), "adapter_name_or_path": adapters, "template": family.template,
                      "infer_dtype": "float32", "export_dir": str(tmp_path / out), "export_device": "cpu"})  # fmt: skip
        return load_file(tmp_path / out / "model.safetensors")

    both = export(base, f"{tmp_path / '1'},{tmp_path / '2'}", "both")
    export(base, str(tmp_path / "1"), "first")
    after = export(tmp_path / "first", str(tmp_path / "2"), "second")
    assert both.keys() == after.keys()
    assert all(torch.equal(both[name], after[name]) for name in both)
    before = load_file(base / "model.safetensors")
    assert sum(not torch.equal(both[name], before[name]) for name in both) == 14 + 2 + 8
