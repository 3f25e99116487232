"""LLaMA-Factory's trainer with a contract.

It runs in a process of its own (`python -m warraq.training.trainer`), in the folder of the YAML, where `contract.json`
says what was audited. Before the first step the lengths of all samples and the trainable weights are held against it,
in the model and the dataset that were really loaded; what breaks it stands in `refusal.txt`. At each evaluation a few
fixed validation samples may be answered, and the best checkpoint is then that of the best answers. With several GPUs,
or FORCE_TORCHRUN=1, LLaMA-Factory's own launcher starts torchrun.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warraq import tasks
from warraq.errors import InputError
from warraq.tasks import scoring

CONTRACT = Path("contract.json")
REFUSAL = "refusal.txt"
SCORES = Path("output/scores")  # <step>.json: {"<page_id> <task>": score}
TIE = 1e-6  # of the loss, taken off a score: decides between equal scores and nothing else
GREEDY = {"do_sample": False, "repetition_penalty": 1.0, "use_cache": True}  # whatever the model's own settings are
LOCK = "install the packages of the lock (`make setup`)."


def main() -> None:
    from llamafactory import launcher
    from llamafactory.extras.misc import get_device_count, is_env_enabled

    if "LOCAL_RANK" not in os.environ and (is_env_enabled("FORCE_TORCHRUN") or get_device_count() > 1):
        begun = sys.modules["__main__"].__spec__
        assert begun is not None, "begin with python -m"
        launcher.__file__ = f"-m {begun.name}"  # what torchrun is to start
        sys.argv.insert(1, "train")
        launcher.launch()
        return
    from llamafactory.data.processor import supervised
    from llamafactory.train import tuner

    supervised.SupervisedDatasetProcessor.print_data_example = lambda *_: None  # documents are private
    try:
        tuner.run_exp(callbacks=[guard(json.loads(CONTRACT.read_text(encoding="utf-8")))])
    except InputError as error:
        Path(REFUSAL).write_text(str(error), encoding="utf-8")
        sys.exit(2)


def hold(contract: dict[str, Any], model: Any, lengths: list[int]) -> dict[str, Any]:
    """What is trained, by component.

    Raises:
        InputError: another count of tokens than the audit's, or other modules than the tier names.
    """
    from warraq.students import family
    from warraq.training import trainable_modules as terms

    if len(lengths) != len(contract["tokens"]):
        raise InputError(f"LLaMA-Factory kept {len(lengths)} of {len(contract['tokens'])} samples; {LOCK}")
    for name, audited, counted in zip(contract["names"], contract["tokens"], lengths, strict=True):
        if audited != counted:
            raise InputError(f"LLaMA-Factory counts {counted} tokens of sample {name}, the audit {audited}; {LOCK}")
    room = family(contract["family"])
    known: dict[str, tuple[int, ...]] = {}
    trained: dict[str, int] = {}
    for name, weight in model.named_parameters():
        plain = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
        plain = plain.replace(".modules_to_save.default", "")
        part = plain.split(".lora_")[0] if ".lora_" in plain else plain
        if ".lora_" not in plain and ".original_module." not in plain:
            known[part] = tuple(weight.shape)
        if weight.requires_grad:
            trained[part] = trained.get(part, 0) + weight.numel()
    found = terms.table(known, room, trained)
    problem = terms.problem(found, set(contract["components"]))
    if problem:
        raise InputError(problem)
    if contract["targets"] is not None:
        odd = sorted({part for part in trained if part + ".weight" in known} ^ set(contract["targets"]))
        if odd:
            does = "not trained, although" if odd[0] not in trained else "trained, although not"
            raise InputError(f"{odd[0]} is {does} named by the tier; {LOCK}")
    return found


def guard(contract: dict[str, Any]) -> Any:
    """The callback that holds the contract and scores the answers."""
    import pyarrow.compute as compute
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
    from torch.distributed.fsdp import register_fsdp_forward_method
    from transformers import TrainerCallback

    from warraq.training import hardware

    losses: list[float] = []
    step = CustomSeq2SeqTrainer.prediction_step

    def recorded(self: Any, *arguments: Any, **options: Any) -> Any:
        found = step(self, *arguments, **options)
        losses.append(float(found[0]))
        return found

    if hardware.zero_stage():  # DeepSpeed drops a group of no weights, and the scheduler would miss it
        CustomSeq2SeqTrainer.create_optimizer = without_empty_groups(CustomSeq2SeqTrainer.create_optimizer)
    if contract["loss_by_task"]:  # evaluation goes sample by sample, in order, on one device
        CustomSeq2SeqTrainer.prediction_step = recorded

    class Guard(TrainerCallback):  # type: ignore[misc]
        over = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            rows = kwargs["train_dataloader"].dataset.data.column("input_ids")
            found = hold(contract, kwargs["model"], compute.list_value_length(rows).to_pylist())
            register_fsdp_forward_method(kwargs["model"], "generate")  # which else would see the shard of a process
            if state.is_world_process_zero:
                Path("modules.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.over = True

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if self.over:
                return
            metrics: dict[str, float] = kwargs["metrics"]
            known: dict[str, float] = {}
            names = contract["loss_by_task"]
            if names and len(losses) == len(names) and args.world_size == 1:
                for task in sorted(set(names)):
                    these = [loss for loss, other in zip(losses, names, strict=True) if other == task]
                    known[f"eval_{task}_loss"] = sum(these) / len(these)
            losses.clear()
            if contract["scored"]:
                tokenizer, loader = kwargs["processing_class"], kwargs["eval_dataloader"]
                found = scored(contract["scored"], kwargs["model"], tokenizer, loader)
                if state.is_world_process_zero:
                    SCORES.mkdir(parents=True, exist_ok=True)
                    path = SCORES / f"{state.global_step}.json"
                    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
                mean = sum(found.values()) / len(found)
                known |= {"eval_score": mean, "eval_choice": mean - TIE * metrics["eval_loss"]}
            metrics.update(known)
            state.log_history[-1].update(known)

    return Guard()


def without_empty_groups(create: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def created(self: Any) -> Any:
        optimizer = create(self)
        optimizer.param_groups = [group for group in optimizer.param_groups if group["params"]]
        return optimizer

    return created


def scored(chosen: list[dict[str, Any]], model: Any, tokenizer: Any, loader: Any) -> dict[str, float]:
    """The score of the model's greedy answer to each chosen sample, by its name."""
    import torch

    dataset, collate = loader.dataset, loader.collate_fn
    training = model.training
    model.eval()
    found = {}
    for sample in chosen:
        row = dataset[sample["place"]]
        length = next(index for index, label in enumerate(row["labels"]) if label != -100)
        asked = {key: row[key][:length] for key in ("input_ids", "attention_mask", "labels")}
        inputs = collate([row | asked])
        inputs = {
            key: value[..., :length] if key in ("input_ids", "attention_mask", "token_type_ids") else value
            for key, value in inputs.items()
            if key not in ("labels", "position_ids", "rope_deltas", "cross_attention_mask")
        }
        inputs = {
            key: value.to(model.device) if isinstance(value, torch.Tensor) else value for key, value in inputs.items()
        }
        limit = (len(row["labels"]) - length) * 5 // 4 + 16
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
            answer = model.generate(**inputs, max_new_tokens=limit, **GREEDY)
        text = tokenizer.decode(answer[0, length:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        found[sample["name"]] = scoring.answer_quality(tasks.load(sample["task"]), sample["target"], text)
    model.train(training)
    return found


if __name__ == "__main__":
    main()
