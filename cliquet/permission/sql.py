"""Common part of the permission engines for SQL databases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cliquet.drivers.escaping import escape, unescape
from cliquet.permission import Entry, PermissionBase
from cliquet.utils.text import after_prefix


class Statements(NamedTuple):
    """The statements of an engine that differ only in their SQL."""

    add_user_principal: str
    remove_user_principal: str
    remove_principal: str
    user_principals: str
    add_entry: str
    remove_entry: str
    object_permissions: str
    authorized_principals: str
    delete_objects: str


class SQLPermission(PermissionBase):
    """A permission engine with two tables. All strings are escaped."""

    _sql: Statements

    def _read(self, query: str, *parameters: Any) -> list[Any]:
        """Run a query, and return the rows."""
        raise NotImplementedError

    def _write(self, statement: str, *parameters: Any) -> None:
        """Run a statement in the transaction of the request."""
        raise NotImplementedError

    def _list(self, strings: Iterable[str]) -> Any:
        """Return the parameter for a list of strings."""
        raise NotImplementedError

    def _pairs(self, pairs: Iterable[tuple[str, str]]) -> Sequence[Any]:
        """Return the parameters for a list of pairs of strings."""
        raise NotImplementedError

    def add_user_principal(self, user_id: str, principal: str) -> None:
        self._write(self._sql.add_user_principal, escape(user_id), escape(principal))

    def remove_user_principal(self, user_id: str, principal: str) -> None:
        self._write(self._sql.remove_user_principal, escape(user_id), escape(principal))

    def remove_principal(self, principal: str) -> None:
        self._write(self._sql.remove_principal, escape(principal))

    def user_principals(self, user_id: str) -> set[str]:
        rows = self._read(self._sql.user_principals, escape(user_id))
        return {unescape(principal) for (principal,) in rows}

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        entry = map(escape, (object_id, permission, principal))
        self._write(self._sql.add_entry, *entry)

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        entry = map(escape, (object_id, permission, principal))
        self._write(self._sql.remove_entry, *entry)

    def delete_object_permissions(self, *object_id_list: str) -> None:
        self._write(self._sql.delete_objects, self._list(object_id_list))

    def _object_entries(self, object_id: str) -> Iterable[tuple[str, str]]:
        for permission, principal in self._read(self._sql.object_permissions, escape(object_id)):
            yield unescape(permission), unescape(principal)

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        rows = self._read(self._sql.authorized_principals, *self._pairs(entries))
        return {unescape(principal) for (principal,) in rows}


def id_range(prefix: str) -> tuple[str, str | None]:
    """Return the first escaped id with a prefix, and the first one after all of these.

    :returns: None for the latter if there is no such id.
    """
    first = escape(prefix)
    return first, after_prefix(first)
