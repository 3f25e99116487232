"""base + samples + pages -> what each sample is for the student: tokens of prompt, image and answer, px of a line.

It is the trainer's own arithmetic, told by the family's module, without the trainer: it takes milliseconds a page, and
the trainer holds its own counts against these before its first step (see trainer.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from warraq.errors import InputError
from warraq.files import read_json
from warraq.records import Sample
from warraq.students import Student, family

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

PERCENTS = (0, 5, 25, 50, 75, 95, 100)
FLAWS = {  # PIL's name of what the trainer's decoder would spoil
    "1": "has 1 bit a pixel, which the trainer would shrink without grey",
    "P": "has a palette, which the trainer would shrink without mixing colours",
    "CMYK": "is CMYK",
    "RGBA": "has transparency, which the trainer would make black",
    "LA": "has transparency, which the trainer would make black",
}


@dataclass(frozen=True)
class Row:
    """One sample as the student gets it."""

    side: str  # train or val
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
        return f"{self.page_id} {self.task}"

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.image_tokens + self.target_tokens


def settings(base: Path, student: Student) -> dict[str, Any]:
    """What the processor is told, with the student's cap on px in it."""
    path = base / "preprocessor_config.json"
    if not path.exists():
        raise InputError(f"{path} is missing; fetch the base model (`warraq fetch`).")
    told = family(student.family).budget(read_json(path), student.image_max_pixels)
    more = base / "processor_config.json"
    return {**told, **(read_json(more) if more.exists() else {})}


def opened(path: Path, name: str) -> "Image":
    """The page's image, of 8 bits, grey or in colour, to be looked at as it stands.

    Raises:
        InputError: it is anything else, which the trainer would spoil, or no image.
    """
    from PIL import Image

    if not path.is_file():
        raise InputError(f"sample {name} shows {path}, which is missing; run `warraq render` again.")
    try:
        image = Image.open(path)
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"sample {name} shows {path}, which is no image ({error}); run `warraq render`.") from None
    flaw = FLAWS.get(image.mode) or (None if image.mode in ("L", "RGB") else f"is {image.mode}, not of 8 bits")
    if "transparency" in image.info:
        flaw = FLAWS["RGBA"]
    if image.getexif().get(0x0112, 1) != 1:
        flaw = "is turned by its EXIF tags, which the trainer does not read"
    if flaw:
        raise InputError(f"sample {name} shows {path}, which {flaw}; run `warraq render` again.")
    return image


