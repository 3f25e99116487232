"""An answer in JSON and its tokens' log-probabilities -> how sure the model was of each field."""

import json
import math
import re

from warraq.runtimes import Answer

SPACE = re.compile(r"[ \t\n\r]*")


def measure_fields(answer: Answer) -> dict[str, float]:
    """Path, like `items[0].total`, -> geometric mean of the probabilities of the tokens that wrote the value, quotes
    included; empty where the answer is not JSON or the runtime does not tell, without a value that no token covers."""
    tokens, start, last = [], 0, 0
    for end, logprob in answer.logprobs:
        if end != last:
            start, last = last, end
        tokens.append((start, end, logprob))
    by_path = {}
    for path, (first, beyond) in find_spans(answer.text).items() if tokens else ():
        logprobs = [logprob for start, end, logprob in tokens if start < beyond and end > first]
        if logprobs:
            by_path[path] = round(math.exp(sum(logprobs) / len(logprobs)), 4)
    return by_path


def find_spans(text: str) -> dict[str, tuple[int, int]]:
    """Path of each value that is no object and no list -> where it stands in `text`; empty where that is not JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return {}
    decoder, spans = json.JSONDecoder(), dict[str, tuple[int, int]]()

    def space(place: int) -> int:
        return SPACE.match(text, place).end()  # type: ignore[union-attr]  # it matches everywhere

    def walk(place: int, path: str) -> int:
        """Note the values that begin at `place`; returns where they end."""
        if text[place] not in "{[":
            _, end = decoder.raw_decode(text, place)
            spans[path] = place, end
            return end
        named, end, count = text[place] == "{", space(place + 1), 0
        while text[end] not in "}]":
            inner = f"{path}[{count}]"
            if named:
                key, end = decoder.raw_decode(text, end)
                inner, end = f"{path}.{key}" if path else key, space(space(end) + 1)
            end, count = space(walk(end, inner)), count + 1
            end = space(end + 1) if text[end] == "," else end
        return end + 1

    walk(space(0), "")
    return spans
