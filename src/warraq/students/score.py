"""Answers -> one number each, by which checkpoints and tiers are chosen while training.

It knows no task and imports none, so that a change of how tasks are scored in the report trains nothing anew. The
numbers of the report are evaluate's, on documents that this choice never saw.
"""

import json
from collections.abc import Mapping
from typing import Any


def score(target: str, answer: str) -> float:
    """How much of the target stands in the answer and nothing besides, 0 to 1.

    JSON: the likeness of the values at equal paths, by the number of paths in either. What is not JSON is compared as
    text, at half the worth, so that it never beats an answer that parses.
    """
    from rapidfuzz.distance import Levenshtein

    wanted = leaves(target)
    given = leaves(answer)
    if wanted is None:
        return float(Levenshtein.normalized_similarity(target, answer))
    if given is None:
        return float(Levenshtein.normalized_similarity(target, answer)) / 2
    paths = wanted.keys() | given.keys()
    both = wanted.keys() & given.keys()
    likeness = sum(float(Levenshtein.normalized_similarity(wanted[path], given[path])) for path in both)
    return likeness / len(paths) if paths else 1.0


def leaves(text: str) -> dict[str, str] | None:
    """Path -> value as text, of JSON; None if it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    found: dict[str, str] = {}
    todo: list[tuple[str, Any]] = [("", value)]
    while todo:
        path, part = todo.pop()
        if isinstance(part, dict):
            todo += [(f"{path}.{key}", item) for key, item in part.items()]
        elif isinstance(part, list):
            todo += [(f"{path}[{place}]", item) for place, item in enumerate(part)]
        else:
            found[path] = str(part)
    return found


def adoption(before: Mapping[str, float], after: Mapping[str, float], seed: int) -> dict[str, Any]:
    """Whether a tier is adopted: the 95 % interval of its gain, paired, documents drawn, lies above zero.

    The keys begin with the page, and a page with its document. The checkpoint was chosen on the same documents, so the
    gain is somewhat flattered; the report's is not.
    """
    from warraq.metrics.statistics import Drawings

    documents: dict[str, list[str]] = {}
    for name in sorted(before):
        documents.setdefault(name.split(" ")[0].rsplit("-p", 1)[0], []).append(name)
    rows = [
        {
            "before": (sum(before[name] for name in names), float(len(names))),
            "after": (sum(after[name] for name in names), float(len(names))),
        }
        for names in documents.values()
    ]
    found = Drawings(rows, 1000, seed).difference("after", "before", share=True)
    return {
        "adopted": found.lo is not None and found.lo > 0,
        "gain": found.value,
        "gain_lo": found.lo,
        "gain_hi": found.hi,
        "documents": found.documents,
    }


def rank_correlation(losses: list[float], scores: list[float]) -> float | None:
    """Spearman's, of loss and score over the evaluations; near -1 where the loss would have chosen as well."""
    if len(losses) < 3 or len(set(losses)) < 2 or len(set(scores)) < 2:
        return None
    from scipy.stats import spearmanr

    return round(float(spearmanr(losses, scores).statistic), 3)
