"""SQLite permission backend, shared by the processes of a machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cliquet.drivers.escaping import escape, unescape
from cliquet.drivers.sqlite.client import Client, create_from_config
from cliquet.drivers.sqlite.schema import SQLiteBackend
from cliquet.permission import BoundPermissions, bound_patterns
from cliquet.permission.engine import Entry, PermissionEngine
from cliquet.permission.object_ids import after_prefix
from cliquet.utils import json

# All strings are escaped (see cliquet.drivers.escaping). Lists are passed as JSON, in which
# SQLite would cut strings at null characters. CROSS JOIN fixes the order of the tables, so that
# the entries of each item of a list are looked up in an index.

ADD_USER_PRINCIPAL = "INSERT OR IGNORE INTO user_principals (user_id, principal) VALUES (?, ?)"

REMOVE_USER_PRINCIPAL = "DELETE FROM user_principals WHERE user_id = ? AND principal = ?"

REMOVE_PRINCIPAL = "DELETE FROM user_principals WHERE principal = ?"

# The parameter is a list of principals.
REMOVE_PRINCIPALS = """
    DELETE FROM user_principals WHERE principal IN (SELECT value FROM json_each(?))
"""

# The parameter is a list of [user id, principal].
ADD_USER_PRINCIPALS = """
    INSERT OR IGNORE INTO user_principals (user_id, principal)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
"""

USER_PRINCIPALS = "SELECT principal FROM user_principals WHERE user_id = ?"

ADD_ENTRY = """
    INSERT OR IGNORE INTO access_control_entries (object_id, permission, principal)
    VALUES (?, ?, ?)
"""

REMOVE_ENTRY = """
    DELETE FROM access_control_entries
    WHERE object_id = ? AND permission = ? AND principal = ?
"""

OBJECT_PERMISSIONS = "SELECT permission, principal FROM access_control_entries WHERE object_id = ?"

# The first parameter is a list of [object id, permission].
AUTHORIZED_PRINCIPALS = """
    SELECT DISTINCT entry.principal
    FROM json_each(?) AS bound
    CROSS JOIN access_control_entries AS entry
        ON entry.object_id = json_extract(bound.value, '$[0]')
        AND entry.permission = json_extract(bound.value, '$[1]')
"""

CHECK_PERMISSION = """
    SELECT EXISTS (
        SELECT 1
        FROM json_each(?) AS bound
        CROSS JOIN access_control_entries AS entry
            ON entry.object_id = json_extract(bound.value, '$[0]')
            AND entry.permission = json_extract(bound.value, '$[1]')
        WHERE entry.principal IN (SELECT value FROM json_each(?))
    )
"""

# The first parameter is a list of [first id, id after the last, permission]. SQLite orders every
# string before every blob, so x'' is the end of an unbounded range.
ACCESSIBLE_OBJECTS = """
    SELECT DISTINCT span.key, entry.object_id
    FROM json_each(?) AS span
    CROSS JOIN json_each(?) AS principal
    CROSS JOIN access_control_entries AS entry
        ON entry.principal = principal.value
        AND entry.permission = json_extract(span.value, '$[2]')
        AND entry.object_id >= json_extract(span.value, '$[0]')
        AND entry.object_id < coalesce(json_extract(span.value, '$[1]'), x'')
"""

REMOVE_PERMISSIONS = """
    DELETE FROM access_control_entries
    WHERE object_id = ? AND permission IN (SELECT value FROM json_each(?))
"""

# The last parameter is a list of [permission, principal].
ADD_PERMISSIONS = """
    INSERT OR IGNORE INTO access_control_entries (object_id, permission, principal)
    SELECT ?, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
"""

DELETE_OBJECTS = """
    DELETE FROM access_control_entries
    WHERE object_id IN (SELECT value FROM json_each(?))
