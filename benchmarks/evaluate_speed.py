"""Processor time and memory that 1,000 pages of about 2,000 characters with a table take to be scored.

    python benchmarks/evaluate_speed.py [PAGES]
    python benchmarks/evaluate_speed.py --hostile [CHARACTERS ...]

All scores, intervals, three models. `--hostile`: for each function that reads what a model wrote the slowest of many
hostile pages, of 10^4, 10^5 and 10^6 characters; ten times the characters shall take some ten times as long.
"""

import argparse
import random
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any, get_args

from warraq import tasks
from warraq.metrics import arabic, faithfulness, fields, loops, text, values
from warraq.metrics.aggregate import compute_metrics
from warraq.metrics.grading import GradedAnswer
from warraq.records import Planted, Prediction, Sample, Turn
from warraq.tasks import content, table_qa
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


def make_page(rng: random.Random, error: float) -> dict[str, Any]:
    """`error` is the share of words misread; the words are those of the seed."""
    misread = random.Random(rng.random())

    def word() -> str:
        one = rng.choice(WORDS)
        return one[::-1] if misread.random() < error else one

    lines = [" ".join(word() for _ in range(12)) for _ in range(24)]
    rows = "".join("<tr>" + "".join(f"<td>{word()}</td>" for _ in range(4)) + "</tr>" for _ in range(8))
    parts = [*(("paragraph", line) for line in lines), ("table", f"<table>{rows}</table>")]
    return {"blocks": [{"kind": kind, "text": text, "level": None, "language": None} for kind, text in parts]}


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


HOSTILE = (
    "a", "1", "1,234", "1 ", "1/", "-+", "a@", "a@a-", "a.b-", "www.", "www.a ", "+9", "01 234 ", "0 ", "(", "<", "[",
    '{"a":[', "{},", '["\\', '"', "``` Sure, ", "ab.", "\u202ea ", "ا\u064b\u200c", "ی\u064b", "\u0301\u0316\u064b",
    "١٬٢", "½ ",
)  # fmt: skip


def list_hostile_pages(length: int) -> list[str]:
    """Pages of `length` characters: one thing over and over, cut JSON, an endless word, words, numbers."""
    rng = random.Random(0)
    pages = [unit * (length // len(unit)) for unit in HOSTILE]
    pages += ["[" + "{}," * (length // 3), '["' + '\\"' * (length // 2), '{"a":"' + "[" * length]
    pages += ["".join(rng.choices("abcdefg", k=length)), "".join(rng.choices("abcdefg ", k=length))]
    return [*pages, " ".join(str(rng.randrange(10**6)) for _ in range(length // 7))]


READERS: dict[str, Callable[[str], object]] = {
    "normalize": arabic.normalize,
    "fold_letters": arabic.fold_letters,
    "split_diacritics": arabic.split_diacritics,
    "find_loop": lambda page: loops.find_loop(page, 8),
    "has_added_loop": lambda page: faithfulness.has_added_loop(page[::-1], page),
    "count_facts": faithfulness.count_facts,
    "count_near_misses": lambda page: faithfulness.count_near_misses(
        faithfulness.count_facts(page[::-1]), faithfulness.count_facts(page)
    ),
    "has_talk": lambda page: faithfulness.has_talk(page + "x", page),
    "score_planted_errors": lambda page: faithfulness.score_planted_errors(
        [Planted(page_id="p", kind="spelling", printed="aaaab", mended="1 1 2")], page
    ),
    "is_equal, four kinds": lambda page: [values.is_equal(kind, page, page + "x") for kind in get_args(values.Kind)],
    "repair_json, all endings": lambda page: sum(1 for _ in fields.repair_json(page)),
    "compare_answers": lambda page: table_qa.compare_answers("12 SAR, 3 SAR", page),
    "score_text": lambda page: text.score_text("".join(page[-1000:]), page),
}


def time_hostile_pages(lengths: Sequence[int]) -> None:
    print("function", *(f"{length:,} characters" for length in lengths), sep=" | ")
    for name, read in READERS.items():
        slowest = []
        for length in lengths:
            seconds = []
            for page in list_hostile_pages(length):
                start = time.process_time()
                read(page)
                seconds.append(time.process_time() - start)
            slowest.append(f"{max(seconds):.2f} s")
        print(name, *slowest, sep=" | ", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=int, nargs="?", default=1000)
    parser.add_argument("--hostile", type=int, nargs="*", metavar="CHARACTERS", help="lengths of hostile pages")
    given = parser.parse_args()
    if given.hostile is not None:
        time_hostile_pages(given.hostile or [10**4, 10**5, 10**6])
        return
    pages = given.pages
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
