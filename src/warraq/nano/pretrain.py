"""A number of steps, or of minutes, and a seed -> a folder like models/nano/base whose weights read, with a model card.

The loss on the next token alone teaches the outline of a transcription long before it teaches to look. What makes
reading come early is supervision as dense as the renderer can give it, and none of it is left in the saved model:

1. Vision: a head on the image tokens names the characters that stand in each patch, the part of the page they belong
   to, and the page's wear. The position embeddings start as waves and the attention heads as looks at the neighbouring
   patches (Cordonnier et al. 2020, arXiv:1911.03584), and matrices learn by Muon (Jordan et al. 2024), which needs
   half the samples of AdamW here.
2. Decoder, on frozen image tokens: besides the loss on the text, an attention head of one layer is told where the last
   character stands and a head of a later layer where the next one does.
3. All of it together, the vision at a quarter of the rate.
4. The same on whole images: before, in half of the batches only the patches with text and some others go through, at a
   third of the cost.

A checkpoint beside `out` is written every CHECKPOINT_STEPS; the same command goes on from it.
"""

import itertools
import json
import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warraq import tasks
from warraq.errors import InputError
from warraq.files import JsonObject, replace_file
from warraq.nano import architecture, evaluation, exchanges
from warraq.nano.batches import Batch, BatchStream, Grid
from warraq.nano.training_pages import BLOCK_PAGES
from warraq.reports.tracking import describe_commit
from warraq.workers import count_workers

if TYPE_CHECKING:
    import torch

    from warraq.nano.trainer import Trainer

logger = logging.getLogger(__name__)
TASKS = ("content", "metadata", "invoice")


@dataclass(frozen=True)
class Phase:
    """A part of the run and how fast it learns."""

    share: float  # of the run
    rate: float  # learning rate, of the decoder where there is one
    final_share: float  # of the rate, at the end; the second half of the phase goes down to it in a line


PHASES = {
    "vision": Phase(0.36, 5e-3, 0.05),
    "decoder": Phase(0.1, 4e-3, 1.0),
    "together": Phase(0.4, 4e-3, 0.4),
    "whole": Phase(0.14, 1.6e-3, 0.03),
}
WARMUP_STEPS = 60
CHECKPOINT_STEPS = 500
LOGGED_STEPS = 50
CHECKPOINT = "checkpoint.pt"


@dataclass
class Place:
    """How far a run is."""

    step: int = 0  # updates made
    block: int = 0  # of the stream
    batch: int = 0  # of the block, the next
    seconds: float = 0.0
    phase: str = ""
    phase_start: int = 0  # step
    curve: list[JsonObject] = field(default_factory=list)


def find_phase(progress: float) -> tuple[str, float]:
    """The name of the phase at that share of the run and its learning rate: constant, then the way down."""
    start = 0.0
    for name, plan in PHASES.items():
        if progress < start + plan.share - 1e-9 or name == "whole":
            done = min(1.0, (progress - start) / plan.share)
            return name, plan.rate * (1 - (1 - plan.final_share) * max(0.0, 2 * done - 1))
        start += plan.share
    raise ValueError(f"no phase at {progress}")


