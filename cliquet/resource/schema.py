"""Colander schemas of resources."""

from __future__ import annotations

import re
from typing import Any

import colander
from colander import SchemaNode

from cliquet.utils import msec_time, strip_whitespace
from cliquet.utils.schemas import JSONMapping
from cliquet.utils.text import MAX_ID_LENGTH, is_long_id


class ResourceSchema(colander.MappingSchema):
    """The schema of the records of a resource.

    .. code-block:: python

        class BookmarkSchema(ResourceSchema):
            url = URL()
            device = colander.SchemaNode(colander.String(), missing="")

            class Options:
                readonly_fields = ("device",)
                unique_fields = ("url",)
    """

    class Options:
        """Options of the records beyond those of Colander."""

        #: Fields whose values must be unique in a collection.
        unique_fields: tuple[str, ...] = ()
        #: Fields that PATCH cannot change.
        readonly_fields: tuple[str, ...] = ()
        #: Whether to keep fields that aren't in the schema.
        preserve_unknown = False

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        _use_strict_booleans(self)

    def get_option(self, attr: str) -> Any:
        """Return the value of an option, by default that of :class:`ResourceSchema`."""
        return getattr(self.Options, attr, getattr(ResourceSchema.Options, attr))

    def is_readonly(self, field: str) -> bool:
        """Return whether PATCH must leave the field unchanged."""
        return field in self.get_option("readonly_fields")

    def schema_type(self, **kw: Any) -> colander.Mapping:
        unknown = "preserve" if self.get_option("preserve_unknown") else "ignore"
        return JSONMapping(unknown=unknown)


