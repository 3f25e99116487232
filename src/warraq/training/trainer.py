"""LLaMA-Factory's trainer with a contract.

It runs in a process of its own (`python -m warraq.training.trainer`), in the folder of the YAML, where `contract.json`
says what was audited. Before the first step the lengths of all samples and the trainable weights are held against it,
in the model and the dataset that were really loaded; what breaks it stands in `refusal.txt`. At each evaluation a few
fixed validation samples may be answered, and the best checkpoint is then that of the best answers. With several GPUs,
or FORCE_TORCHRUN=1, LLaMA-Factory's own launcher starts torchrun.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from warraq import tasks
from warraq.errors import InputError
from warraq.students import families
from warraq.students.weights import Shapes
from warraq.tasks import scoring
from warraq.training import mending, trainable_modules
from warraq.training.trainable_modules import ComponentTable
from warraq.training.trainer_contract import CONTRACT, ScoredSample, TrainerContract

REFUSAL = "refusal.txt"
SCORES = Path("output/scores")  # <step>.json: {"<page_id> <task>": score}
TIE = 1e-6  # of the loss, taken off a score: decides between equal scores and nothing else
BY_TOKEN = {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"}  # of what a model takes
GREEDY = {"do_sample": False, "repetition_penalty": 1.0, "use_cache": True}  # whatever the model's own settings are
LOCK = "install the packages of the lock (`make setup`)."


def main() -> None:
    """Train as the YAML says whose name is the first argument."""
    from llamafactory import launcher
    from llamafactory.extras.misc import get_device_count, is_env_enabled

    if "LOCAL_RANK" not in os.environ and (is_env_enabled("FORCE_TORCHRUN") or get_device_count() > 1):
        begun = sys.modules["__main__"].__spec__
        assert begun is not None, "begin with python -m"
        launcher.__file__ = f"-m {begun.name}"  # what torchrun is to start
        sys.argv.insert(1, "train")
        launcher.launch()
        return
    if "LOCAL_RANK" in os.environ:
        die_with_parent()
    contract = TrainerContract.model_validate_json(CONTRACT.read_bytes())
    mending.mend(families.load(contract.family).template)
    from llamafactory.data.processor import supervised
    from llamafactory.train import tuner

    supervised.SupervisedDatasetProcessor.print_data_example = lambda *_: None  # documents are private
    try:
        tuner.run_exp(callbacks=[make_callback(contract)])
    except InputError as error:
        Path(REFUSAL).write_text(str(error), encoding="utf-8")
        sys.exit(2)


def die_with_parent() -> None:
    """Have the kernel kill this process with its parent: torchrun begins a session for each of its processes, which
    leaves them out of the group that is killed with us (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def check_contract(contract: TrainerContract, model: Any, lengths: Sequence[int]) -> ComponentTable:
    """What is trained of a model, by component.

    Args:
        contract: what was audited.
        model: as the trainer loaded it, with its adapters.
        lengths: tokens of each training sample, as the trainer counted them.

    Raises:
        InputError: another count of tokens than the audit's, or other modules than the tier names.
    """
    if len(lengths) != len(contract.tokens):
        raise InputError(f"LLaMA-Factory kept {len(lengths)} of {len(contract.tokens)} samples; {LOCK}")
    for name, audited, counted in zip(contract.names, contract.tokens, lengths, strict=True):
        if audited != counted:
            raise InputError(f"LLaMA-Factory counts {counted} tokens of sample {name}, the audit {audited}; {LOCK}")
    shapes, trained = read_trained(model)
    table = trainable_modules.tabulate(shapes, families.load(contract.family), trained)
    if problem := trainable_modules.find_problem(table, set(contract.components)):
        raise InputError(problem)
    if contract.targets is not None:
        odd = sorted({part for part in trained if part + ".weight" in shapes} ^ set(contract.targets))
        if odd:
            does = "not trained, although" if odd[0] not in trained else "trained, although not"
            raise InputError(f"{odd[0]} is {does} named by the tier; {LOCK}")
    return table


def read_trained(model: Any) -> tuple[Shapes, dict[str, int]]:
    """The shapes of a model's own parameters, and how many weights are trained, by module."""
    shapes: Shapes = {}
    trained: dict[str, int] = {}
    for name, weight in model.named_parameters():
        plain = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
        plain = plain.replace(".modules_to_save.default", "")
        part = plain.split(".lora_")[0] if ".lora_" in plain else plain
        if ".lora_" not in plain and ".original_module." not in plain:
            shapes[part] = tuple(getattr(weight, "quant_state", weight).shape)  # nf4 packs them in one row
        if weight.requires_grad:
            trained[part] = trained.get(part, 0) + weight.numel()
    return shapes, trained


def make_callback(contract: TrainerContract) -> Any:
    """The callback that holds the contract and scores the answers."""
    import pyarrow.compute as compute
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
    from torch.distributed.fsdp import register_fsdp_forward_method
    from transformers import TrainerCallback

    losses: list[float] = []
    adapt_trainer(CustomSeq2SeqTrainer, contract, losses)

    class ContractCallback(TrainerCallback):  # type: ignore[misc]  # without types
        is_over = False

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            rows = kwargs["train_dataloader"].dataset.data.column("input_ids")
            table = check_contract(contract, kwargs["model"], compute.list_value_length(rows).to_pylist())
            register_fsdp_forward_method(kwargs["model"], "generate")  # which else would see the shard of a process
            if state.is_world_process_zero:
                Path("modules.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.is_over = True

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if self.is_over:
                return
            metrics: dict[str, float] = kwargs["metrics"]
            added = average_by_task(contract.loss_by_task, losses) if args.world_size == 1 else {}
            losses.clear()
            if contract.scored:
                scores = score_samples(
                    contract.scored, kwargs["model"], kwargs["processing_class"], kwargs["eval_dataloader"]
                )
                if state.is_world_process_zero:
                    write_scores(state.global_step, scores)
                mean = sum(scores.values()) / len(scores)
                added |= {"eval_score": mean, "eval_choice": mean - TIE * metrics["eval_loss"]}
            metrics.update(added)
            state.log_history[-1].update(added)

    return ContractCallback()


def adapt_trainer(own: Any, contract: TrainerContract, losses: list[float]) -> None:
    """Change the class of the trainer: under DeepSpeed, for the fused loss, and to keep the losses of evaluation."""
    from warraq.training import hardware

    if hardware.read_zero_stage():  # DeepSpeed drops a group of no weights, and the scheduler would miss it
        own.create_optimizer = drop_empty_groups(own.create_optimizer)
    if contract.fused_loss:
        own.prediction_step = skip_logits(own.prediction_step)
    if contract.loss_by_task:  # evaluation goes sample by sample, in order, on one device
        own.prediction_step = record_losses(own.prediction_step, losses)


def average_by_task(names: Sequence[str], losses: Sequence[float]) -> dict[str, float]:
    """The mean loss of each task, where there is a loss for each of the samples, whose tasks `names` are."""
    if len(losses) != len(names):
        return {}
    means = {}
    for task in sorted(set(names)):
        own = [loss for loss, other in zip(losses, names, strict=True) if other == task]
        means[f"eval_{task}_loss"] = sum(own) / len(own)
    return means


def write_scores(step: int, scores: Mapping[str, float]) -> None:
    """Write output/scores/<step>.json."""
    SCORES.mkdir(parents=True, exist_ok=True)
    (SCORES / f"{step}.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")


def record_losses(step: Callable[..., Any], losses: list[float]) -> Callable[..., Any]:
    """The trainer's `prediction_step` that appends each loss to `losses`."""

    def recording_step(self: Any, *arguments: Any, **options: Any) -> Any:
        outcome = step(self, *arguments, **options)
        losses.append(float(outcome[0]))
        return outcome

    return recording_step


def skip_logits(step: Callable[..., Any]) -> Callable[..., Any]:
    """The trainer's `prediction_step` that has the fused loss while evaluating, too, as liger-kernel alone has not."""

    def skipping_step(self: Any, model: Any, inputs: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        return step(self, model, {**inputs, "skip_logits": True}, *arguments, **options)

    return skipping_step


def drop_empty_groups(create: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The trainer's `create_optimizer` without groups of no weights."""

    def create_without(self: Any) -> Any:
        optimizer = create(self)
        optimizer.param_groups = [group for group in optimizer.param_groups if group["params"]]
        return optimizer

    return create_without


def score_samples(samples: Sequence[ScoredSample], model: Any, tokenizer: Any, loader: Any) -> dict[str, float]:
    """The score of the model's greedy answer to each sample, by its name; `loader` has the validation samples."""
    was_training = model.training
    model.eval()
    scores = {}
    for sample in samples:
        text = answer_sample(loader.dataset[sample.place], model, tokenizer, loader.collate_fn)
        scores[sample.name] = scoring.score_quality(tasks.load(sample.task), sample.target, text)
    model.train(was_training)
    return scores


def answer_sample(row: Mapping[str, Any], model: Any, tokenizer: Any, collate: Callable[..., Any]) -> str:
    """The model's greedy answer to a sample as the trainer encoded it, prompt and answer: at most 5/4 of its length."""
    import torch

    length = next(index for index, label in enumerate(row["labels"]) if label != -100)
    prompt = {key: row[key][:length] for key in ("input_ids", "attention_mask", "labels")}
    inputs = {
        key: value[..., :length] if key in BY_TOKEN else value
        for key, value in collate([{**row, **prompt}]).items()
        if key not in ("labels", "position_ids", "rope_deltas", "cross_attention_mask")
    }
    inputs = {
        key: value.to(model.device) if isinstance(value, torch.Tensor) else value for key, value in inputs.items()
    }
    limit = (len(row["labels"]) - length) * 5 // 4 + 16
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
        answer = model.generate(**inputs, max_new_tokens=limit, **GREEDY)
    text: str = tokenizer.decode(answer[0, length:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


if __name__ == "__main__":
    main()