"""

FLUSH = ("DELETE FROM user_principals", "DELETE FROM access_control_entries")


class Permission(SQLiteBackend, PermissionEngine):
    """SQLite permission backend, with two tables.

    Enable it with::

        cliquet.permission_backend = cliquet.permission.sqlite
        cliquet.permission_url = sqlite:///path/to/file

    :param client: the client of the file.
    """

    supports_rollback = True
    _package = __name__

    def __init__(self, client: Client, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._client = client

    def flush(self) -> None:
        with self._client.write() as connection:
            for statement in FLUSH:
                connection.execute(statement)

    # Users

    def add_user_principal(self, user_id: str, principal: str) -> None:
        self._write(ADD_USER_PRINCIPAL, escape(user_id), escape(principal))

    def remove_user_principal(self, user_id: str, principal: str) -> None:
        self._write(REMOVE_USER_PRINCIPAL, escape(user_id), escape(principal))

    def remove_principal(self, principal: str) -> None:
        self._write(REMOVE_PRINCIPAL, escape(principal))

    def replace_principal_users(self, users: Mapping[str, Iterable[str]]) -> None:
        pairs = _permission_pairs(
            (user_id, principal) for principal, user_ids in users.items() for user_id in user_ids
        )
        with self._client.write() as connection:
            connection.execute(REMOVE_PRINCIPALS, (_texts(users),))
            connection.execute(ADD_USER_PRINCIPALS, (pairs,))

    def user_principals(self, user_id: str) -> set[str]:
        rows = self._read(USER_PRINCIPALS, escape(user_id))
        return {unescape(principal) for (principal,) in rows}

    # Access control entries

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        self._write(ADD_ENTRY, escape(object_id), escape(permission), escape(principal))

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        self._write(REMOVE_ENTRY, escape(object_id), escape(permission), escape(principal))

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        entries = _permission_pairs(
            (permission, principal)
            for permission, principals in permissions.items()
            for principal in principals
        )
        object_id = escape(object_id)
        with self._client.write() as connection:
            connection.execute(REMOVE_PERMISSIONS, (object_id, _texts(permissions)))
            connection.execute(ADD_PERMISSIONS, (object_id, entries))

    def delete_object_permissions(self, *object_id_list: str) -> None:
        self._write(DELETE_OBJECTS, _texts(object_id_list))

    # Queries

    def object_permissions(
        self, object_id: str, permissions: Iterable[str] | None = None
    ) -> dict[str, set[str]]:
        wanted = None if permissions is None else set(permissions)
        result: dict[str, set[str]] = {}
        for permission, principal in self._read(OBJECT_PERMISSIONS, escape(object_id)):
            permission = unescape(permission)
            if wanted is None or permission in wanted:
                result.setdefault(permission, set()).add(unescape(principal))
        return result

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        rows = self._read(AUTHORIZED_PRINCIPALS, _permission_pairs(entries))
        return {unescape(principal) for (principal,) in rows}

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        ((found,),) = self._read(CHECK_PERMISSION, _permission_pairs(entries), _texts(principals))
        return bool(found)

    def principals_accessible_objects(
        self,
        principals: Iterable[str],
        permission: str,
        object_id_match: str | None = None,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        patterns = bound_patterns(object_id_match, permission, get_bound_permissions)
        ranges = []
        for pattern, bound in patterns:
            prefix = escape(pattern.prefix)
            ranges.append((prefix, after_prefix(prefix), escape(bound)))
        rows = self._read(ACCESSIBLE_OBJECTS, json.dumps(ranges), _texts(principals))
        candidates = ((patterns[number][0], unescape(object_id)) for number, object_id in rows)
        return {object_id for pattern, object_id in candidates if pattern.matches(object_id)}

    def _read(self, query: str, *parameters: str) -> list[Any]:
        with self._client.read() as connection:
            return connection.execute(query, parameters).fetchall()

    def _write(self, statement: str, *parameters: str) -> None:
        with self._client.write() as connection:
            connection.execute(statement, parameters)


def _texts(texts: Iterable[str]) -> str:
    return json.dumps([escape(text) for text in texts])


def _permission_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return json.dumps([(escape(first), escape(second)) for first, second in pairs])


def load_from_config(config: Any) -> Permission:
    """Return the permission backend of an application."""
    return Permission(create_from_config(config, prefix="permission_"))
