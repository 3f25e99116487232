"""base + samples + pages -> what each sample is for the student: tokens of prompt, image and answer, px of a line.

It is the trainer's own arithmetic, told by the student's family, without the trainer: it takes milliseconds a page, and
the trainer holds its own counts against these before its first step (see trainer.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from warraq.errors import InputError
from warraq.files import read_json
from warraq.image_settings import read_image_settings
from warraq.records import Sample
from warraq.students import Student, families
from warraq.students.families import Family, Settings
from warraq.training.page_image import PageSize, measure_page_size, open_page, show_page
from warraq.views import Views, count_views

PERCENTS = (0, 5, 25, 50, 75, 95, 100)
Split = Literal["train", "val"]
Samples = Mapping[Split, Sequence[Sample]]
Misfit = Literal["special_token", "too_dense", "too_long", "too_small"]
"""Why a sample cannot be learned from whole."""


@dataclass(frozen=True)
class SampleSize:
    """One sample as the student gets it."""

    split: Split
    page_id: str
    task: str
    prompt_tokens: int  # without those of the images
    image_tokens: int
    target_tokens: int
    seen_px: int  # of all views, as the model sees them
    line_px: float | None  # height of a text line in the view that shows it best; None where no line is found
    special: str | None  # a control token that stands in the text

    @property
    def name(self) -> str:
        """Of the sample, one in its split."""
        return sample_name(self)

    @property
    def tokens(self) -> int:
        """Of prompt, images and answer."""
        return self.prompt_tokens + self.image_tokens + self.target_tokens

    @property
    def density(self) -> float:
        """Tokens of the answer for each of the images'."""
        return round(self.target_tokens / self.image_tokens, 1)


class TaskSummary(TypedDict, total=False):
    """Samples of a task; the other fields are percentiles by `p<percent>`."""

    samples: int
    prompt_tokens: dict[str, float]
    image_tokens: dict[str, float]
    target_tokens: dict[str, float]
    tokens: dict[str, float]
    tokens_to_spare: dict[str, float]
    seen_pixels: dict[str, float]
    line_px: dict[str, float]
    tokens_per_image_token: dict[str, float]


class AuditSummary(TypedDict):
    """audit.json before there is a tier."""

    tasks: dict[str, TaskSummary]
    cutoff_len: int
    left_out: dict[str, list[str]]  # misfit -> samples


def sample_name(sample: Sample | SampleSize) -> str:
    """What messages and files call a sample."""
    return f"{sample.page_id} {sample.task}"


def read_settings(base: Path, student: Student) -> Settings:
    """The settings of the processor, with the student's cap on px in them.

    Raises:
        InputError: the base has none.
    """
    settings = families.load(student.family).cap_pixels(read_image_settings(base), student.image_max_pixels)
    more = base / "processor_config.json"
    return {**settings, **(read_json(more) if more.exists() else {})}


def mark_views(question: str, family: Family, views: Views) -> str:
    """A question with the family's marks of all views in place of each image."""
    return question.replace("<image>", family.image_mark * count_views(views))


class TokenCounter:
    """Counts the tokens of texts with the student's own tokenizer."""

    def __init__(self, base: Path, family: Family) -> None:
        from tokenizers import Tokenizer

        path = base / "tokenizer.json"
        if not path.exists():
            raise InputError(f"{path} is missing; fetch the base model (`warraq fetch`).")
        self._tokenizer, self._family = Tokenizer.from_file(str(path)), family
        special = [token for token in read_json(path)["added_tokens"] if token["special"]]
        self._special = re.compile("|".join(re.escape(token["content"]) for token in special) or r"(?!)")

    def count(self, sample: Sample, views: Views) -> tuple[int, int, str | None]:
        """Tokens of the prompt, one a view, tokens of the answer, and a control token in the text itself."""
        question, answer = (turn.content for turn in sample.conversations)
        chat = self._family.render_chat(mark_views(question, self._family, views), answer)
        special = self._special.search(question.replace("<image>", "") + "\n" + answer)
        return self._length(chat.prompt), self._length(chat.target), special[0] if special else None

    def _length(self, pieces: list[str]) -> int:
        return sum(len(self._tokenizer.encode(piece, add_special_tokens=False).ids) for piece in pieces)


