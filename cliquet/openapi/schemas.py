"""Colander schemas as JSON Schema (draft 2020-12), as OpenAPI 3.1 uses it.

Each node has two schemas, because requests and responses differ: Colander accepts ``"12"`` as an
integer, but stores and returns 12.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import colander
from colander import SchemaNode

from cliquet.resource.schema import URL_PATTERN, PermissionsSchema, StrictBoolean

Schema = dict[str, Any]
#: :func:`request_schema` or :func:`response_schema`.
Side = Callable[[Any], Schema]

_JSON_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "object",
}

#: Types for which null and empty values count as missing.
_NULLABLE = (
    colander.String,
    colander.Number,
    colander.DateTime,
    colander.Date,
    colander.Time,
    StrictBoolean,
)

_TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$"

# Syntax with another meaning in ECMAScript, the dialect of JSON Schema (6.4).
_PYTHON_ONLY = re.compile(r"\(\?[a-zA-Z#(]|\\[AZ]")
_DEFAULT_FLAGS = re.compile("").flags


def request_schema(node: SchemaNode) -> Schema:
    """Return the schema of the values that a node accepts in requests.

    Values that match it are accepted, unless a validator that JSON Schema can't express refuses
    them.
    """
    schema = schema_for_type(node, request_schema)
    if node.validator is None:
        schema.update(lenient_schema(node.typ))
    else:
        schema.update(_limits(node.validator, schema))
    if is_required(node):
        _forbid_empty(node, schema)
    else:
        if isinstance(node.typ, _NULLABLE):
            _allow(schema, None)
        if _is_default(node, schema):
            schema["default"] = node.missing
    return {**schema, **_documentation(node)}


def response_schema(node: SchemaNode) -> Schema:
    """Return the schema of the values of a node in responses: types without limits.

    Records can be older than a limit, and defaults can exceed it.
    """
    schema = schema_for_type(node, response_schema)
    if not is_required(node):
        _allow(schema, node.missing)
    return {**schema, **_documentation(node)}


def is_required(node: SchemaNode) -> bool:
    """Return whether a mapping must contain the node."""
    return bool(node.required) and not getattr(node, "auto_now", False)


def pattern_of(source: str, flags: int = _DEFAULT_FLAGS, end: str = "") -> Schema:
    """Return the keyword ``pattern`` for a regular expression, nothing if it is Python-specific.

    Python matches at the beginning of strings, JSON Schema anywhere.

    :param end: appended to the expression, such as ``$``.
    """
    if flags != _DEFAULT_FLAGS or _PYTHON_ONLY.search(source):
        return {}
    is_anchored = source.startswith("^") and "|" not in source and not end
    return {"pattern": source if is_anchored else f"^(?:{source}){end}"}


def _documentation(node: SchemaNode) -> Schema:
    """Return the title and the description of a node, unless Colander generated them."""
    words = {
        "title": node.raw_title if isinstance(node.raw_title, str) else "",
        "description": node.description or _docstring(type(node)),
    }
    return {key: str(value) for key, value in words.items() if value}


def _docstring(class_: type) -> str:
    ours = class_.__module__ in ("colander", "cliquet.resource.schema")
    return "" if ours else inspect.cleandoc(vars(class_).get("__doc__") or "")


def _is_default(node: SchemaNode, schema: Schema) -> bool:
    """Return whether clients could send the default value of a node."""
    value = node.missing
    if getattr(node, "auto_now", False) or not _has_type(schema, value):
        return False
    if value is None:
        return True
    try:
        node.typ.deserialize(node, value)
        if node.validator is not None:
            node.validator(node, value)
    except Exception:  # validators might not expect a default value
        return False
    return True


def _has_type(schema: Schema, value: object) -> bool:
    """Return whether a schema allows the type of a JSON value."""
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    type_ = _JSON_TYPES.get(type(value))
    return type_ in types or (type_ == "integer" and "number" in types)


def _allow(schema: Schema, value: object) -> None:
    """Extend a schema so that it also allows a value."""
    if type(value) not in _JSON_TYPES:
        return
    if "type" in schema and not _has_type(schema, value):
        types = schema["type"]
        types = types if isinstance(types, list) else [types]
        schema["type"] = [*types, _JSON_TYPES[type(value)]]
    if "enum" in schema and value not in schema["enum"]:
        schema["enum"] = [*schema["enum"], value]


def _forbid_empty(node: SchemaNode, schema: Schema) -> None:
    if isinstance(node.typ, colander.String) and not node.typ.allow_empty:
        schema["minLength"] = max(1, schema.get("minLength", 0))


# Types.


def schema_for_type(node: SchemaNode, side: Side) -> Schema:
    """Return the schema of the type of a node; any value for types that aren't Colander's."""
    describe = _of_class(node.typ, _TYPES)
    return {} if describe is None else describe(node, side)


def _of_class(value: object, functions: Mapping[type, Any]) -> Any:
    """Return the function for the most specific class of a value, or None."""
    return next((functions[each] for each in type(value).__mro__ if each in functions), None)


def _mapping(node: SchemaNode, side: Side) -> Schema:
    if isinstance(node, PermissionsSchema):
        return _permissions(node, side)
    schema: Schema = {
        "type": "object",
        "properties": {child.name: side(child) for child in node.children},
    }
    if side is request_schema:
        required = [child.name for child in node.children if is_required(child)]
        schema.update({"required": required} if required else {})
        schema.update({"additionalProperties": False} if node.typ.unknown == "raise" else {})
    return schema


def _permissions(node: PermissionsSchema, side: Side) -> Schema:
    principal = {"type": "string", **({"minLength": 1} if side is request_schema else {})}
    principals = {"type": "array", "items": principal}
    if not node.known_permissions:
        return {"type": "object", "additionalProperties": principals}
    return {
        "type": "object",
        "properties": dict.fromkeys(node.known_permissions, principals),
        "additionalProperties": False,
    }


def _sequence(node: SchemaNode, side: Side) -> Schema:
    item = side(node.children[0])
    schema = {"type": "array", "items": item}
    if side is request_schema and node.typ.accept_scalar:
        return {"anyOf": [schema, item]}
    return schema


def _tuple(node: SchemaNode, side: Side) -> Schema:
    items = [side(child) for child in node.children]
    size = len(items)
    return {"type": "array", "prefixItems": items, "minItems": size, "maxItems": size}


def _date_and_time(node: SchemaNode, side: Side) -> Schema:
    typ = node.typ
    is_standard = typ.format is None if side is request_schema else typ.default_tzinfo is not None
    return {"type": "string", **({"format": "date-time"} if is_standard else {})}


def _date(node: SchemaNode, side: Side) -> Schema:
    is_standard = node.typ.format is None or side is response_schema
    return {"type": "string", **({"format": "date"} if is_standard else {})}


def _enum(node: SchemaNode, side: Side) -> Schema:
    typ = node.typ
    return {"enum": list(typ.values) if side is request_schema else [e.value for e in typ.enum_cls]}


def _constant(**schema: Any) -> Callable[[SchemaNode, Side], Schema]:
    return lambda node, side: dict(schema)


_TYPES: dict[type, Callable[[SchemaNode, Side], Schema]] = {
    colander.Mapping: _mapping,
    colander.Sequence: _sequence,
    colander.Tuple: _tuple,
    colander.Set: _constant(type="array"),
    colander.List: _constant(type="array"),
    colander.String: _constant(type="string"),
    colander.Integer: _constant(type="integer"),
    colander.Number: _constant(type="number"),
    colander.Boolean: _constant(type="boolean"),
    colander.DateTime: _date_and_time,
    colander.Date: _date,
    # Not the format "time" of JSON Schema, which requires a time zone.
    colander.Time: _constant(type="string", pattern=_TIME_OF_DAY, examples=["12:30:00"]),
    colander.Enum: _enum,
}


def lenient_schema(typ: object) -> Schema:
    """Return the keywords for other values that a type converts, such as numeric strings.

    They only apply without a validator, which could refuse them.
    """
    if isinstance(typ, colander.Integer):
        return {"type": ["integer", "string"], "pattern": "^[-+]?[0-9]{1,300}$"}
    if isinstance(typ, colander.Number):
        pattern = r"^[-+]?[0-9]{1,300}(\.[0-9]{1,300})?$"
        return {"type": ["number", "string"], "pattern": pattern}
    return _lenient_boolean(typ) if isinstance(typ, colander.Boolean) else {}


def _lenient_boolean(typ: colander.Boolean) -> Schema:
    if not typ.true_choices:
        words = "|".join([*StrictBoolean.true_words, *StrictBoolean.false_words])
        limits = {"pattern": f"^({words})$"} if isinstance(typ, StrictBoolean) else {}
        return {"type": ["boolean", "number", "string"], **limits}
    texts = [*typ.true_choices, *typ.false_choices]
    values = [value for value in (True, False) if str(value).lower() in texts]
    return {"type": ["boolean", "string"], "enum": [*values, *texts]}


# Validators.


def _limits(validator: object, schema: Schema) -> Schema:
    """Return the keywords that express a validator, nothing for unknown validators.

    :param schema: the schema of the type of the node.
    """
    describe = _of_class(validator, _VALIDATORS)
    return {} if describe is None else describe(validator, schema)


def _all_of(validator: colander.All, schema: Schema) -> Schema:
    keywords = [_limits(each, schema) for each in validator.validators]
    merged = {key: value for limits in keywords for key, value in limits.items()}
    if len(merged) == sum(map(len, keywords)):
        return merged
    return {"allOf": [limits for limits in keywords if limits]}


def _length(validator: colander.Length, schema: Schema) -> Schema:
    what = "Items" if schema.get("type") == "array" else "Length"
    return _present({f"min{what}": validator.min, f"max{what}": validator.max})


def _range(validator: colander.Range, schema: Schema) -> Schema:
    limits = {"minimum": validator.min, "maximum": validator.max}
    return _present({key: limits[key] for key in limits if isinstance(limits[key], (int, float))})


def _present(limits: Schema) -> Schema:
    return {key: value for key, value in limits.items() if value is not None}


def _regex(validator: colander.Regex, schema: Schema) -> Schema:
    regex = validator.match_object
    pattern = pattern_of(regex.pattern, regex.flags)
    if regex.pattern == colander.EMAIL_RE:  # the format alone says little
        return {"format": "email", **pattern}
    format_ = _FORMATS.get(regex.pattern)
    return {"format": format_} if format_ else pattern


_FORMATS = {
    URL_PATTERN.pattern: "uri",
    colander.URL_REGEX: "uri",
    colander.URI_REGEX: "uri",
    colander.DATA_URL_REGEX: "uri",
    colander.UUID_REGEX: "uuid",
}

_VALIDATORS: dict[type, Callable[[Any, Schema], Schema]] = {
    colander.All: _all_of,
    colander.Any: lambda any_, schema: {"anyOf": [_limits(it, schema) for it in any_.validators]},
    colander.Length: _length,
    colander.Range: _range,
    colander.OneOf: lambda validator, schema: {"enum": list(validator.choices)},
    colander.NoneOf: lambda validator, schema: {"not": {"enum": list(validator.forbidden)}},
    colander.ContainsOnly: lambda validator, schema: {
        "items": {**schema.get("items", {}), "enum": list(validator.choices)}
    },
    colander.Regex: _regex,
}
