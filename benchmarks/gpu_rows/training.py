"""A row of the table -> real updates of its student by LLaMA-Factory, timed; in a process of its own."""

import math
import os
import statistics
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gpu_rows.bases import ROOT, draw_pages, make_samples, read_random_shapes, write_base
from warraq import params
from warraq.files import write_json
from warraq.stages.dataset import dataset_info
from warraq.students import Student, families
from warraq.training import audit, hardware, llamafactory, trainable_modules, trainer, workdir
from warraq.training.audit import SampleSize
from warraq.training.trainer_contract import make_contract
from warraq.views import PAGE as PAGE_ALONE

WARM, TIMED, ACCUMULATION = 3, 8, 2
PAGE = (1240, 1754)  # px: A4 at 150 dpi
ANSWER = (600, 2300)  # tokens of the shortest and the longest answer


@dataclass(frozen=True)
class Row:
    """A line of the table: a student of params.yaml, what of it is changed, and its tier."""

    name: str
    student: str
    changed: dict[str, Any]
    tier: int = 1


class StopError(Exception):
    """All steps are timed; the trainer is left."""


class Stopwatch:
    """Counts tokens and patches of each update, and times it."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.updates: list[dict[str, float]] = []
        self.now = {"tokens": 0.0, "patches": 0.0, "padded": 0.0}
        self.memory: dict[str, int] = {}
        self.losses: list[float] = []

    def callback(self) -> Any:
        """For the trainer."""
        import torch
        from transformers import TrainerCallback

        gpu = torch.cuda.is_available()

        class TimingCallback(TrainerCallback):  # type: ignore[misc]
            def on_train_begin(_, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:  # noqa: N805
                model.register_forward_pre_hook(self.count, with_kwargs=True)
                print(f"  {type(model).__name__} built, training begins", file=sys.stderr, flush=True)
                if gpu:
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats()

            def on_log(_, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: N805
                self.losses += [logs["loss"]] if "loss" in logs else []

            def on_step_begin(_, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: N805
                if gpu:
                    torch.cuda.synchronize()
                self.now = {"tokens": 0.0, "patches": 0.0, "padded": 0.0, "begin": time.monotonic()}

            def on_step_end(_, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: N805
                if gpu:
                    torch.cuda.synchronize()
                    self.memory = {
                        "allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()
                    }  # fmt: skip
                self.now["seconds"] = time.monotonic() - self.now.pop("begin")
                self.updates.append({key: float(value) for key, value in self.now.items()})
                if state.global_step >= state.max_steps or time.monotonic() > self.end:
                    raise StopError

        return TimingCallback()

    def count(self, _: Any, __: Any, inputs: dict[str, Any]) -> None:
        """A batch's tokens that are no padding, all of them, and its patches of images."""
        pixels = inputs["pixel_values"]
        self.now["tokens"] += inputs["attention_mask"].sum()
        self.now["padded"] += inputs["input_ids"].numel()
        self.now["patches"] += pixels.shape[0] * (pixels[0, 0].numel() // 14**2 if pixels.dim() == 4 else 1)


def count_flops(row: Row, student: Student, shapes: dict[str, tuple[int, ...]], trained: int) -> tuple[float, float]:
    """What the model needs of FLOP a token and a patch."""
    family, tier = families.load(student.family), student.tiers[row.tier - 1]
    table = trainable_modules.tabulate(shapes, family, {})
    embedding = next(math.prod(shape) for name, shape in shapes.items() if name.endswith("embed_tokens.weight"))
    language = table["language"]["weights"] - (embedding if "lm_head.weight" in shapes else 0)  # a tied one is the head
    blocks = {name.split(".blocks.")[1].split(".")[0] for name in shapes if ".blocks." in name}
    share = tier.vision_attention_last / len(blocks) if tier.vision_attention_last else 0
    vision = table["vision"]["weights"] * (2 + 2 * share)
    return 4.0 * language + (6.0 * trained if tier.language else 0), vision + (0 if tier.language else 6.0 * trained)


def prepare_row(row: Row, folder: Path, tiny: bool) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Settings and contract of the trainer, and what is known before it runs."""
    student = params.load(ROOT / "params.yaml").find_student(row.student)
    changes: dict[str, Any] = {"accumulation": ACCUMULATION, "views": PAGE_ALONE, **row.changed}
    if tiny:
        changes |= {"precision": "fp32", "batch_size": 1, "image_max_pixels": None, "min_line_px": 0}
    student = student.model_copy(update=changes)
    write_base(row.student, folder / "base", tiny)
    updates = 2 if tiny else WARM + TIMED
    count = updates * ACCUMULATION * student.batch_size
    images = draw_pages(folder / "pages", 2, (112, 112) if tiny else PAGE)
    train = make_samples(images, count, (20, 40) if tiny else ANSWER)
    samples: audit.Samples = {"train": train, "val": train[:1]}
    shapes, family = read_random_shapes(folder / "base"), families.load(student.family)
    measure = audit.SampleMeasure(folder / "base", student, folder / "pages")
    sizes = audit.measure_samples(measure, samples, student.views)
    write_json(folder / "dataset_info.json", dataset_info())
    workdir.write_workdir(folder / "work", folder / "base", folder, folder / "pages", student, samples)
    tier, targets = student.tiers[row.tier - 1], trainable_modules.choose_targets(shapes, student)[row.tier - 1]
    trained = sum(trainable_modules.count_tier_weights(shapes, family, tier, targets).values())
    settings = llamafactory.training_settings(
        student, tier, targets, sizes, largest_px=PAGE[0] * PAGE[1], seed=1, checkpoints=1
    )
    alone = ("early_stopping_steps", "metric_for_best_model", "greater_is_better", "load_best_model_at_end",
             "restore_callback_states_from_checkpoint", "eval_steps", "save_steps")  # fmt: skip
    settings = {key: value for key, value in settings.items() if key not in alone}
    settings |= {
        "model_name_or_path": "work/base", "dataset_dir": "work/data", "media_dir": "work/pages",
        "train_from_scratch": True, "max_steps": updates, "eval_strategy": "no", "save_strategy": "no",
        "logging_steps": 1, "plot_loss": False, "dataloader_num_workers": 0 if tiny else 8,
    }  # fmt: skip
    longest = max(size.tokens for size in sizes)
    is_checkpointed = hardware.choose_checkpointing(shapes, student, longest)
    options = (one.split("=", 1) for one in llamafactory.checkpointing_options(student, tier, is_checkpointed))
    settings |= {key: yaml.safe_load(value) for key, value in options}
    estimate = hardware.estimate_memory(shapes, student, trained, longest, checkpointed=is_checkpointed)
    known = {"trained": trained, "estimate": estimate, "flops": count_flops(row, student, shapes, trained)}
    return settings, make_contract(student, tier, targets, sizes, train[:1]), known | describe_lengths(sizes)


def describe_lengths(sizes: Sequence[SampleSize]) -> dict[str, int]:
    """Tokens of the shortest, the median and the longest sample."""
    tokens = sorted(size.tokens for size in sizes if size.split == "train")
    return {"shortest": tokens[0], "median": int(statistics.median(tokens)), "longest": tokens[-1]}


def build_on(device: str) -> None:
    """Have the trainer's models made on a device, of random weights."""
    import torch
    import transformers
    from transformers.initialization import no_init_weights

    automatic = transformers.AutoModelForImageTextToText
    build = automatic.from_config

    def build_there(config: Any, **options: Any) -> Any:
        with torch.device(device), no_init_weights():
            model = build(config, **options)
        model.tie_weights()
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.02)
            else:
                torch.nn.init.constant_(weight, 1.0 if name.endswith("weight") else 0.0)
        return model

    automatic.from_config = staticmethod(build_there)


def run_row(row: Row, folder: Path, tiny: bool) -> None:
    """Prepare, say so, wait for a line with seconds, train; the outcome stands in outcome.json."""
    settings, contract, known = prepare_row(row, folder, tiny)
    import torch
    from llamafactory.data.processor import supervised
    from llamafactory.train import tuner

    supervised.SupervisedDatasetProcessor.print_data_example = lambda *_: None
    os.chdir(folder)
    Path("ready").touch()
    watch = Stopwatch(float(sys.stdin.readline()))
    outcome: dict[str, Any] = known
    try:
        build_on("cuda" if torch.cuda.is_available() else "cpu")
        tuner.run_exp(dict(settings), callbacks=[trainer.make_callback(contract), watch.callback()])
        outcome["failed"] = "the trainer ended without its steps"
    except StopError:
        pass
    except BaseException as error:
        traceback.print_exc()
        outcome["failed"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    outcome |= {"losses": watch.losses, "updates": watch.updates, "memory": watch.memory, "settings": settings}
    write_json(Path("outcome.json"), outcome)
    os._exit(0)  # whatever threads of the trainer are left
