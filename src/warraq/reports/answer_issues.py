"""A graded answer -> what is wrong with it, each fault by its name and with what was written."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from warraq.metrics import faithfulness, text
from warraq.metrics.arabic import normalize
from warraq.metrics.fields import compare_fields
from warraq.metrics.grading import GradedAnswer

_SHARES = {
    "looped_answer_share": "in circles",
    "talk_share": "speaks about the task",
    "lost_end_share": "end lost",
    "blank_page_invention_share": "written on a blank page",
    "mirrored_table_share": "table mirrored",
}
_MOST = 6  # of each kind
_LENGTH = 70  # characters of each


class Issue(NamedTuple):
    """A fault by the name of its kind, which pages are found by, and what was written, as far as it says more."""

    reason: str
    detail: str = ""


def list_issues(one: GradedAnswer) -> list[Issue]:
    """What is wrong with an answer, each in a few words; empty for a sound one."""
    if one.prediction is None:
        return [Issue("no prediction")]
    if one.failed:
        return [Issue("failed", _shorten(one.prediction.message or "no reason given", 4 * _LENGTH))]
    issues = [Issue("cut at the token limit")] if one.truncated else []
    if one.answer is None:
        issues.append(Issue("does not fit the schema" if one.strict else "not JSON"))
    raw, gold = one.prediction.text, json.dumps(one.gold, ensure_ascii=False)
    if foreign := faithfulness.count_foreign_letters(gold, raw):
        issues.append(Issue("foreign letters", _join_first(f"{sign} U+{ord(sign):04X}" for sign in sorted(foreign))))
    issues += [Issue(reason) for name, reason in _SHARES.items() if one.value(name)]
    if one.answer is not None and one.gold_text is not None and one.answer_text is not None:
        issues += _list_text_issues(normalize(one.gold_text), normalize(one.answer_text))
    if one.read is not None and "field_f1" in one.sums:
        outcomes = compare_fields(one.gold, one.read, one.kinds)
        for outcome in ("invented", "missing", "wrong"):
            paths = [path for path, each in outcomes.items() if each == outcome]
            issues += [Issue(outcome, _join_first(paths))] if paths else []
    return issues


def _list_text_issues(gold: str, answer: str) -> list[Issue]:
    runs, _ = text.compare_runs(gold, answer)
    issues = [Issue("added", _shorten(run)) for run in runs[:_MOST]]
    issues += [Issue("added", f"{len(runs) - _MOST} more runs of words")] if len(runs) > _MOST else []
    ours, theirs = faithfulness.count_facts(gold), faithfulness.count_facts(answer)
    for reason, facts in (("not on the page", theirs - ours), ("lost", ours - theirs)):
        issues += [Issue(reason, _join_first(_format_counts(facts)))] if facts else []
    corrections, _ = text.count_silent_corrections(gold, answer)
    mended = f"{corrections} letter{'s' * (corrections != 1)}"
    return issues + ([Issue("spelling mended", mended)] if corrections else [])


def _format_counts(facts: Counter[str]) -> list[str]:
    return [fact if count == 1 else f"{fact} ×{count}" for fact, count in sorted(facts.items())]


def _join_first(parts: Iterable[str]) -> str:
    every = list(parts)
    more = f" and {len(every) - _MOST} more" if len(every) > _MOST else ""
    return ", ".join(map(_shorten, every[:_MOST])) + more


def _shorten(words: str, most: int = _LENGTH) -> str:
    return words if len(words) <= most else f"{words[:most]}…"
