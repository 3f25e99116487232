"""What a kind of server has to offer, so that its model can be a teacher."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from warraq.files import JsonObject
from warraq.records import Reference
from warraq.teachers.remote.prices import Lane
from warraq.teachers.remote.request import Reply, RequestSpec
from warraq.teachers.safety.clearance import Clearance, ClearedPage


class Provider(Protocol):
    """A kind of server."""

    name: str
    api: str  # which, in which version
    reference: Reference
    cloud: bool  # pages leave the machine, and it is paid for
    first: RequestSpec
    second_model: str | None  # for what the first withholds as a quotation
    unfit: str | None  # why it cannot answer the task at all

    def identity(self) -> JsonObject:
        """All that decides the answer besides image and task."""

    def input_tokens(self) -> tuple[int, int]:
        """Input tokens of a request: as expected, and as they cannot be exceeded."""

    def choose_lane(self, pages: int) -> Lane:
        """By which so many pages are asked."""

    def open_session(self, clearance: Clearance, pages: int) -> AbstractContextManager[None]:
        """Requests are sent inside it.

        Raises:
            InputError: it cannot work at all; said before the first request.
        """

    def send(self, page: ClearedPage, tag: str, spec: RequestSpec) -> str:
        """The body of the response.

        Raises:
            ProviderError: there is none.
        """

    def parse(self, body: str) -> Reply:
        """What a response's body says.

        Raises:
            ValueError: it is not a response.
        """

    def convert(self, text: str) -> JsonObject | None:
        """The task's answer that a text in another notation comes to; None where the text is JSON of the schema.

        Raises:
            ValueError: it is cut or garbled.
        """

    def serves(self, model: str, served: str) -> bool:
        """Whether a model that answered as `served` is the `model` that was asked."""


@dataclass(frozen=True)
class JobResult:
    """What came of a page in a job."""

    key: str | None  # that the page was sent with; None where the server lost it
    body: str | None
    message: str  # why there is no body


@dataclass(frozen=True)
class JobStatus:
    """What the server says of a job."""

    results: list[JobResult] | None = None  # None: there are none yet
    fault: str = ""  # why the results of a job that is over cannot be had
    charged: bool = True  # whether a page that has no result may have cost something


@runtime_checkable
class BatchProvider(Protocol):
    """A provider that takes jobs of many pages. Each method raises ProviderError where the server fails."""

    def submit(self, job: str, pages: dict[str, ClearedPage], spec: RequestSpec) -> None:
        """Create a job of pages by their key. With a ProviderError that is `spent` it may exist all the same."""

    def collect(self, jobs: set[str]) -> dict[str, JobStatus]:
        """Of the named jobs those that the server knows."""

    def cancel(self, job: str) -> None:
        """Have no more of its pages answered."""

    def delete(self, job: str) -> None:
        """Have its pages deleted at the server."""
