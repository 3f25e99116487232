"""Logits -> the tokens of one answer: greedy, under a grammar where there is one, until it stops, loops or is cut."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from warraq.runtimes import LOOP, Answer, Request, cut_at_stop, is_looping
from warraq.runtimes.grammar import CLOSING, ConstrainedDecoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class GreedyDecoder:
    """One row of a batch. A constrained answer that is cut or loops is closed, with up to `CLOSING` tokens more."""

    def __init__(
        self, request: Request, stops: Sequence[int], limit: int, tokenizer: "Tokenizer",
        decoder: ConstrainedDecoder | None,
    ) -> None:  # fmt: skip
        from tokenizers.decoders import DecodeStream

        self.stops, self.limit, self.decoder, self.stop_loops = stops, limit, decoder, request.stop_loops
        self.tokenizer, self.listener, self.stream = (
            tokenizer,
            request.listener,
            DecodeStream(skip_special_tokens=False),
        )
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.closing = self.looped = self.done = False

    def choose_token(self, logits: np.ndarray) -> int:
        """The next token by its logits (vocabulary); what a finished answer takes does not matter."""
        if self.done:
            return self.stops[0]
        self.closing |= self.decoder is not None and len(self.ids) >= self.limit
        token = self.decoder.choose_token(logits, self.closing) if self.decoder else int(logits.argmax())
        highest = logits.max()
        self.logprobs.append(float(logits[token] - highest - np.log(np.exp(logits - highest).sum())))
        self.ids.append(token)
        if self.stop_loops and len(self.ids) % 16 == 0 and len(self.ids) >= LOOP and is_looping(self.ids):
            self.looped = self.closing = True
        ended = len(self.ids) >= self.limit + CLOSING if self.decoder else self.closing or len(self.ids) >= self.limit
        self.done = token in self.stops or ended
        if self.listener:
            self.listener("" if token in self.stops else self.stream.step(self.tokenizer, token) or "")
        return token

    def build_answer(self, prompt_tokens: int) -> Answer:
        """The answer of the tokens chosen so far, at least one."""
        tokenizer = self.tokenizer
        ids, reason = cut_at_stop(self.ids, self.stops)
        text = tokenizer.decode(ids, skip_special_tokens=False)
        ends = find_token_ends(tokenizer, ids)
        return Answer(
            text, "length" if self.closing else reason, len(ids), self.looped, float(np.exp(np.mean(self.logprobs))),
            tuple(zip(ends, self.logprobs, strict=False)), prompt_tokens,
        )  # fmt: skip


def find_token_ends(tokenizer: "Tokenizer", ids: Sequence[int]) -> list[int]:
    """Where in the decoded text each token ends; those that share a letter end where it does."""
    from tokenizers.decoders import DecodeStream

    stream, ends, end = DecodeStream(skip_special_tokens=False), list[int](), 0
    for place, token in enumerate(ids, start=1):
        if piece := stream.step(tokenizer, token):
            end += len(piece)
            ends += [end] * (place - len(ends))
    return ends + [end] * (len(ids) - len(ends))
