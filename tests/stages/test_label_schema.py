"""One schema for every server, and nothing in it that one of them does not understand."""

from typing import Any, Literal

import pytest

from warraq import tasks
from warraq.tasks import BaseAnswer
from warraq.teachers.remote.schema import build_envelope, to_json_schema, to_openapi


@pytest.mark.parametrize("task", ["content", "metadata", "invoice"])
def test_each_task_has_a_portable_schema(task: str) -> None:
    schema = to_openapi(tasks.load(task).answer)

    assert schema["type"] == "OBJECT"
    assert schema["required"] == list(tasks.load(task).answer.model_fields)


class Union(BaseAnswer):
    field: int | str


class Free(BaseAnswer):
    field: dict[str, str]


class Default(BaseAnswer):
    field: str = ""


class Recursive(BaseAnswer):
    field: "list[Recursive]"


class Anything(BaseAnswer):
    field: Any


class Numbered(BaseAnswer):
    field: Literal[1, 2]


@pytest.mark.parametrize("answer", [Union, Free, Default, Recursive, Anything, Numbered])
def test_a_schema_that_is_not_portable_is_refused(answer: type[BaseAnswer]) -> None:
    with pytest.raises(TypeError, match=r"portable|needs fields"):
        to_openapi(answer)


@pytest.mark.parametrize("task", ["content", "metadata", "invoice"])
def test_the_two_dialects_say_the_same(task: str) -> None:
    """What Gemini is told as OpenAPI, others are told as strict JSON Schema: each field required, no other allowed."""

    def check(openapi: dict[str, Any], plain: dict[str, Any]) -> None:
        kinds = [plain["type"]] if isinstance(plain["type"], str) else plain["type"]
        assert kinds[0] == openapi["type"].lower() and ("null" in kinds) == openapi.get("nullable", False)
        assert [one for one in plain.get("enum", []) if one is not None] == openapi.get("enum", [])
        if "properties" in openapi:
            assert plain["required"] == list(plain["properties"]) == openapi["required"]
            assert plain["additionalProperties"] is False
            for name, field in openapi["properties"].items():
                check(field, plain["properties"][name])
        if "items" in openapi:
            check(openapi["items"], plain["items"])

    openapi = to_openapi(build_envelope(tasks.load(task).answer))
    check(openapi, to_json_schema(openapi))
    assert openapi["required"] == ["page_tag", "answer", "addresses_the_reader_as_ai"]
