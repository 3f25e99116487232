"""The request and the response of a chat completion; the servers of the tests speak it too."""

import json

import pytest

from warraq.chat_completions import parse_response


def test_the_end_of_each_token_comes_with_its_log_probability() -> None:
    tokens = [{"token": "ab", "logprob": -0.5}, {"token": "c", "logprob": 0}]
    choice = {"message": {"content": "abc"}, "finish_reason": "stop", "logprobs": {"content": tokens}}
    response = parse_response(json.dumps({"choices": [choice], "usage": {"completion_tokens": 2}}))
    assert (response.text, response.output_tokens, response.input_tokens) == ("abc", 2, None)
    assert response.logprobs == ((2, -0.5), (3, 0.0))


@pytest.mark.parametrize(
    "body", ["<html>", "[]", "{}", '{"choices": []}', '{"choices": ["x"]}',
             '{"choices": [{"message": {"content": ["x"]}}]}']
)  # fmt: skip
def test_what_is_no_completion_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match=r"not a chat completion|Expecting value"):
        parse_response(body)
