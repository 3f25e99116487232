"""A JSON schema -> which tokens may follow: an answer that is always JSON of the schema, also where it is cut.

llguidance computes the masks. A token that the model would have chosen is masked only where no answer of the schema,
written compactly, goes on with it.
"""

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from warraq.errors import InputError
from warraq.runtimes import Request

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions
    from tokenizers import Tokenizer

CLOSING = 2048  # tokens that the end of a cut answer may take; what is required of a schema takes a few hundred
TRIED = 64  # likeliest tokens tried one by one, which is faster than a mask of all
COMPACT: "JsonCompileOptions" = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}


class Vocabulary:
    """The bytes of each token, and what ends an answer."""

    def __init__(self, tokenizer: "Tokenizer", size: int, stops: Collection[int]) -> None:
        import llguidance

        special = {key for key, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self.stops = sorted(stops)
        self.tokens = [b"" if place in special else _decode_piece(tokenizer, place) for place in range(size)]
        unused = [place for place, token in enumerate(self.tokens) if not token]
        self.eos_token_id, self.bos_token_id, self.special_token_ids = self.stops[0], None, unused
        self._encode = tokenizer
        wrapped = llguidance.TokenizerWrapper(self)
        self.library = llguidance.LLTokenizer(wrapped, n_vocab=size, eos_token=self.stops)
        self.quote = self._find_tokens(lambda token: token == b'"')
        self.null = self._find_tokens(lambda token: token.endswith(b"null") and b"[" not in token)
        self.closers = self._find_tokens(lambda token: not token.strip(b"]}"))

    def _find_tokens(self, test: Callable[[bytes], bool]) -> np.ndarray:
        return np.array([place for place, token in enumerate(self.tokens) if token and test(token)], dtype=np.int64)

    def __call__(self, text: str | bytes) -> list[int]:
        """What llguidance asks of a tokenizer."""
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        ids: list[int] = self._encode.encode(words, add_special_tokens=False).ids
        return ids


def _decode_piece(tokenizer: "Tokenizer", place: int) -> bytes:
    piece = tokenizer.id_to_token(place)
    if piece is None:
        return b""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    text: str = tokenizer.decoder.decode([piece])
    return text.encode()


@cache
def _compile_grammar(schema: str) -> str:
    import llguidance

    return llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=COMPACT)


class ConstrainedDecoder:
    """The tokens of one answer under a schema.

    Raises:
        InputError: the schema asks for what no grammar can hold.
    """

    def __init__(self, vocabulary: Vocabulary, schema: str) -> None:
        import llguidance

        self.vocabulary = vocabulary
        self.matcher = llguidance.LLMatcher(vocabulary.library, _compile_grammar(schema))
        if self.matcher.is_error():
            raise InputError(f"The JSON schema cannot be held: {self.matcher.get_error().splitlines()[0]}")
        self.inside = self.escaped = False  # of a string of the answer

    def choose_token(self, logits: np.ndarray, closing: bool) -> int:
        """The likeliest token (of `logits`, one a token) that may follow; while `closing` the one that ends soonest:
        the end of a string or list before another word or item, null before a value."""
        for tokens in self._candidates(logits, closing):
            for token in tokens[np.argsort(-logits[tokens], kind="stable")].tolist():
                if self.matcher.validate_tokens([token]):
                    return self._take(token)
        # The mask comes last: where only one text can follow, it holds one way of several to spell it in tokens.
        bits = np.unpackbits(np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        return self._take(int(np.where(bits[: len(logits)] == 1, logits, -np.inf).argmax()))

    def _candidates(self, logits: np.ndarray, closing: bool) -> Iterator[np.ndarray]:
        if closing and self.inside:
            yield self.vocabulary.quote
        elif closing:
            yield self.vocabulary.closers
            yield self.vocabulary.null
        yield logits.argmax(axis=0, keepdims=True)
        yield np.argpartition(logits, -TRIED)[-TRIED:]

    def _take(self, token: int) -> int:
        if not self.matcher.consume_token(token):
            raise RuntimeError(f"The grammar refuses token {token}: {self.matcher.get_error()}")
        for character in self.vocabulary.tokens[token]:
            if self.inside:
                self.inside, self.escaped = (
                    character != ord('"') or self.escaped,
                    character == ord("\\") and not self.escaped,
                )
            else:
                self.inside = character == ord('"')
        return token


class Constraints:
    """The grammars of requests that have a schema; the vocabulary is read at the first of them."""

    def __init__(self, tokenizer: "Tokenizer", size: int, stops: Collection[int]) -> None:
        self._vocabulary = cache(lambda: Vocabulary(tokenizer, size, stops))

    def start(self, request: Request) -> ConstrainedDecoder | None:
        """A decoder for one answer to the request; None where it has no schema."""
        return None if request.schema is None else ConstrainedDecoder(self._vocabulary(), request.schema)
