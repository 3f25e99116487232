"""base + samples + pages -> what each sample is for the student: tokens of prompt, image and answer, px of a line.

It is the trainer's own arithmetic, told by the student's family, without the trainer: it takes milliseconds a page, and
the trainer holds its own counts against these before its first step (see trainer.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from warraq import tasks
from warraq.errors import InputError
from warraq.files import read_json
from warraq.records import Sample
from warraq.students import Student, families
from warraq.students.families import Family, Settings
from warraq.training.page_image import measure_line_height, open_page

PERCENTS = (0, 5, 25, 50, 75, 95, 100)
Split = Literal["train", "val"]
Samples = Mapping[Split, Sequence[Sample]]
Misfit = Literal["special_token", "too_long", "too_small"]
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
    width_px: int  # as the model sees the page
    height_px: int
    line_px: float | None  # height of a text line as the model sees it; None where no line is found
    special: str | None  # a control token that stands in the text

    @property
    def name(self) -> str:
        """Of the sample, one in its split."""
        return sample_name(self)

    @property
    def tokens(self) -> int:
        """Of prompt, images and answer."""
        return self.prompt_tokens + self.image_tokens + self.target_tokens


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
    path = base / "preprocessor_config.json"
    if not path.exists():
        raise InputError(f"{path} is missing; fetch the base model (`warraq fetch`).")
    settings = families.load(student.family).cap_pixels(read_json(path), student.image_max_pixels)
    more = base / "processor_config.json"
    return {**settings, **(read_json(more) if more.exists() else {})}


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

    def count(self, sample: Sample) -> tuple[int, int, str | None]:
        """Tokens of the prompt, one an image, tokens of the answer, and a control token in the text itself."""
        question, answer = (turn.content for turn in sample.conversations)
        chat = self._family.render_chat(question.replace("<image>", self._family.image_mark), answer)
        special = self._special.search(question.replace("<image>", "") + "\n" + answer)
        return self._length(chat.prompt), self._length(chat.target), special[0] if special else None

    def _length(self, pieces: list[str]) -> int:
        return sum(len(self._tokenizer.encode(piece, add_special_tokens=False).ids) for piece in pieces)


class PageViews:
    """What the student sees of each page, measured once a page."""

    def __init__(self, pages: Path, family: Family, settings: Settings) -> None:
        self._pages, self._family, self._settings = pages, family, settings
        self._views: dict[str, tuple[int, int, int, float | None]] = {}

    def view(self, path: str, sample: str) -> tuple[int, int, int, float | None]:
        """Width and height in px, tokens, px of a line; raises InputError as `open_page` does."""
        if path not in self._views:
            with open_page(self._pages / path, sample) as image:
                width, height, tokens = self._family.vision_size(image.width, image.height, self._settings)
                line = measure_line_height(image)
                self._views[path] = width, height, tokens, line and round(line * height / image.height, 1)
        return self._views[path]


def measure_samples(base: Path, student: Student, samples: Samples, pages: Path) -> list[SampleSize]:
    """One size a sample, in their order, split by split.

    Raises:
        InputError: a sample is not a question with as many marks as images and an answer, or an image is not plain.
    """
    family = families.load(student.family)
    counter, views = TokenCounter(base, family), PageViews(pages, family, read_settings(base, student))
    return [_measure(split, sample, counter, views) for split, sample in _each(samples)]


def _each(samples: Samples) -> Iterator[tuple[Split, Sample]]:
    return ((split, sample) for split, part in samples.items() for sample in part)


def _measure(split: Split, sample: Sample, counter: TokenCounter, views: PageViews) -> SampleSize:
    name = sample_name(sample)
    if [turn.role for turn in sample.conversations] != ["user", "assistant"]:
        raise InputError(f"sample {name} is not one question and one answer; run `warraq dataset` again.")
    marks = sum(turn.content.count("<image>") for turn in sample.conversations)
    if not sample.images or marks != len(sample.images):
        raise InputError(f"sample {name} has not as many <image> marks as images; run `warraq dataset` again.")
    seen = [views.view(path, name) for path in sample.images]
    prompt, target, special = counter.count(sample)
    width, height, _, line = seen[0]
    return SampleSize(
        split=split, page_id=sample.page_id, task=sample.task, prompt_tokens=prompt - len(sample.images),
        image_tokens=sum(view[2] for view in seen), target_tokens=target,
        width_px=width, height_px=height, line_px=line, special=special,
    )  # fmt: skip


def find_misfit(size: SampleSize, student: Student) -> Misfit | None:
    """The reason why a sample cannot be learned from whole, if there is one."""
    if size.special:
        return "special_token"
    if size.tokens > student.cutoff_len:
        return "too_long"
    if size.line_px is not None and size.line_px < student.min_line_px:
        return "too_small"
    return None


def describe_misfits(misfits: Sequence[tuple[SampleSize, Misfit]], total: int, student: Student) -> str:
    """What stops the training, in one sentence with the worst samples and the remedy."""
    reason = misfits[0][1]
    sizes = [size for size, why in misfits if why == reason]
    if reason == "too_long":
        sizes.sort(key=lambda size: (-size.tokens, size.name))
        examples = [f"{size.name}: {size.tokens}" for size in sizes]
        what = f"have more tokens than cutoff_len {student.cutoff_len} and would be cut"
        remedy = f"raise the student's cutoff_len to {sizes[0].tokens}, or"
    elif reason == "too_small":
        sizes.sort(key=lambda size: (size.line_px or 0, size.name))
        examples = [f"{size.name}: {size.line_px} px" for size in sizes]
        what = f"show lines of text lower than min_line_px {student.min_line_px} once the page is shrunk"
        remedy = "raise image_max_pixels, or lower the student's min_line_px, or"
    else:
        examples = [f"{size.name}: {size.special}" for size in sizes]
        what = "hold a control token of the student in their text"
        remedy = "correct the answer, or"
    more = ", …" if len(examples) > 5 else ""
    return (
        f"{len(sizes)} of {total} samples {what} ({', '.join(examples[:5])}{more}); {remedy} set train.misfits to "
        "leave_out in params.yaml."
    )


def select_samples(
    samples: Samples, sizes: Sequence[SampleSize], student: Student, leave_out: bool
) -> tuple[dict[Split, list[Sample]], list[SampleSize], list[tuple[SampleSize, Misfit]]]:
    """The samples that the student can learn from whole, their sizes, and the sizes of the others with their reasons.

    Raises:
        InputError: there are misfits and `leave_out` is not set, or nothing else is left, or an answer is none that
            its task knows.
    """
    misfits = [(size, why) for size in sizes if (why := find_misfit(size, student))]
    if misfits and not leave_out:
        raise InputError(describe_misfits(misfits, len(sizes), student))
    gone = {(size.split, size.name) for size, _ in misfits}
    kept = {split: [one for one in part if (split, sample_name(one)) not in gone] for split, part in samples.items()}
    for split, part in kept.items():
        if not part:
            raise InputError(f"no {split} sample fits the student: {describe_misfits(misfits, len(sizes), student)}")
        for one in part:
            if tasks.load(one.task).parse(one.conversations[-1].content)[0] is None:
                what = f"the answer of sample {sample_name(one)} does not fit its task"
                raise InputError(f"{what}; run `warraq dataset` again.")
    return kept, [size for size in sizes if (size.split, size.name) not in gone], misfits


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
        "seen_pixels": _percentiles([size.width_px * size.height_px for size in sizes]),
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
