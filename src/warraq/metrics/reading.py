"""What a raw answer says where it is no answer of its task: whatever was read counts as read, whatever its form.

A fence around it, a bracket that is missing, the keys of another task or no JSON at all change how an answer is built,
which is scored on its own, and not what its writer read.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import get_args

from warraq.files import JsonObject
from warraq.metrics.arabic import normalize
from warraq.metrics.catalogue import ScoreSums
from warraq.metrics.fields import Kinds, compute_f1, flatten_texts, strip_indices, trim_cut
from warraq.metrics.notations import convert_markdown_tables
from warraq.metrics.values import Kind, canonicalize

_TOKEN = re.compile(r'"(?P<string>(?:[^"\\]++|\\.)*+)(?:(?P<end>")|\\?\Z)|(?P<number>-?\d++(?:\.\d++)?)', re.DOTALL)
_KEY_END = re.compile(r"\s*+:")
_MARKDOWN = re.compile(
    r"^[ \t]*+(?:```[^\n]{0,40}$|#{1,6} |[|:\- \t]++$)|\*\*|\|"
    r"|<(?:style|script|title)\b[^<>]{0,200}>[^<]{0,2000}</|<(?:!|/?(?:html|head|body|meta|link|main|header|footer|section"
    r"|article|div|span|p|br|hr|h[1-6]|b|i|u|em|strong|small|ul|ol|li|center|font|img|a|style|script|title)\b)[^<>]{0,200}>",
    re.MULTILINE | re.IGNORECASE,
)  # marks of Markdown, and of HTML outside tables
LONGEST_CHOICE = 20  # characters of a word that answers choose from; a cut string is shorter only where little is lost
_NO_TEXT = re.compile(r"<[^<>]{0,200}>|\b(?:true|false|null)\b")


@dataclass(frozen=True)
class RawValue:
    """A value of a raw text: the key before it, if any, and whether it stands in quotes."""

    key: str | None
    text: str
    quoted: bool


def extract_values(raw: str) -> list[RawValue]:
    """The strings and numbers of a text that is roughly JSON, in their order; keys are no values.

    The members of a list have its key. A string that is never closed is none, unless it is long, a key stands before it
    and the text begins as JSON does, so that it was cut there and not left in pieces; it may be cut behind a key too.
    """
    begins = '"' not in raw[: min((place for mark in "{[" if (place := raw.find(mark)) >= 0), default=len(raw))]
    values: list[RawValue] = []
    key, last, end, keyed, stop = None, None, 0, False, len(raw.rstrip())
    for match in _TOKEN.finditer(raw):
        between = raw[end : match.start()].strip() if match.start() - end < 200 else "…"
        is_cut_off = match["end"] and match.end() == stop and keyed and last != "list" and between.endswith(("{", ","))
        if _is_key(match) or is_cut_off:
            key, last, end, keyed = _unescape(match["string"]), "key", match.end(), True
        elif (
            match["number"]
            or match["end"]
            or (begins and last == "key" and between == ":" and len(match["string"]) > LONGEST_CHOICE)
        ):
            if not (last == "key" and between in (":", ":[")) and not (last == "list" and between == ","):
                key = None
            last, end = "list" if key and between in (":[", ",") else "value", match.end()
            string = match["string"] if match["number"] or match["end"] else trim_cut(raw[match.start("string") :])
            values.append(RawValue(key, match["number"] or _unescape(string), match["number"] is None))
    return values


def extract_keys(raw: str) -> list[str]:
    """The keys of a text that is roughly JSON."""
    return [_unescape(match["string"]) for match in _TOKEN.finditer(raw) if _is_key(match)]


def _is_key(match: re.Match[str]) -> bool:
    return match["end"] is not None and _KEY_END.match(match.string, match.end()) is not None


def _unescape(body: str) -> str:
    if "\\" not in body:
        return body
    try:
        text: str = json.loads(f'"{body}"', strict=False)
        return text.encode("utf-8", "replace").decode()
    except ValueError:
        return body


def read_passages(raw: str, choices: Collection[str]) -> list[str]:
    """The passages of text in a raw answer: its string values, or its lines where most of its letters are in none.

    `choices` are the words that answers choose from, as kinds of blocks: they are read from no page. Marks of Markdown
    go.
    """
    strings = [value.text for value in extract_values(raw) if value.quoted]
    outside = _NO_TEXT.sub(" ", _TOKEN.sub(" ", raw))
    plain = sum(map(str.isalpha, outside)) > sum(map(str.isalpha, "".join(strings)))
    parts = (
        _MARKDOWN.sub(" ", convert_markdown_tables(raw)).split("\n")
        if plain
        else [_MARKDOWN.sub(" ", one) for one in strings]
    )
    return [part for one in parts if (part := one.strip()) and part not in choices]


def read_loose_answer(raw: str, names: Collection[str]) -> JsonObject:
    """What a raw text that does not fit the schema says for each of `names`, in whatever case; "" has the last value.

    Where it has no values, "" has all of the text.
    """
    values = [one for one in extract_values(raw) if one.key or one.quoted]
    named = {one.key.lower(): one.text for one in values if one.key and one.key.lower() in names}
    others = [one.text for one in values if not one.key or one.key.lower() not in names]
    whole = "" if values or extract_keys(raw) else _MARKDOWN.sub(" ", raw).strip()
    return {"": others[-1] if others else whole} | named


def score_loose_fields(
    gold: JsonObject, raw: str, kinds: Kinds, names: Collection[str], choices: Collection[str]
) -> ScoreSums:
    """Scores of the fields whose values stand in a raw text that does not fit the schema.

    A value after a key of the task, of which `names` are all, can be that field alone; any other may be any field.
    Choices without a key are nothing. What is no field's value is invented, and each value counts once.
    """
    open_fields: dict[tuple[str | None, Kind, object], list[str]] = defaultdict(list)
    fields = {path: text for path, text in flatten_texts(gold).items() if text is not None}
    for place, text in fields.items():
        kind = kinds.get(strip_indices(place), "exact")
        value = canonicalize(kind, text)
        for name in {*strip_indices(place).replace("[]", "").split("."), None}:
            open_fields[name, kind, value].append(place)
    found: set[str] = set()
    invented = 0
    for one in extract_values(raw):
        text = normalize(one.text)
        if not text or (one.text in choices and one.key is None) or (not one.quoted and one.key not in names):
            continue
        key = one.key if one.key in names else None
        candidates = (open_fields.get((key, kind, canonicalize(kind, text)), []) for kind in get_args(Kind))
        path = next((path for paths in candidates for path in _take(paths, found)), None)
        if path is None:
            invented += 1
        else:
            found.add(path)
    right, written = len(found), len(found) + invented
    return {
        "field_f1": compute_f1(right, written, len(fields), any(key in names for key in extract_keys(raw))),
        "field_precision": (right, written),
        "field_recall": (right, len(fields)),
    }


def _take(paths: list[str], found: set[str]) -> Sequence[str]:
    """The last of `paths` that has not been found; those that have been are dropped for good."""
    while paths and paths[-1] in found:
        paths.pop()
    return paths[-1:]


def is_of_other_task(raw: str, own: Collection[str], others: Collection[str]) -> bool:
    """Whether most keys of a raw answer are of other tasks."""
    keys = Counter(extract_keys(raw))
    return sum(count for key, count in keys.items() if key in others and key not in own) * 2 > keys.total()
