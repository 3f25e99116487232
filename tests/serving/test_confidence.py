"""Confidence by field: each value with the tokens that wrote it, and with no others."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from support import NANO
from warraq.metrics.fields import flatten
from warraq.runtimes import Answer
from warraq.runtimes.confidence import find_spans, measure_fields
from warraq.runtimes.greedy import find_token_ends

TOKENIZER = NANO / "tokenizer.json"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner),
    max_leaves=8,
)


@given(VALUES, st.sampled_from([(",", ":"), (" , ", " : ")]), st.booleans())
def test_each_value_stands_where_it_is_said_to(value: Any, separators: tuple[str, str], escaped: bool) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=escaped)
    found = {path: json.loads(text[slice(*span)]) for path, span in find_spans(text).items()}
    assert found == flatten(value)


def test_what_is_no_json_has_no_fields() -> None:
    assert [find_spans(text) for text in ("", '{"a":', "a", "[" * 100_000)] == [{}] * 4
    assert measure_fields(Answer('{"a":1}', "stop", 7)) == {}


def test_a_doubtful_value_is_told_from_its_neighbours() -> None:
    """Token by letter; the doubt is in the total's 8."""
    text = '{"total":"18","tax":null}'
    doubt = tuple((end, math.log(0.25) if text[end - 1] == "8" else 0.0) for end in range(1, len(text) + 1))
    assert measure_fields(Answer(text, "stop", len(text), logprobs=doubt)) == {
        "total": round(0.25 ** (1 / 4), 4),
        "tax": 1.0,
    }


def test_a_value_that_no_token_covers_is_left_out() -> None:
    """As of a server that tells fewer letters than it wrote."""
    assert measure_fields(Answer('{"a":1,"b":2}', "stop", 5, logprobs=((5, 0.0), (6, 0.0)))) == {"a": 1.0}


@given(st.text('aب€😀 "1', max_size=12))
def test_tokens_end_where_their_text_does(text: str) -> None:
    """Also letters of several tokens, which end together."""
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    ends = find_token_ends(tokenizer, ids)
    assert len(ends) == len(ids) and ends == sorted(ends)
    assert ends[-1:] == [len(tokenizer.decode(ids, skip_special_tokens=False))] * bool(ids)
