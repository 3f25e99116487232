"""The schema of an answer, in the two dialects that servers speak, from one pydantic class.

Only what every server understands is let through; the rest is refused when the task is loaded, before any request.
"""

from pydantic import BaseModel, ConfigDict, Field, create_model

from warraq.files import JsonObject


def build_envelope(answer: type[BaseModel]) -> type[BaseModel]:
    """What a model writes: the tag first, so that a mixed-up answer shows; the answer; whether the page spoke to it."""
    addressed = Field(description="whether any text on the page gives orders to its reader or to a program")
    return create_model(
        "Envelope", __config__=ConfigDict(extra="forbid", frozen=True),
        page_tag=(str, ...), answer=(answer, ...), addresses_the_reader_as_ai=(bool, addressed),
    )  # fmt: skip


def build_prompt(prompt: str, tag: str) -> str:
    """The words beside the image."""
    return f"{prompt}\npage_tag is {tag}."


def to_openapi(answer: type[BaseModel]) -> JsonObject:
    """The answer's schema in the part of OpenAPI 3.0 that Gemini understands.

    No references, `nullable` for `X | None`, each field required in the order of the class.

    Raises:
        TypeError: the class uses something else (a union, a bound, a free dictionary, a default, recursion).
    """
    schema = answer.model_json_schema()
    return _convert(schema, schema.get("$defs", {}), answer.__name__)


def to_json_schema(openapi: JsonObject) -> JsonObject:
    """The same schema as JSON Schema in strict form, for `response_format` of OpenAI-compatible servers."""
    kind = openapi["type"].lower()
    result = {key: value for key, value in openapi.items() if key in {"description", "enum", "required"}}
    if kind == "object":
        result["properties"] = {name: to_json_schema(field) for name, field in openapi["properties"].items()}
        result["additionalProperties"] = False
    elif kind == "array":
        result["items"] = to_json_schema(openapi["items"])
    if not openapi.get("nullable"):
        return {"type": kind, **result}
    if "enum" in result:
        result["enum"] = [*result["enum"], None]
    return {"type": [kind, "null"], **result}


_KINDS = {
    "object": "OBJECT", "array": "ARRAY",
    "string": "STRING", "integer": "INTEGER", "number": "NUMBER", "boolean": "BOOLEAN",
}  # fmt: skip
_KNOWN_KEYS = {
    "STRING": {"enum", "const"},
    "INTEGER": set[str](),
    "NUMBER": set[str](),
    "BOOLEAN": set[str](),
    "ARRAY": {"items"},
    "OBJECT": {"properties", "required", "additionalProperties"},
}


def _convert(schema: JsonObject, defs: JsonObject, place: str) -> JsonObject:
    """`schema` of the field at `place`; `defs` are the classes that it may refer to."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name not in defs:
            raise TypeError(f"{place}: a recursive answer is not portable")
        rest = {key: value for key, value in defs.items() if key != name}
        return _convert({**defs[name], **{k: v for k, v in schema.items() if k != "$ref"}}, rest, place)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option != {"type": "null"}]
        if len(options) != 1 or len(schema["anyOf"]) != 2 or schema.keys() - {"anyOf", "title", "description"}:
            raise TypeError(f"{place}: of unions only `X | None` is portable")
        return {**_convert(options[0], defs, place), "nullable": True}
    kind = _KINDS.get(schema.get("type", ""))
    if kind is None:
        raise TypeError(f"{place}: a field without one plain type is not portable")
    extra = schema.keys() - {"type", "title", "description", "$defs"} - _KNOWN_KEYS[kind]
    if extra:
        raise TypeError(f"{place}: {', '.join(sorted(extra))} is not portable; check it after the answer")
    description = {"description": schema["description"]} if "description" in schema else {}
    return {"type": kind, **description, **_convert_content(kind, schema, defs, place)}


def _convert_content(kind: str, schema: JsonObject, defs: JsonObject, place: str) -> JsonObject:
    """What a field of a kind holds: items, properties, the words that it may be."""
    if kind == "ARRAY":
        return {"items": _convert(schema["items"], defs, f"{place}[]")}
    if kind == "OBJECT":
        fields = schema.get("properties", {})
        if not fields or schema.get("additionalProperties") is not False or schema.get("required") != list(fields):
            raise TypeError(f"{place}: an object needs fields, each required, and no others")
        properties = {name: _convert(field, defs, f"{place}.{name}") for name, field in fields.items()}
        return {"properties": properties, "required": list(fields), "property_ordering": list(fields)}
    if "const" in schema:
        return {"enum": [schema["const"]]}
    return {"enum": schema["enum"]} if "enum" in schema else {}
