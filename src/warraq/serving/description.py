"""What the routes take and give, for `/openapi.json`: FastAPI cannot tell, as a body is received in pieces."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from warraq.records import Row
from warraq.serving.chat import ChatBody
from warraq.serving.completions import ChatCompletion
from warraq.serving.output import DocumentAnswers, RejectedPage

PLACE = "#/components/schemas/{model}"


class Problem(Row):
    """Why there is no answer."""

    code: str
    message: str


class ErrorBody(Row):
    """What is sent with any status of 400 and above."""

    error: Problem


class RejectedBody(ErrorBody):
    """What is sent with 422: a file of which no page can be read."""

    rejected: tuple[RejectedPage, ...]


def _describe(model: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": PLACE.format(model=model)}}}}


def _describe_route(body: dict[str, Any], answer: str, stream: str) -> dict[str, Any]:
    whole = _describe(answer)["content"]
    return {
        "openapi_extra": {"requestBody": body | {"required": True}},
        "responses": {
            200: {
                "description": "The answer; with `stream` a piece a line.",
                "content": whole | {stream: {}},  # OpenAPI 3.1 has no schema of what comes piece by piece
            },
            422: {"description": "No page of the file can be read.", **_describe("RejectedBody")},
            "4XX": {"description": "Why there is none.", **_describe("ErrorBody")},
            503: {"description": "The time for one request was over.", **_describe("ErrorBody")},
        },
    }


FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "password": {"type": "string", "description": "Of an encrypted PDF; kept nowhere."},
    },
}
READ = _describe_route(
    {"content": {"multipart/form-data": {"schema": FORM}}}, "DocumentAnswers", "application/x-ndjson"
)
CHAT = _describe_route(_describe("ChatBody"), "ChatCompletion", "text/event-stream")


def add_schemas(app: FastAPI) -> None:
    """Let the description hold the schemas that its routes name."""
    document = app.openapi()
    _, schemas = models_json_schema(
        [
            (ChatBody, "validation"),
            *((model, "serialization") for model in (ChatCompletion, DocumentAnswers, ErrorBody, RejectedBody)),
        ],
        ref_template=PLACE,
    )
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas["$defs"])
