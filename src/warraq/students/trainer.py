"""LLaMA-Factory's trainer with a contract: `python -m warraq.students.trainer train.yaml [key=value …]`.

It runs in a process of its own, in the folder of the YAML, where `contract.json` says what was audited. Before the
first step the lengths of all samples and the trainable weights are held against it, in the model and the dataset that
were really loaded. At each evaluation a few fixed validation samples may be answered, and the best checkpoint is then
that of the best answers. With several GPUs, or FORCE_TORCHRUN=1, LLaMA-Factory's own launcher starts torchrun.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

CONTRACT = Path("contract.json")
SCORES = Path("output/scores")  # <step>.json: {"<page_id> <task>": score}
TIE = 1e-6  # of the loss, taken off a score: decides between equal scores and nothing else


def main() -> None:
    from llamafactory import launcher
    from llamafactory.extras.misc import get_device_count, is_env_enabled

    if "LOCAL_RANK" not in os.environ and (is_env_enabled("FORCE_TORCHRUN") or get_device_count() > 1):
        launcher.__file__ = f"-m {__spec__.name if __spec__ else __name__}"  # what torchrun is to start
        sys.argv.insert(1, "train")
        launcher.launch()
        return
    from llamafactory.data.processor import supervised
    from llamafactory.train import tuner

    supervised.SupervisedDatasetProcessor.print_data_example = lambda *_: None  # documents are private
    tuner.run_exp(callbacks=[guard(json.loads(CONTRACT.read_text(encoding="utf-8")))])


def hold(contract: dict[str, Any], model: Any, lengths: list[int]) -> dict[str, Any]:
    """What is trained, by component.

    Raises:
        RuntimeError: another count of tokens than the audit's, or other modules than the tier names.
    """
    from warraq.students import contract as terms
    from warraq.students import family

    if len(lengths) != len(contract["tokens"]):
        raise RuntimeError(f"LLaMA-Factory kept {len(lengths)} of {len(contract['tokens'])} samples")
    for name, audited, counted in zip(contract["names"], contract["tokens"], lengths, strict=True):
        if audited != counted:
            raise RuntimeError(f"LLaMA-Factory counts {counted} tokens of sample {name}, the audit {audited}")
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
        raise RuntimeError(problem)
    if contract["targets"] is not None:
        odd = sorted({part for part in trained if part + ".weight" in known} ^ set(contract["targets"]))
        if odd:
            raise RuntimeError(f"{odd[0]} is {'not ' * (odd[0] not in trained)}trained, otherwise than the tier says")
    return found


def guard(contract: dict[str, Any]) -> Any:
    """The callback that holds the contract and scores the answers."""
    import pyarrow.compute as compute
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
    from transformers import TrainerCallback

    losses: list[float] = []
    step = CustomSeq2SeqTrainer.prediction_step

    def recorded(self: Any, *arguments: Any, **options: Any) -> Any:
        found = step(self, *arguments, **options)
        losses.append(float(found[0]))
        return found

    if contract["loss_by_task"]:  # evaluation goes sample by sample, in order, on one device
        CustomSeq2SeqTrainer.prediction_step = recorded

    class Guard(TrainerCallback):  # type: ignore[misc]
        over = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            rows = kwargs["train_dataloader"].dataset.data.column("input_ids")
            found = hold(contract, kwargs["model"], compute.list_value_length(rows).to_pylist())
            if state.is_world_process_zero:
                Path("modules.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.over = True

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if self.over:
                return
            metrics: dict[str, float] = kwargs["metrics"]
            known: dict[str, float] = {}
            tasks = contract["loss_by_task"]
            if tasks and len(losses) == len(tasks) and args.world_size == 1:
                for task in sorted(set(tasks)):
                    these = [loss for loss, other in zip(losses, tasks, strict=True) if other == task]
                    known[f"eval_{task}_loss"] = sum(these) / len(these)
            losses.clear()
            if contract["scored"]:
                tokenizer, loader = kwargs["processing_class"], kwargs["eval_dataloader"]
                found = scored(contract["scored"], kwargs["model"], tokenizer, loader)
                if state.is_world_process_zero:
                    SCORES.mkdir(parents=True, exist_ok=True)
                    path = SCORES / f"{state.global_step}.json"
                    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
                score = sum(found.values()) / len(found)
                known |= {"eval_score": score, "eval_choice": score - TIE * metrics["eval_loss"]}
            metrics.update(known)
            state.log_history[-1].update(known)

    return Guard()


def scored(chosen: dict[str, int], model: Any, tokenizer: Any, loader: Any) -> dict[str, float]:
    """The score of the model's greedy answer to each chosen sample; `chosen`: its name and its place in the dataset."""
    import torch

    from warraq.students.score import score

    dataset, collate = loader.dataset, loader.collate_fn
    training = model.training
    model.eval()
    found = {}
    for name, place in chosen.items():
        row = dataset[place]
        length = next(index for index, label in enumerate(row["labels"]) if label != -100)
        target = tokenizer.decode(row["labels"][length:], skip_special_tokens=True)
        asked = {key: row[key][:length] for key in ("input_ids", "attention_mask", "labels")}
        inputs = collate([row | asked])
        inputs = {
            key: value[..., :length] if key in ("input_ids", "attention_mask", "token_type_ids") else value
            for key, value in inputs.items()
            if key not in ("labels", "position_ids", "rope_deltas", "cross_attention_mask")
        }
        inputs = {key: value.to(model.device) if hasattr(value, "to") else value for key, value in inputs.items()}
        limit = (len(row["labels"]) - length) * 5 // 4 + 16
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
            answer = model.generate(**inputs, max_new_tokens=limit, do_sample=False, use_cache=True)
        found[name] = score(target, tokenizer.decode(answer[0, length:], skip_special_tokens=True))
    model.train(training)
    return found


if __name__ == "__main__":
    main()
