"""Sizes of samples -> those that a student can learn from whole; of the others why not, and which views would do."""

import logging
from collections.abc import Callable, Sequence

from warraq import tasks
from warraq.errors import InputError
from warraq.records import Sample
from warraq.students import Student
from warraq.training.audit import Misfit, SampleMeasure, Samples, SampleSize, Split, measure_samples, sample_name
from warraq.views import MOST_BANDS, Views, count_bands, name_views

logger = logging.getLogger(__name__)

Misfits = Sequence[tuple[SampleSize, Misfit]]


def refuse_few_documents(samples: Samples, least: int) -> None:
    """Raise InputError where all samples come from fewer than `least` documents."""
    documents = {sample.document for part in samples.values() for sample in part}
    if len(documents) < least:
        raise InputError(
            f"{len(documents)} labelled documents are too few to learn from, {least} are the least: label more "
            "(`make review`), or lower train.min_documents in params.yaml to try the pipeline."
        )


def find_misfit(size: SampleSize, student: Student) -> Misfit | None:
    """The reason why a sample cannot be learned from whole, if there is one."""
    if size.special:
        return "special_token"
    if size.tokens > student.cutoff_len:
        return "too_long"
    if size.line_px is not None and size.line_px < student.min_line_px:
        return "too_small"
    if size.density > student.max_tokens_per_image_token:
        return "too_dense"
    return None


def find_views(measure: SampleMeasure, samples: Samples, student: Student) -> Views | None:
    """The fewest bands more than the student has with which all these samples fit it, if any do."""
    for bands in range(max(1, count_bands(student.views)) + 1, MOST_BANDS + 1):
        views = name_views(bands)
        sizes = (measure.measure(split, sample, views) for split, part in samples.items() for sample in part)
        if all(find_misfit(size, student) is None for size in sizes):
            return views
    return None


def describe_misfits(misfits: Misfits, total: int, student: Student, find: Callable[[Misfit], Views | None]) -> str:
    """What stops the training, in one sentence with the worst samples and the remedy.

    Args:
        misfits: samples with the reason of each, at least one.
        total: of all samples.
        student: who is trained.
        find: the views with which the samples of a reason would fit.
    """
    reason = misfits[0][1]
    sizes = [size for size, why in misfits if why == reason]
    if reason == "too_long":
        sizes.sort(key=lambda size: (-size.tokens, size.name))
        examples = [f"{size.name}: {size.tokens}" for size in sizes]
        what = f"have more tokens than cutoff_len {student.cutoff_len} and would be cut"
        remedy = f"raise the student's cutoff_len to {sizes[0].tokens}"
    elif reason == "special_token":
        examples = [f"{size.name}: {size.special}" for size in sizes]
        what = "hold a control token of the student in their text"
        remedy = "correct the answer"
    else:
        if reason == "too_small":
            sizes.sort(key=lambda size: (size.line_px or 0, size.name))
            examples = [f"{size.name}: {size.line_px} px" for size in sizes]
            what = f"show lines of text lower than min_line_px {student.min_line_px} once the page is shrunk"
        else:
            sizes.sort(key=lambda size: (-size.density, size.name))
            examples = [f"{size.name}: {size.density}" for size in sizes]
            what = (
                f"have more answer for each token of their images than max_tokens_per_image_token "
                f"{student.max_tokens_per_image_token}"
            )
        views = find(reason)
        no_views = f"no views of up to {MOST_BANDS} bands would do: raise image_max_pixels where the family has it"
        remedy = f"views: {views} would do" if views else no_views
    more = ", …" if len(examples) > 5 else ""
    return f"{len(sizes)} of {total} samples {what} ({', '.join(examples[:5])}{more}); {remedy}"


def select_samples(
    samples: Samples, measure: SampleMeasure, student: Student, leave_out: bool
) -> tuple[dict[Split, list[Sample]], list[SampleSize], Misfits]:
    """The samples that the student can learn from whole, their sizes, and the sizes of the others with their reasons.

    Raises:
        InputError: there are misfits and `leave_out` is not set, or nothing else is left, or an answer is none that
            its task knows.
    """
    sizes = measure_samples(measure, samples, student.views)
    misfits = [(size, why) for size in sizes if (why := find_misfit(size, student))]
    gone = {(size.split, size.name): why for size, why in misfits}

    def find(reason: Misfit) -> Views | None:
        unfit = {
            split: [one for one in part if gone.get((split, sample_name(one))) == reason]
            for split, part in samples.items()
        }
        return find_views(measure, unfit, student)

    if misfits:
        described = describe_misfits(misfits, len(sizes), student, find)
        if not leave_out:
            raise InputError(f"{described}, or set train.misfits to leave_out in params.yaml.")
        logger.warning("left out: %s", described)
    kept = {split: [one for one in part if (split, sample_name(one)) not in gone] for split, part in samples.items()}
    for split, part in kept.items():
        if not part:
            raise InputError(f"no {split} sample fits the student: {described}.")
        for one in part:
            if tasks.load(one.task).parse(one.conversations[-1].content)[0] is None:
                what = f"the answer of sample {sample_name(one)} does not fit its task"
                raise InputError(f"{what}; run `warraq dataset` again.")
    return kept, [size for size in sizes if (size.split, size.name) not in gone], misfits