def line_height(image: "Image") -> float | None:
    """px of a line of text: the median run of rows with ink, without what is ruled from top to bottom.

    Ink is what is nearer to the darkest than to the paper, which may be grey. An estimate: lines that touch are one.
    """
    import numpy as np

    grey = np.asarray(image.convert("L"))
    dark, paper = np.percentile(grey, (0.5, 50))
    if paper - dark < 32:
        return None
    ink = grey < (dark + paper) / 2
    ink = ink[:, ink.mean(axis=0) < 0.3]
    return _median_run(ink.sum(axis=1) >= max(2, ink.shape[1] // 200)) if ink.size else None


def _median_run(rows: "np.ndarray") -> float | None:
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate(([False], rows, [False])).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    runs = runs[(runs >= 4) & (runs <= len(rows) / 4)]  # specks, and what noise or a picture joins
    return float(np.median(runs)) if len(runs) else None


class Counter:
    """Counts the tokens of texts with the student's own tokenizer."""

    def __init__(self, base: Path, room: ModuleType) -> None:
        from tokenizers import Tokenizer

        path = base / "tokenizer.json"
        if not path.exists():
            raise InputError(f"{path} is missing; fetch the base model (`warraq fetch`).")
        self._tokenizer, self._room = Tokenizer.from_file(str(path)), room
        added = [token for token in read_json(path)["added_tokens"] if token["special"]]
        self._special = re.compile("|".join(re.escape(token["content"]) for token in added) or r"(?!)")

    def count(self, sample: Sample) -> tuple[int, int, str | None]:
        """Tokens of the prompt, one an image, tokens of the answer, and a control token in the text itself."""
        question, answer = (turn.content for turn in sample.conversations)
        prompt, target = self._room.spelled(question.replace("<image>", self._room.MARK), answer)
        found = self._special.search(question.replace("<image>", "") + "\n" + answer)
        return self._length(prompt), self._length(target), found[0] if found else None

    def _length(self, pieces: list[str]) -> int:
        return sum(len(self._tokenizer.encode(piece, add_special_tokens=False).ids) for piece in pieces)


def rows(base: Path, student: Student, sides: Mapping[str, Sequence[Sample]], pages: Path) -> list[Row]:
    """One row a sample, in their order, side by side.

    Raises:
        InputError: a sample is not a question with as many marks as images and an answer, or an image is not plain.
    """
    room, told = family(student.family), settings(base, student)
    counter = Counter(base, room)
    looked: dict[str, tuple[int, int, int, float | None]] = {}
    found = []
    for side, sample in ((side, sample) for side, part in sides.items() for sample in part):
        name = f"{sample.page_id} {sample.task}"
        if [turn.role for turn in sample.conversations] != ["user", "assistant"]:
            raise InputError(f"sample {name} is not one question and one answer; run `warraq dataset` again.")
        marks = sum(turn.content.count("<image>") for turn in sample.conversations)
        if not sample.images or marks != len(sample.images):
            raise InputError(f"sample {name} has not as many <image> marks as images; run `warraq dataset` again.")
        for path in sample.images:
            if path not in looked:
                with opened(pages / path, name) as image:
                    width, height, tokens = room.seen(image.width, image.height, told)
                    line = line_height(image)
                    looked[path] = width, height, tokens, line and round(line * height / image.height, 1)
        prompt, target, special = counter.count(sample)
        width, height, _, line = looked[sample.images[0]]
        found.append(
            Row(
                side=side, page_id=sample.page_id, task=sample.task, prompt_tokens=prompt - len(sample.images),
                image_tokens=sum(looked[path][2] for path in sample.images), target_tokens=target,
                width_px=width, height_px=height, line_px=line, special=special,
            )
        )  # fmt: skip
    return found


def misfit(row: Row, student: Student) -> str | None:
    """The reason why a sample cannot be learned from whole, if there is one."""
    if row.special:
        return "special_token"
    if row.tokens > student.cutoff_len:
        return "too_long"
    if row.line_px is not None and row.line_px < student.min_line_px:
        return "too_small"
    return None


def sentence(misfits: Sequence[tuple[Row, str]], total: int, student: Student) -> str:
    """What stops the training, with the worst samples and the remedy."""
    reason = misfits[0][1]
    these = [row for row, why in misfits if why == reason]
    if reason == "too_long":
        these.sort(key=lambda row: (-row.tokens, row.name))
        told = [f"{row.name}: {row.tokens}" for row in these]
        what = f"have more tokens than cutoff_len {student.cutoff_len} and would be cut"
        remedy = f"raise the student's cutoff_len to {these[0].tokens}"
    elif reason == "too_small":
        these.sort(key=lambda row: (row.line_px or 0, row.name))
        told = [f"{row.name}: {row.line_px} px" for row in these]
        what = f"show lines of text lower than min_line_px {student.min_line_px} once the page is shrunk"
        remedy = "raise image_max_pixels, or lower the student's min_line_px"
    else:
        told = [f"{row.name}: {row.special}" for row in these]
        what = "hold a control token of the student in their text"
        remedy = "correct the answer, or"
    if reason != "special_token":
        remedy += ", or"
    more = ", …" if len(told) > 5 else ""
    return (
        f"{len(these)} of {total} samples {what} ({', '.join(told[:5])}{more}); {remedy} set train.misfits to "
        "leave_out in params.yaml."
    )


def summary(kept: Sequence[Row], left_out: Sequence[tuple[Row, str]], cutoff_len: int) -> dict[str, Any]:
    """Percentiles by task of what is trained on, and what was left out, by reason."""
    by_task: dict[str, Any] = {}
    for task in sorted({row.task for row in kept}):
        these = [row for row in kept if row.task == task]
        columns: dict[str, list[float]] = {
            "prompt_tokens": [row.prompt_tokens for row in these],
            "image_tokens": [row.image_tokens for row in these],
            "target_tokens": [row.target_tokens for row in these],
            "tokens": [row.tokens for row in these],
            "tokens_to_spare": [cutoff_len - row.tokens for row in these],
            "seen_pixels": [row.width_px * row.height_px for row in these],
            "line_px": [row.line_px for row in these if row.line_px is not None],
        }
        by_task[task] = {"samples": len(these)} | {
            name: {f"p{percent}": quantile(values, percent) for percent in PERCENTS}
            for name, values in columns.items()
            if values
        }
    reasons = sorted({why for _, why in left_out})
    return {
        "tasks": by_task,
        "cutoff_len": cutoff_len,
        "left_out": {why: sorted(row.name for row, other in left_out if other == why) for why in reasons},
    }


def quantile(values: Sequence[float], percent: int) -> float:
    """The smallest value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def curve(kept: Sequence[Row]) -> str:
    """CSV of the tokens by task and percent of the samples, for `dvc plots`."""
    lines = ["task,percent,tokens\n"]
    for task in sorted({row.task for row in kept}):
        tokens = [row.tokens for row in kept if row.task == task]
        lines += [f"{task},{percent},{quantile(tokens, percent)}\n" for percent in range(0, 101, 5)]
    return "".join(lines)