class PayloadSchema(colander.SchemaNode):
    """The body of a request: ``data``, and ``permissions`` for shareable resources.

    A null counts as a missing value.

    :param fills_data: whether missing ``data`` becomes an empty record, if that is valid.
    :param unknown: how Colander handles other keys: ``raise`` or ``preserve``.
    :param partial_types: media types of other bodies, which the resource validates.
    """

    def __init__(
        self,
        *args: Any,
        fills_data: bool = False,
        unknown: str = "raise",
        partial_types: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        self.fills_data = fills_data
        self.partial_types = partial_types
        self.unknown = unknown
        super().__init__(*args, **kwargs)

    def schema_type(self, **kw: Any) -> colander.Mapping:
        return JSONMapping(unknown=self.unknown)

    def deserialize(self, cstruct: Any = colander.null) -> Any:
        """Return the validated body.

        :raises colander.Invalid: if it isn't valid.
        """
        if isinstance(cstruct, dict):
            if None in cstruct.values():
                cstruct = {
                    name: value
                    for name, value in cstruct.items()
                    if value is not None or name not in self
                }
            if self.fills_data and "data" not in cstruct and self._accepts_no_data():
                cstruct = {**cstruct, "data": {}}
        return super().deserialize(cstruct)

    def _accepts_no_data(self) -> bool:
        try:
            self["data"].deserialize({})
        except colander.Invalid:
            return False
        return True


class StrictBoolean(colander.Boolean):
    """The type of boolean fields in records, which refuses other values.

    Colander's own type reads everything but ``false`` and ``0`` as true, unless it has
    ``true_choices``. Here, null counts as missing, numbers except 0 are true, and strings other
    than the words for true and false are refused.
    """

    true_words = ("true", "yes", "on", "1")
    false_words = ("false", "no", "off", "0")

    def deserialize(self, node: SchemaNode, cstruct: Any) -> Any:
        if cstruct is None or cstruct is colander.null:
            return colander.null
        if self.true_choices:
            return super().deserialize(node, cstruct)
        word = str(cstruct).lower()
        if word in self.false_choices or word in self.false_words:
            return False
        if isinstance(cstruct, (int, float)):
            return cstruct != 0
        if word in self.true_words:
            return True
        raise colander.Invalid(node, f'"{cstruct}" is not a boolean')


def _use_strict_booleans(node: colander.SchemaNode) -> None:
    """Replace Colander's booleans in a schema."""
    for child in node.children:
        typ = child.typ
        if type(typ) is colander.Boolean:
            child.typ = StrictBoolean(
                typ.false_choices, typ.true_choices, typ.false_val, typ.true_val
            )
        _use_strict_booleans(child)


class PermissionsSchema(colander.SchemaNode):
    """Lists of principals by permission.

    :param permissions: the known names; none: any name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.known_permissions: tuple[str, ...] = tuple(kwargs.pop("permissions", ()))
        super().__init__(*args, **kwargs)

    def schema_type(self, **kw: Any) -> colander.Mapping:
        return colander.Mapping(unknown="preserve")

    def deserialize(self, cstruct: Any = colander.null) -> Any:
        """Return the principals of each permission.

        :raises colander.Invalid: for an unknown permission, or unless the principals
            are a list of strings that are short enough for a database.
        """
        permissions = super().deserialize(cstruct)
        if not isinstance(permissions, dict):  # missing
            return permissions
        for permission in permissions:
            if self.known_permissions and permission not in self.known_permissions:
                choices = ", ".join(self.known_permissions)
                raise colander.Invalid(self, f'"{permission}" is not one of {choices}')
        return {
            permission: _principals(self, permission, principals)
            for permission, principals in permissions.items()
        }

    def _get_node_principals(self, perm: str) -> colander.SchemaNode:
        """Return the schema of the principals of a permission."""
        principal = colander.SchemaNode(colander.String(), validator=_check_length)
        return colander.SchemaNode(colander.Sequence(), principal, name=perm, missing=colander.drop)


def _principals(parent: PermissionsSchema, permission: str, value: object) -> list[str]:
    """Return ``value`` as a list of principals."""
    if isinstance(value, list) and all(
        isinstance(item, str) and item and not is_long_id(item) for item in value
    ):
        return list(value)
    try:  # Colander describes the problem.
        principals: list[str] = parent._get_node_principals(permission).deserialize(value)
    except colander.Invalid as error:
        invalid = colander.Invalid(parent)
        invalid.add(error)
        raise invalid from None
    return principals


def _check_length(node: colander.SchemaNode, principal: str) -> None:
    if is_long_id(principal):
        description = f"Principals should not be longer than {MAX_ID_LENGTH} bytes"
        raise colander.Invalid(node, description)


class TimeStamp(colander.SchemaNode):
    """A time in milliseconds since the epoch.

    :param auto_now: whether a missing value becomes the current time.
    :param missing: the value if missing and not ``auto_now``; None by default.
    """

    schema_type = colander.Integer
    title = "Epoch timestamp"
    auto_now = True
    missing = None

    def deserialize(self, cstruct: Any = colander.null) -> Any:
        if cstruct is colander.null and self.auto_now:
            cstruct = msec_time()
        return super().deserialize(cstruct)


_IN_PARENTHESES = r"\((?:[^\s()<>]|\([^\s()<>]+\))*\)"

#: The beginning of a URL: a scheme, ``www.``, or a host and a slash, then at least two
#: characters, the last of which isn't punctuation.
URL_PATTERN = re.compile(
    r"(?:[a-z][\w-]+:(?:/{1,3}|[a-z0-9%])|www\d{0,3}\.|[a-z0-9][a-z0-9.-]*\.[a-z]{2,4}/)"
    rf"(?:[^\s()<>]|{_IN_PARENTHESES})+?"
    rf"(?:[^\s()<>`!\[\]{{}};:'\".,?«»“”‘’]|{_IN_PARENTHESES})",
    re.IGNORECASE,
)


class URL(colander.SchemaNode):
    """A URL of at most 2048 characters; surrounding white space is dropped.

    All schemes and hosts are accepted, also hosts that aren't on the Internet, but a bare host
    name is refused.
    """

    schema_type = colander.String
    validator = colander.All(
        colander.Regex(URL_PATTERN, colander.url.msg), colander.Length(min=1, max=2048)
    )

    def preparer(self, appstruct: Any) -> Any:
        return strip_whitespace(appstruct)
