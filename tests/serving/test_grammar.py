"""Any logits under a task's grammar give an answer of its schema; what a model writes rightly by itself stays."""

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from support import NANO
from warraq import tasks
from warraq.errors import InputError
from warraq.runtimes import Request
from warraq.runtimes.greedy import GreedyDecoder

pytest.importorskip("llguidance")
from warraq.runtimes.grammar import ConstrainedDecoder, Vocabulary

STOP = 5
CONTENT = (
    '{"blocks":[{"kind":"heading","text":"وزارة المالية","level":1,"language":"ar"},{"kind":"table","text":'
    '"<table><tr><th>صنف</th><td>٣</td></tr></table>","level":null,"language":null},{"kind":"paragraph","text":'
    '"a \\"b\\" \\n c\\\\","level":null,"language":"en"}]}'
)
PARTY = '{"name":"Pioneer Paper","address":null,"tax_id":"917815"}'
INVOICE = (
    f'{{"invoice_number":"AB7780","customer_id":null,"status":null,"date":null,"due_date":null,"sender":{PARTY},'
    f'"recipient":{PARTY},"items":[{{"description":'
    '"Mug","quantity":"12","unit_price":"1.50","tax_rate":null,"tax_amount":null,"total":"18.00",'
    '"currency":null}],"currency":null,"subtotal":null,"tax_rate":null,"tax_amount":null,"total":"18","notes":null}'
)


@cache
def vocabulary() -> tuple[Tokenizer, Vocabulary]:
    tokenizer = Tokenizer.from_file(str(NANO / "tokenizer.json"))
    size = json.loads((NANO / "config.json").read_text())["text_config"]["vocab_size"]
    return tokenizer, Vocabulary(tokenizer, size, [1, STOP])


def schema(task: str) -> str:
    return json.dumps(tasks.load(task).schema)


@pytest.mark.parametrize(("task", "answer"), [("content", CONTENT), ("invoice", INVOICE)])
def test_a_right_answer_is_left_as_it_is(task: str, answer: str) -> None:
    """Each token stays, also those that hold several characters of JSON and those that look like markup."""
    tokenizer, words = vocabulary()
    guide, wanted = (
        ConstrainedDecoder(words, schema(task)),
        [*tokenizer.encode(answer, add_special_tokens=False).ids, STOP],
    )
    chosen = []
    for token in wanted:
        logits = np.zeros(len(words.tokens), dtype=np.float32)
        logits[token] = 1.0
        chosen.append(guide.choose_token(logits, closing=False))
    assert chosen == wanted


@settings(max_examples=40)
@given(st.sampled_from(["content", "invoice", "metadata"]), st.integers(0, 2**32), st.integers(1, 60))
def test_any_logits_give_an_answer_of_the_schema_also_where_it_is_cut(task: str, seed: int, limit: int) -> None:
    tokenizer, words = vocabulary()
    draws = np.random.default_rng(seed)
    request = Request((), "", schema(task))
    row = GreedyDecoder(request, [1, STOP], limit, tokenizer, ConstrainedDecoder(words, schema(task)))
    while not row.done:
        row.choose_token(draws.normal(size=len(words.tokens)).astype(np.float32))
    answer = row.build_answer(0)
    assert tasks.load(task).parse(answer.text)[0] is not None, answer.text
    assert answer.finish_reason == "length" or answer.tokens <= limit


def test_a_loop_is_ended_and_closed() -> None:
    tokenizer, words = vocabulary()
    start = tokenizer.encode('{"blocks":[{"kind":"paragraph","text":"', add_special_tokens=False).ids
    row = GreedyDecoder(
        Request((), "", schema("content"), stop_loops=True),
        [1, STOP],
        5000,
        tokenizer,
        ConstrainedDecoder(words, schema("content")),
    )
    again = tokenizer.encode("la la ", add_special_tokens=False).ids
    while not row.done:
        place = len(row.ids)
        logits = np.zeros(len(words.tokens), dtype=np.float32)
        logits[start[place] if place < len(start) else again[(place - len(start)) % len(again)]] = 1.0
        row.choose_token(logits)
    answer = row.build_answer(0)
    assert answer.looped and answer.finish_reason == "length" and answer.tokens < 600
    assert tasks.load("content").parse(answer.text)[0] is not None


def test_a_schema_that_cannot_be_held_is_one_sentence() -> None:
    with pytest.raises(InputError, match="cannot be held"):
        ConstrainedDecoder(vocabulary()[1], '{"type": "nothing"}')
