"""JSON Schemas from structs, and messages for what does not fit them.

Field descriptions are the sentences under the fields, read from the source. Which structs have a
schema of their own is in `stored.py`.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import json
import textwrap
from collections.abc import Mapping
from typing import Any

import msgspec

_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping (`key: value`)",
    "string": "text",
}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}


def schema_of(kind: type[msgspec.Struct], title: str, *, described: bool = True) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a struct.

    `described`: with the sentence under each field, which takes a look at the source and so a
    tenth of a second; a check against the schema does without.
    """
    (reference,), components = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for found in _structs(kind) if described else ():
        if definition := components.get(found.__name__):
            for name, text in _sentences(found).items():
                if name in definition["properties"]:
                    definition["properties"][name]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **reference,
        "$defs": components,
    }


def settings_schema(fields: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The JSON Schema of a plug-in's settings, from name to (type, default)."""
    struct = msgspec.defstruct(
        "Settings",
        [(name, kind, default) for name, (kind, default) in fields.items()],
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return msgspec.json.schema(struct)


def faults(document: Any, schema: Mapping[str, Any]) -> list[str]:
    """What is wrong with a document, in words: key path, what was found, the nearest valid name."""
    from jsonschema import Draft202012Validator

    found: list[str] = []
    validator = Draft202012Validator(dict(schema))
    for error in sorted(validator.iter_errors(document), key=lambda e: [str(p) for p in e.path]):
        found += _words(error)
    return found


def _words(error: Any) -> list[str]:
    where = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        return [
            f"{f'{where}.{name}' if where else name}: unknown key{nearest(str(name), known)}"
            for name in error.instance
            if name not in known
        ]
    if error.validator == "items" and error.validator_value is False:
        return []  # said by maxItems
    # A mapping or nothing: what is wrong within the mapping; a number or nothing: its limit.
    within = [e for e in error.context if e.validator != "type" or len(e.path)]
    limits = all(inner.validator in _LIMITS for inner in within)
    if error.validator == "anyOf" and within and (isinstance(error.instance, dict) or limits):
        return [line for inner in within for line in _words(inner)]
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return [f"{where or 'top level'}: missing key {', '.join(missing)}"]
    shown = json.dumps(error.instance, default=str)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return [f"{where or 'top level'}: found {shown}, expected {_expected(error)}"]


def _expected(error: Any) -> str:
    value = error.validator_value
    if error.validator == "enum":
        options = ", ".join(map(str, value))
        return f"one of {options}{nearest(str(error.instance), [str(v) for v in value])}"
    if error.validator == "type":
        kinds: list[str] = value if isinstance(value, list) else [value]
        return " or ".join(_KINDS[kind] for kind in kinds)
    if error.validator == "anyOf":
        names = (option.get("type") or option.get("$ref", "") for option in value)
        return " or ".join(_KINDS.get(name, str(name).rpartition("/")[2]) for name in names)
    if error.validator in _LIMITS:
        return _LIMITS[error.validator].format(value)
    return f"{error.validator} {value}"


def nearest(name: str, known: list[str]) -> str:
    """` (did you mean ...?)`, or the known names where none is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(known)})" if known else ""


def _structs(kind: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    found: dict[str, type[msgspec.Struct]] = {}

    def visit(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType) and info.cls.__name__ not in found:
            found[info.cls.__name__] = info.cls
            for field in info.fields:
                visit(field.type)
        for name in ("types", "item_types"):
            for child in getattr(info, name, ()):
                visit(child)
        for name in ("item_type", "value_type"):
            if child := getattr(info, name, None):
                visit(child)

    visit(msgspec.inspect.type_info(kind))
    return list(found.values())


def _sentences(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The sentence under each field of a struct, by the field's encoded name."""
    told = field_texts(kind)
    fields = msgspec.structs.fields(kind)
    return {field.encode_name: told[field.name] for field in fields if field.name in told}


def field_texts(kind: type) -> dict[str, str]:
    """The text under each annotated field of a class and of those it extends, on one line."""
    texts: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        if parent.__module__.partition(".")[0] in ("builtins", "abc", "msgspec"):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(parent))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            said = text.value if isinstance(text, ast.Expr) else None
            if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Constant):
                texts[ast.unparse(field.target)] = " ".join(str(said.value).split())
    return texts
