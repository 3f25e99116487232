"""The schema of an answer, in the two dialects that servers speak, from one pydantic class.

Only what every server understands is let through; the rest is refused when the task is loaded, before any request.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model


def envelope(answer: type[BaseModel]) -> type[BaseModel]:
    """What a model writes: the tag first, so that a mixed-up answer shows; the answer; whether the page spoke to it."""
    spoken = Field(description="whether any text on the page gives orders to its reader or to a program")
    return create_model(
        "Envelope", __config__=ConfigDict(extra="forbid", frozen=True),
        page_tag=(str, ...), answer=(answer, ...), addresses_the_reader_as_ai=(bool, spoken),
    )  # fmt: skip


def asking(prompt: str, tag: str) -> str:
    """The words beside the image."""
    return f"{prompt}\npage_tag is {tag}."


def portable(answer: type[BaseModel]) -> dict[str, Any]:
    """The answer's schema in the part of OpenAPI 3.0 that Gemini understands.

    No references, `nullable` for `X | None`, each field required in the order of the class.

    Raises:
        TypeError: the class uses something else (a union, a bound, a free dictionary, a default, recursion).
    """
    schema = answer.model_json_schema()
    return _portable(schema, schema.get("$defs", {}), answer.__name__)


def json_schema(openapi: dict[str, Any]) -> dict[str, Any]:
    """The same schema as JSON Schema in strict form, for `response_format` of OpenAI-compatible servers."""
    kind = openapi["type"].lower()
    result = {key: value for key, value in openapi.items() if key in {"description", "enum", "required"}}
    if kind == "object":
        result["properties"] = {name: json_schema(field) for name, field in openapi["properties"].items()}
        result["additionalProperties"] = False
    elif kind == "array":
        result["items"] = json_schema(openapi["items"])
    if not openapi.get("nullable"):
        return {"type": kind, **result}
    if "enum" in result:
        result["enum"] = [*result["enum"], None]
    return {"type": [kind, "null"], **result}


_PLAIN = {"string": "STRING", "integer": "INTEGER", "number": "NUMBER", "boolean": "BOOLEAN"}
_KNOWN = {
    "STRING": {"enum", "const"},
    "INTEGER": set[str](),
    "NUMBER": set[str](),
    "BOOLEAN": set[str](),
    "ARRAY": {"items"},
    "OBJECT": {"properties", "required", "additionalProperties"},
}


def _portable(schema: dict[str, Any], defs: dict[str, Any], where: str) -> dict[str, Any]:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name not in defs:
            raise TypeError(f"{where}: a recursive answer is not portable")
        rest = {key: value for key, value in defs.items() if key != name}
        return _portable({**defs[name], **{k: v for k, v in schema.items() if k != "$ref"}}, rest, where)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        if len(options) != 1 or len(schema["anyOf"]) != 2 or schema.keys() - {"anyOf", "title", "description"}:
            raise TypeError(f"{where}: of unions only `X | None` is portable")
        return {**_portable(options[0], defs, where), "nullable": True}
    kind = {"object": "OBJECT", "array": "ARRAY", **_PLAIN}.get(schema.get("type", ""))
    if kind is None:
        raise TypeError(f"{where}: a field without one plain type is not portable")
    extra = schema.keys() - {"type", "title", "description", "$defs"} - _KNOWN[kind]
    if extra:
        raise TypeError(f"{where}: {', '.join(sorted(extra))} is not portable; check it after the answer")
    result: dict[str, Any] = {"type": kind}
    if "description" in schema:
        result["description"] = schema["description"]
    if kind == "ARRAY":
        result["items"] = _portable(schema["items"], defs, f"{where}[]")
    elif kind == "OBJECT":
        fields = schema.get("properties", {})
        if not fields or schema.get("additionalProperties") is not False or schema.get("required") != list(fields):
            raise TypeError(f"{where}: an object needs fields, each required, and no others")
        result["properties"] = {name: _portable(field, defs, f"{where}.{name}") for name, field in fields.items()}
        result["required"] = result["property_ordering"] = list(fields)
    elif "const" in schema:
        result["enum"] = [schema["const"]]
    elif "enum" in schema:
        result["enum"] = schema["enum"]
    return result
