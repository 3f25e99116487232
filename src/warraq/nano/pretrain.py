"""A number of steps and a seed -> a folder like models/nano/base whose weights read, with a model card.

The loss on the next token alone teaches the outline of a transcription long before it teaches to look. What makes
reading come early is supervision as dense as the renderer can give it, and none of it is left in the saved model:

1. Vision: a head on the image tokens names the characters that stand in each patch. The position embeddings start as
   waves and the attention heads as looks at the neighbouring patches (Cordonnier et al. 2020, arXiv:1911.03584), and
   matrices learn by Muon (Jordan et al. 2024), which needs half the samples of AdamW here.
2. Decoder, on frozen image tokens: besides the loss on the text, an attention head of one layer is told where the last
   character stands and a head of a later layer where the next one does.
3. All of it together, the vision at a quarter of the rate.
4. The same on whole images: before, in most batches only the patches with text and some others go through, at a third
   of the cost.

A checkpoint beside `out` is written every CHECKPOINT_STEPS; the same command goes on from it.
"""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warraq import tasks
from warraq.errors import InputError
from warraq.files import JsonObject, replace_file
from warraq.nano import architecture, evaluation, exchanges
from warraq.nano.batches import Batch, BatchStream, Grid
from warraq.nano.training_pages import BLOCK_PAGES
from warraq.reports.tracking import describe_commit
from warraq.workers import count_workers, log_progress

if TYPE_CHECKING:
    from warraq.nano.trainer import Trainer, TrainerState

logger = logging.getLogger(__name__)
TASKS = ("content", "metadata", "invoice")


@dataclass(frozen=True)
class Phase:
    """A part of the run and how fast it learns."""

    share: float  # of the steps
    rate: float  # learning rate, of the decoder where there is one
    final_share: float  # of the rate, at the end; the second half of the phase goes down to it in a line


PHASES = {
    "vision": Phase(0.525, 5e-3, 0.05),
    "decoder": Phase(0.10625, 4e-3, 1.0),
    "together": Phase(0.33625, 4e-3, 0.1),
    "whole": Phase(0.0325, 1.2e-3, 0.1),
}
WARMUP_STEPS = 60
CHECKPOINT_STEPS = 100
LOGGED_STEPS = 25
CHECKPOINT = "checkpoint.pt"


def find_phase(step: int, steps: int) -> tuple[str, float]:
    """The name of the phase of `step` and the learning rate: warm-up, constant, then the way down."""
    start = 0
    for name, plan in PHASES.items():
        length = max(1, round(plan.share * steps))
        if step < start + length or name == "whole":
            done = min(1.0, (step - start) / length)
            down = 1 - (1 - plan.final_share) * max(0.0, 2 * done - 1)
            return name, plan.rate * min(1.0, (step - start + 1) / WARMUP_STEPS) * down
        start += length
    raise ValueError(f"no phase for step {step}")


def run(*, out: Path, steps: int, seed: int, batch_size: int) -> dict[str, float]:
    """Train, write `out` and return the character error rates on held-out pages.

    Raises:
        InputError: `out` is there already, or its checkpoint is of other numbers, or no block has whole batches.
    """
    import torch

    from warraq.nano.trainer import Trainer

    if out.exists():
        raise InputError(f"{out} is there already; remove it or name another folder.")
    if BLOCK_PAGES % batch_size:
        raise InputError(f"The batch size is {batch_size}; it must divide {BLOCK_PAGES}.")
    part = out.with_name(out.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    loaded = [tasks.load(name) for name in TASKS]
    prompts = [task.prompt for task in loaded]
    pieces = architecture.collect_pieces([task.answer for task in loaded], prompts)
    tokenizer = architecture.build_tokenizer(pieces)
    config = architecture.build_config(len(tokenizer))
    grid = Grid(config.vision_config.image_size // config.vision_config.patch_size, config.vision_config.patch_size)
    names = [find_phase(step, steps)[0] for step in range(steps)]
    mixed_from, whole_from = (names.index(name) if name in names else steps for name in ("decoder", "whole"))
    marks = [piece for piece in pieces if not any(piece in prompt for prompt in prompts)]
    token_ids = exchanges.build_token_ids(tokenizer, evaluation.PROMPT, prompts, marks)
    stream = BatchStream(seed, grid, token_ids, batch_size, mixed_from, whole_from)
    trainer = Trainer(config, seed, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    numbers = {"steps": steps, "seed": seed, "batch_size": batch_size}
    start, curve = _restore(part / CHECKPOINT, trainer, numbers)
    sums: dict[str, list[float]] = {}
    for step, batch in log_progress(_batches_from(stream, start, steps), steps - start, "pretrain-nano", "steps"):
        name, rate = find_phase(step, steps)
        for key, value in trainer.update(batch, name, rate).items():
            sums.setdefault(key, []).append(value)
        if (step + 1) % LOGGED_STEPS == 0:
            means = {key: round(sum(values) / len(values), 4) for key, values in sorted(sums.items())}
            curve.append({"step": step + 1, "phase": name, **means})
            sums = {}
            logger.info("%s", curve[-1])
        if (step + 1) % CHECKPOINT_STEPS == 0:
            _save(part / CHECKPOINT, {"numbers": numbers, "step": step + 1, "curve": curve, **trainer.state_dict()})
    folder = part / "model"
    architecture.save_student(folder, trainer.model.cpu().bfloat16(), config, tokenizer)
    (folder / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curve), encoding="utf-8")
    scores = evaluation.score_student(folder, evaluation.make_held_out_pages(seed, grid.side_px))
    card = evaluation.format_card(steps, seed, batch_size, describe_commit(Path(__file__).parent), scores)
    (folder / "README.md").write_text(card, encoding="utf-8")
    folder.replace(out)
    shutil.rmtree(part)
    return scores


def _batches_from(stream: BatchStream, start: int, steps: int) -> Iterator[tuple[int, Batch]]:
    """The steps from `start` on with their batches; blocks are made by other processes where there are cores for it."""
    from torch.utils.data import DataLoader

    numbers = range(start // stream.steps, -(-steps // stream.steps))
    others = count_workers() - 1
    loader: Any = DataLoader(
        stream,  # type: ignore[arg-type]
        batch_size=None,
        sampler=numbers,
        num_workers=others,
        prefetch_factor=2 if others else None,
    )
    for number, batches in zip(numbers, loader, strict=True):
        for step, batch in enumerate(batches, start=number * stream.steps):
            if start <= step < steps:
                yield step, batch


def _restore(path: Path, trainer: "Trainer", numbers: dict[str, int]) -> tuple[int, list[JsonObject]]:
    """The step to go on from, and the curve so far."""
    import torch

    if not path.exists():
        return 0, []
    saved = torch.load(path, map_location=trainer.device, weights_only=True)
    if saved["numbers"] != numbers:
        raise InputError(
            f"{path} is of a run with {saved['numbers']}; give the same, or remove its folder to start anew."
        )
    trainer.load_state_dict(saved)
    logger.info("pretrain-nano goes on from step %d", saved["step"])
    return saved["step"], saved["curve"]


def _save(path: Path, state: "TrainerState") -> None:
    import torch

    with replace_file(path) as part:
        torch.save(state, part)
