"""What a server says in place of a response: whose fault it is, and for how long.

Only a request that the server finds wrong in itself (400 INVALID_ARGUMENT, 413, 422) may be the page's fault; all
else is the channel's, and the page is asked again. Of a body is told what is where it should be.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.alias_generators import to_camel

from warraq.teachers.remote.request import ErrorKind

KINDS: dict[int, ErrorKind] = {
    400: "bad_request", 413: "bad_request", 422: "bad_request",
    408: "server_error", 409: "server_error", 425: "server_error", 499: "server_error",
    429: "rate_limited", 503: "overloaded", 529: "overloaded",
}  # fmt: skip
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}
Told = TypeVar("Told")


def _read_told(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


Lenient = Annotated[Told | None, WrapValidator(_read_told)]


class Body(BaseModel):
    """A part of a body in Google's spelling: what is not named here is not read."""

    model_config = ConfigDict(alias_generator=to_camel)


class ErrorBody(Body):
    """The error that a body tells; its details are of several kinds, and looked through for the words that matter."""

    status: Lenient[str] = None
    message: Lenient[str] = None
    details: Any = None

    @classmethod
    def read(cls, body: object) -> "ErrorBody":
        """Of a parsed body: `{"error": {...}}`, the inner object alone, a list of them, a string, or anything."""
        while isinstance(body, list) and body:
            body = body[0]
        error = body.get("error", body) if isinstance(body, dict) else body
        return cls.model_validate(error if isinstance(error, dict) else {"message": str(error or "")})

    def find(self, name: str) -> list[str]:
        """What stands under a name, anywhere in the details."""
        return list(_find_words(self.details, name))

    def wait_s(self, headers: Mapping[str, str]) -> float | None:
        """Seconds that the server asks to wait: by RetryInfo, else by the header Retry-After (seconds or a date)."""
        delays = [*map(parse_delay, self.find("retryDelay")), parse_retry_after(headers)]
        return next((delay for delay in delays if delay is not None), None)


def _find_words(value: object, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get(name), str | int | float):
            yield str(value[name])
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _find_words(item, name)


def find_kind(code: int) -> ErrorKind:
    """Whose fault an HTTP status is; `refused`: the whole run's (key, bill, region, model, another address)."""
    return KINDS.get(code, "server_error" if code >= 500 or code < 300 else "refused")


def parse_delay(text: str) -> float | None:
    """Seconds of `37s`, `1500ms`, `2m` or `37`; None where it is no delay."""
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d*)?)\s*(ms|s|m|)\s*", text)
    return float(match[1]) * UNITS_S[match[2]] if match else None


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of the header Retry-After (RFC 9110, 10.2.3): a number, or a date."""
    text = headers.get("retry-after", "")
    if (delay := parse_delay(text)) is not None:
        return delay
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
