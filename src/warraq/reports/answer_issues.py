"""A graded answer -> what is wrong with it in short sentences, each fault by its name and with what was written."""

import json
from collections import Counter
from collections.abc import Iterable

from warraq.metrics import faithfulness, text
from warraq.metrics.arabic import encoded
from warraq.metrics.fields import compared
from warraq.metrics.grading import Graded

_NAMED = {
    "looped_answer_share": "in circles",
    "talk_share": "speaks about the task",
    "lost_end_share": "end lost",
    "blank_page_invention_share": "written on a blank page",
    "mirrored_table_share": "table mirrored",
}
_SHOWN = 6  # of each kind
_LENGTH = 70  # characters of what was added


def findings(one: Graded) -> list[str]:
    """Empty for a sound answer."""
    if one.prediction is None:
        return ["no prediction"]
    if one.failed:
        return [f"failed: {one.prediction.message or 'no reason given'}"]
    found = ["cut at the token limit"] if one.truncated else []
    if one.answer is None:
        found.append("does not fit the schema" if one.strict else "not JSON")
    raw, gold = one.prediction.text, json.dumps(one.gold, ensure_ascii=False)
    if foreign := faithfulness.foreign_letters(gold, raw):
        found.append("foreign letters: " + _listed(f"{letter} U+{ord(letter):04X}" for letter in sorted(foreign)))
    found += [sentence for name, sentence in _NAMED.items() if one.value(name)]
    if one.answer is not None and one.gold_text is not None and one.answer_text is not None:
        found += _of_text(encoded(one.gold_text), encoded(one.answer_text))
    if one.answer is not None and one.kinds is not None:
        outcomes = compared(one.gold, one.answer, one.kinds)
        invented = [path for path, outcome in outcomes.items() if outcome == "invented"]
        found += [f"invented: {_listed(invented)}"] if invented else []
    return found


def _of_text(gold: str, answer: str) -> list[str]:
    found = [f"added: {run[:_LENGTH]}{'…' * (len(run) > _LENGTH)}" for run in _added(gold, answer)[:_SHOWN]]
    ours, theirs = faithfulness.facts(gold), faithfulness.facts(answer)
    for name, facts in (("not on the page", theirs - ours), ("lost", ours - theirs)):
        found += [f"{name}: {_listed(_counted(facts))}"] if facts else []
    mended, _ = text.silently_corrected(gold, answer)
    return found + ([f"spelling mended in {mended} letter{'s' * (mended != 1)}"] if mended else [])


def _added(gold: str, answer: str) -> list[str]:
    return text.added_runs(gold.split(), answer.split())


def _counted(facts: Counter[str]) -> list[str]:
    return [fact if count == 1 else f"{fact} ×{count}" for fact, count in sorted(facts.items())]


def _listed(parts: Iterable[str]) -> str:
    every = list(parts)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more