def run(*, out: Path, steps: int | None, minutes: float | None, seed: int, batch_size: int) -> dict[str, float]:
    """Train for so many steps or minutes, write `out` and return the character error rates on held-out pages.

    Raises:
        InputError: `out` is there already, or its checkpoint is of other numbers, or no block has whole batches.
    """
    import torch

    from warraq.nano.trainer import Trainer

    if (steps is None) == (minutes is None):
        raise InputError("The length of the run is given twice or not at all; give --steps or --minutes.")
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
    marks = [piece for piece in pieces if not any(piece in prompt for prompt in prompts)]
    token_ids = exchanges.build_token_ids(tokenizer, evaluation.PROMPT, prompts, marks)
    stream = BatchStream(seed, grid, token_ids, batch_size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(config, token_ids, seed, device)
    numbers = {"steps": steps, "minutes": minutes, "seed": seed, "batch_size": batch_size}
    place = _restore(part / CHECKPOINT, trainer, numbers)
    _learn(trainer, stream, place, part / CHECKPOINT, numbers)
    folder = part / "model"
    architecture.save_student(folder, trainer.model.cpu().bfloat16(), config, tokenizer)
    (folder / "curve.jsonl").write_text("".join(json.dumps(row) + "\n" for row in place.curve), encoding="utf-8")
    held_out = [
        page for bands in (0, evaluation.BANDS) for page in evaluation.make_held_out_pages(seed, grid.side_px, bands)
    ]
    scores = evaluation.score_student(folder, held_out)
    length = f"--steps {steps}" if steps else f"--minutes {minutes:g}"
    card = evaluation.format_card(length, seed, batch_size, describe_commit(Path(__file__).parent), scores)
    (folder / "README.md").write_text(card, encoding="utf-8")
    folder.replace(out)
    shutil.rmtree(part)
    return scores


def _learn(trainer: "Trainer", stream: BatchStream, place: Place, checkpoint: Path, numbers: JsonObject) -> None:
    """Update the weights until the steps or the minutes in `numbers` are over; `place` goes with them."""
    import torch

    measured: dict[str, list[torch.Tensor]] = {}
    start = time.monotonic() - place.seconds
    for batch in _batches_from(stream, place, trainer.device):
        place.seconds = time.monotonic() - start
        progress = place.step / numbers["steps"] if numbers["steps"] else place.seconds / (60 * numbers["minutes"])
        if progress >= 1:
            return
        name, rate = find_phase(progress)
        if name == "whole" and batch.kept.shape[2] < stream.grid.side**2:
            continue
        if name != place.phase:
            place.phase, place.phase_start = name, place.step
        for key, value in trainer.update(batch, name, _warm_up(rate, place)).items():
            measured.setdefault(key, []).append(value)
        place.step += 1
        if place.step % LOGGED_STEPS == 0:
            means = {key: round(torch.stack(values).mean().item(), 4) for key, values in sorted(measured.items())}
            place.curve.append({"step": place.step, "phase": name, **means})
            measured = {}
            logger.info("%.1f %% in %.0f s: %s", 100 * progress, place.seconds, place.curve[-1])
        if place.step % CHECKPOINT_STEPS == 0:
            with replace_file(checkpoint) as part:
                torch.save({"numbers": numbers, "place": vars(place), **trainer.state_dict()}, part)


def _warm_up(rate: float, place: Place) -> float:
    return rate * min(1.0, (place.step - place.phase_start + 1) / WARMUP_STEPS)


def _batches_from(stream: BatchStream, place: Place, device: "torch.device") -> Iterator[Batch]:
    """The batches from `place` on, which goes with them; blocks are made by other processes where there are cores."""
    from torch.utils.data import DataLoader

    others = count_workers() - 1
    loader: Any = DataLoader(
        stream,  # type: ignore[arg-type]
        batch_size=None,
        sampler=itertools.count(place.block),
        num_workers=others,
        prefetch_factor=2 if others else None,
        pin_memory=device.type == "cuda",
    )
    for block in loader:
        for batch in block.unpack(device)[place.batch :]:
            place.batch += 1
            yield batch
        place.block, place.batch = place.block + 1, 0


def _restore(path: Path, trainer: "Trainer", numbers: JsonObject) -> Place:
    """Where to go on."""
    import torch

    if not path.exists():
        return Place()
    saved = torch.load(path, map_location=trainer.device, weights_only=True)
    if saved["numbers"] != numbers:
        raise InputError(
            f"{path} is of a run with {saved['numbers']}; give the same, or remove its folder to start anew."
        )
    trainer.load_state_dict(saved)
    place = Place(**saved["place"])
    logger.info("pretrain-nano goes on from step %d", place.step)
    return place
