"""What was read in another notation than the one that was asked for, brought to that one.

JSON within a string, strings in single or typographic quotes, and a line or a tag for each key become roughly JSON,
tables of Markdown become HTML. Nothing is made up: the values keep their order and their letters.
"""

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from html import unescape

_KEY = re.compile(r'"[^"\\\n]{1,80}"\s{0,20}:')
_ESCAPED_KEY = re.compile(r'\\"[^"\\\n]{1,80}\\++"\s{0,20}:')
_ESCAPE = re.compile(r'\\(["\\/nrt])|"(?=\s{0,20}[\[{])')
_OTHER_KEY = re.compile(r"[{,]\s{0,20}['“][^'”\n]{1,80}['”]\s{0,20}:")
_OTHER_STRING = re.compile(
    r"""(?<=[{\[,:])(\s{0,20})(?:'((?:[^'\\]|\\.|'(?!\s{0,20}(?:[:,}\]]|\Z)))*+)('?)|“([^”]*+)(”?))""", re.DOTALL
)
_IN_STRING = re.compile(r"""\\'|\\x([0-9a-f]{2})|\\.|["\n]""", re.DOTALL)
_LABEL = r"[ \t>*•+#-]*+(?:\d{1,3}[.)] )?[*_`'\"]*+(?:[\w\[\]]{1,40}\.){0,4}"
_ANY_LABEL = r"|[^\W\d][^:=|<>{}\n]{0,60}?"
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_NOTHING = frozenset(("", "null", "none", "~", "-", "—", "[]", "{}", "n/a", "|", "|-", ">", ">-"))
_END_TAGS = re.compile(r"(?:\s{0,20}</?[\w-]{1,40}>){1,20}\s{0,20}\Z")
_RULE = re.compile(r"[ \t]*+[|:-][ \t:|-]*+")


def rewrite_as_json(raw: str, names: Collection[str], *, labelled: bool) -> str:
    """`raw` as roughly JSON, as it is where it has keys as JSON has them, or none of another notation.

    `names` are the keys of the task. With `labelled`, any line `label: value` and the cells of a table of Markdown are
    values too: a field may go by its name in any language. Else a text is taken for keys and values only if two names
    stand in it, as printed pages have colons.
    """
    if _KEY.search(raw):
        return raw
    if _ESCAPED_KEY.search(raw):
        return _ESCAPE.sub(lambda sign: {"n": "\n", "r": " ", "t": " ", None: ""}.get(sign[1], sign[1]), raw)
    if _OTHER_KEY.search(raw):
        return _OTHER_STRING.sub(_requote, raw)
    pairs = list(_list_pairs(raw, frozenset(names), labelled))
    if not pairs or (not labelled and len({key for key, _ in pairs}) < 2):
        return raw
    return (
        "{"
        + ",\n".join(f"{json.dumps(key, ensure_ascii=False)}: {_write(value, labelled)}" for key, value in pairs)
        + "}"
    )


def _requote(match: re.Match[str]) -> str:
    space, single, ended, double, end = match.groups()
    text = _IN_STRING.sub(_reescape, double if single is None else single)
    return f'{space}"{text}' + '"' * bool(ended or end)


def _reescape(match: re.Match[str]) -> str:
    if match[1]:
        return f"\\u00{match[1]}"
    return {"\\'": "'", '"': '\\"', "\n": "\\n"}.get(match[0], match[0])


def _write(value: str, quoted: bool) -> str:
    return value if not quoted and _NUMBER.fullmatch(value) else json.dumps(value, ensure_ascii=False)


@cache
def _compile_head(names: frozenset[str], labelled: bool) -> re.Pattern[str]:
    """The beginning of a line, or a tag, that names what follows it."""
    keys = "|".join(name.replace("_", "[_ -]") for name in sorted(names, key=len, reverse=True))
    label = rf"(?P<key>{keys}{_ANY_LABEL * labelled})"
    flags = re.MULTILINE | (re.IGNORECASE if labelled else re.NOFLAG)
    return re.compile(
        rf"^{_LABEL}{label}[*_`'\"]{{0,3}}[ \t]{{0,20}}[:=][*_]{{0,3}}|<(?P<tag>{keys})\b[^<>]{{0,200}}>", flags
    )


def _list_pairs(raw: str, names: frozenset[str], labelled: bool) -> Iterator[tuple[str, str]]:
    """Each key with its value, which reaches to the next key."""
    heads = list(_compile_head(names, labelled).finditer(raw))
    ends = [*(head.start() for head in heads[1:]), len(raw)]
    if labelled:
        yield from (("", cell) for cell in _list_cells(raw))
    for head, end in zip(heads, ends, strict=False):
        value = raw[head.end() : end]
        if head["tag"]:
            value = unescape(_END_TAGS.sub("", value))
        elif labelled:
            value = re.split(r"\n(?![ \t]++[^\s|-])", value, maxsplit=1)[0]
        value = re.sub(r"\A[|>][+-]?\s*\n|\n[ \t]*(?:-[ \t]*)?\Z|```\s*\Z", "", value.strip(" \t")).strip(" \t\n*")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1].replace("''", "'").replace('\\"', '"')
        if value.lower() not in _NOTHING:
            key = head["key"] or head["tag"]
            plain = re.sub("[ -]", "_", key.lower())
            yield plain if plain in names else key.strip(), value


def _list_cells(raw: str) -> Iterator[str]:
    """The cells of Markdown's tables, without those of headings, which stand above a rule."""
    lines = raw.split("\n")
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.count("|") > 1 and not _is_rule(line) and not _is_rule(after):
            yield from filter(None, _split_row(line))


def _is_rule(line: str) -> bool:
    return "|" in line and "-" in line and _RULE.fullmatch(line) is not None


def _split_row(line: str) -> list[str]:
    return [cell.strip(" \t*") for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def convert_markdown_tables(text: str) -> str:
    """A text whose tables of Markdown are tables of HTML, a line each; all else as it stands."""
    lines = text.split("\n") if "|" in text else []
    rules = [place for place, line in enumerate(lines) if place and _is_rule(line) and "|" in lines[place - 1]]
    converted, end = list[str](), 0
    for rule in rules:
        if rule <= end:
            continue
        stop = next((place for place in range(rule + 1, len(lines)) if "|" not in lines[place]), len(lines))
        rows = (_split_row(line) for line in (lines[rule - 1], *lines[rule + 1 : stop]))
        tags = ("th", *["td"] * (stop - rule - 1))
        cells = ("".join(f"<{tag}>{cell}</{tag}>" for cell in row) for tag, row in zip(tags, rows, strict=True))
        converted += [*lines[end : rule - 1], "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"]
        end = stop
    return "\n".join([*converted, *lines[end:]]) if converted else text
