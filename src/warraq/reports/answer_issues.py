"""A graded answer -> what is wrong with it in short sentences, each fault by its name and with what was written."""

import json
from collections import Counter
from collections.abc import Iterable

from warraq.metrics import faithfulness, text
from warraq.metrics.arabic import normalize
from warraq.metrics.fields import compare_fields
from warraq.metrics.grading import GradedAnswer

_SENTENCES = {
    "looped_answer_share": "in circles",
    "talk_share": "speaks about the task",
    "lost_end_share": "end lost",
    "blank_page_invention_share": "written on a blank page",
    "mirrored_table_share": "table mirrored",
}
_MOST = 6  # of each kind
_LENGTH = 70  # characters of what was added


def list_issues(one: GradedAnswer) -> list[str]:
    """What is wrong with an answer, each in a few words; empty for a sound one."""
    if one.prediction is None:
        return ["no prediction"]
    if one.failed:
        return [f"failed: {one.prediction.message or 'no reason given'}"]
    issues = ["cut at the token limit"] if one.truncated else []
    if one.answer is None:
        issues.append("does not fit the schema" if one.strict else "not JSON")
    raw, gold = one.prediction.text, json.dumps(one.gold, ensure_ascii=False)
    if foreign := faithfulness.count_foreign_letters(gold, raw):
        issues.append("foreign letters: " + _join_first(f"{letter} U+{ord(letter):04X}" for letter in sorted(foreign)))
    issues += [sentence for name, sentence in _SENTENCES.items() if one.value(name)]
    if one.answer is not None and one.gold_text is not None and one.answer_text is not None:
        issues += _list_text_issues(normalize(one.gold_text), normalize(one.answer_text))
    if one.answer is not None and one.kinds is not None:
        outcomes = compare_fields(one.gold, one.answer, one.kinds)
        invented = [path for path, outcome in outcomes.items() if outcome == "invented"]
        issues += [f"invented: {_join_first(invented)}"] if invented else []
    return issues


def _list_text_issues(gold: str, answer: str) -> list[str]:
    runs, _ = text.compare_runs(gold, answer)
    issues = [f"added: {run[:_LENGTH]}{'…' * (len(run) > _LENGTH)}" for run in runs[:_MOST]]
    ours, theirs = faithfulness.count_facts(gold), faithfulness.count_facts(answer)
    for name, facts in (("not on the page", theirs - ours), ("lost", ours - theirs)):
        issues += [f"{name}: {_join_first(_format_counts(facts))}"] if facts else []
    corrections, _ = text.count_silent_corrections(gold, answer)
    return issues + ([f"spelling mended in {corrections} letter{'s' * (corrections != 1)}"] if corrections else [])


def _format_counts(facts: Counter[str]) -> list[str]:
    return [fact if count == 1 else f"{fact} ×{count}" for fact, count in sorted(facts.items())]


def _join_first(parts: Iterable[str]) -> str:
    every = list(parts)
    more = f" and {len(every) - _MOST} more" if len(every) > _MOST else ""
    return ", ".join(every[:_MOST]) + more
