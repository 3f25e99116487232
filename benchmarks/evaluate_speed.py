"""Processor time and memory that 1,000 pages of about 2,000 characters with a table take to be scored.

    python benchmarks/evaluate_speed.py [pages]

All scores, intervals, three models.
"""

import random
import resource
import sys
import time

from warraq import tasks
from warraq.metrics.aggregate import compute_metrics
from warraq.metrics.grading import GradedAnswer
from warraq.records import Prediction, Sample, Turn
from warraq.tasks import content
from warraq.tasks.cases import Case, grade_answer

WORDS = [
    "الكتاب",
    "مدرسة",
    "the",
    "invoice",
    "٢٠٢٤",
    "وزارة",
    "المالية",
    "Harbour",
    "رقم",
    "4,310.75",
    "2024-03-05",
    "على",
]


def make_page(rng: random.Random, error: float) -> dict:
    """`error` is the share of words misread; the words are those of the seed."""
    misread = random.Random(rng.random())

    def word() -> str:
        one = rng.choice(WORDS)
        return one[::-1] if misread.random() < error else one

    lines = [" ".join(word() for _ in range(12)) for _ in range(24)]
    rows = "".join("<tr>" + "".join(f"<td>{word()}</td>" for _ in range(4)) + "</tr>" for _ in range(8))
    parts = [*(("paragraph", line) for line in lines), ("table", f"<table>{rows}</table>")]
    return {"blocks": [{"kind": kind, "text": text, "level": None} for kind, text in parts]}


def grade_page(number: int, error: float) -> GradedAnswer:
    gold, answer = make_page(random.Random(number), 0), make_page(random.Random(number), error)
    turns = (Turn(role="user", content="?"), Turn(role="assistant", content=tasks.dumps(gold)))
    document = f"{number // 5:012d}"
    sample = Sample(
        page_id=f"{document}-p{number % 5:04d}", document=document, task="content", reference="gold", images=(),
        conversations=turns,
    )  # fmt: skip
    row = Prediction(
        page_id=sample.page_id, task="content", split="test", text=tasks.dumps(answer), finish_reason="stop", tokens=1,
        seconds=1.0,
    )  # fmt: skip
    return grade_answer(Case(sample, content.TASK, gold, ()), row)


def main() -> None:
    pages = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    began = time.process_time()
    variants = {}
    for variant, error in (("base", 0.4), ("merged", 0.05), ("onnx", 0.06)):
        start = time.process_time()
        variants[variant] = [grade_page(number, error) for number in range(pages)]
        print(f"{variant}: {time.process_time() - start:.1f} s for {pages} pages")
    start = time.process_time()
    compute_metrics(variants, 1000, 1, {})
    print(f"intervals, differences, chances: {time.process_time() - start:.1f} s")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    length = sum(len(one.gold_text or "") for one in variants["base"]) / pages
    print(f"all: {time.process_time() - began:.1f} s, {memory:.0f} MiB; {length:.0f} characters a page")


if __name__ == "__main__":
    main()