class SampleMeasure:
    """What samples are for a student, however it is shown pages; each page is opened once."""

    def __init__(self, base: Path, student: Student, pages: Path) -> None:
        self._pages, self._family = pages, families.load(student.family)
        self._settings, self._counter = read_settings(base, student), TokenCounter(base, self._family)
        self._sizes: dict[str, PageSize] = {}

    def measure(self, split: Split, sample: Sample, views: Views) -> SampleSize:
        """The size of a sample whose pages are shown so.

        Raises:
            InputError: it is not a question with as many marks as images and an answer, or an image is not plain.
        """
        name = sample_name(sample)
        if [turn.role for turn in sample.conversations] != ["user", "assistant"]:
            raise InputError(f"sample {name} is not one question and one answer; run `warraq dataset` again.")
        marks = sum(turn.content.count("<image>") for turn in sample.conversations)
        if not sample.images or marks != len(sample.images):
            raise InputError(f"sample {name} has not as many <image> marks as images; run `warraq dataset` again.")
        pages = [self._measure_page(path, name) for path in sample.images]
        shown = [show_page(page, views, self._family, self._settings) for page in pages]
        sizes, lines = [size for page, _ in shown for size in page], [line for _, line in shown if line is not None]
        prompt, target, special = self._counter.count(sample, views)
        return SampleSize(
            split=split, page_id=sample.page_id, task=sample.task, prompt_tokens=prompt - len(sizes),
            image_tokens=sum(size.tokens for size in sizes), target_tokens=target,
            seen_px=sum(size.width_px * size.height_px for size in sizes), line_px=min(lines, default=None),
            special=special,
        )  # fmt: skip

    def _measure_page(self, path: str, sample: str) -> PageSize:
        if path not in self._sizes:
            with open_page(self._pages / path, sample) as image:
                self._sizes[path] = measure_page_size(image)
        return self._sizes[path]


def measure_samples(measure: SampleMeasure, samples: Samples, views: Views) -> list[SampleSize]:
    """One size a sample, in their order, split by split; raises InputError as `measure` does."""
    return [measure.measure(split, sample, views) for split, part in samples.items() for sample in part]


def summarize(
    kept: Sequence[SampleSize], misfits: Sequence[tuple[SampleSize, Misfit]], cutoff_len: int
) -> AuditSummary:
    """Percentiles by task of what is trained on, and what was left out, by reason."""
    by_task = {task: [size for size in kept if size.task == task] for task in sorted({size.task for size in kept})}
    reasons = sorted({why for _, why in misfits})
    return {
        "tasks": {task: _summarize_task(sizes, cutoff_len) for task, sizes in by_task.items()},
        "cutoff_len": cutoff_len,
        "left_out": {why: sorted(size.name for size, other in misfits if other == why) for why in reasons},
    }


def _summarize_task(sizes: Sequence[SampleSize], cutoff_len: int) -> TaskSummary:
    summary: TaskSummary = {
        "samples": len(sizes),
        "prompt_tokens": _percentiles([size.prompt_tokens for size in sizes]),
        "image_tokens": _percentiles([size.image_tokens for size in sizes]),
        "target_tokens": _percentiles([size.target_tokens for size in sizes]),
        "tokens": _percentiles([size.tokens for size in sizes]),
        "tokens_to_spare": _percentiles([cutoff_len - size.tokens for size in sizes]),
        "tokens_per_image_token": _percentiles([size.density for size in sizes]),
        "seen_pixels": _percentiles([size.seen_px for size in sizes]),
    }
    if lines := [size.line_px for size in sizes if size.line_px is not None]:
        summary["line_px"] = _percentiles(lines)
    return summary


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": quantile(values, percent) for percent in PERCENTS}


def quantile(values: Sequence[float], percent: int) -> float:
    """The smallest value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def format_curve(kept: Sequence[SampleSize]) -> str:
    """CSV of the tokens by task and percent of the samples, for `dvc plots`."""
    lines = ["task,percent,tokens\n"]
    for task in sorted({size.task for size in kept}):
        tokens = [size.tokens for size in kept if size.task == task]
        lines += [f"{task},{percent},{quantile(tokens, percent)}\n" for percent in range(0, 101, 5)]
    return "".join(lines)
