"""SQLite permission backend, shared by the processes of a machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyramid.config import Configurator

from cliquet.drivers.escaping import escape, unescape
from cliquet.drivers.sqlite.client import create_from_config
from cliquet.drivers.sqlite.schema import SQLiteBackend
from cliquet.permission import Entry
from cliquet.permission.sql import SQLPermission, Statements, id_range
from cliquet.utils import json

# All strings are escaped (see cliquet.drivers.escaping). Lists are passed as JSON, in which
# SQLite would cut strings at null characters. CROSS JOIN fixes the order of the tables, so that
# the entries of each item of a list are looked up in an index.

STATEMENTS = Statements(
    add_user_principal="INSERT OR IGNORE INTO user_principals (user_id, principal) VALUES (?, ?)",
    remove_user_principal="DELETE FROM user_principals WHERE user_id = ? AND principal = ?",
    remove_principal="DELETE FROM user_principals WHERE principal = ?",
    user_principals="SELECT principal FROM user_principals WHERE user_id = ?",
    add_entry="""
        INSERT OR IGNORE INTO access_control_entries (object_id, permission, principal)
        VALUES (?, ?, ?)
    """,
    remove_entry="""
        DELETE FROM access_control_entries
        WHERE object_id = ? AND permission = ? AND principal = ?
    """,
    object_permissions="""
        SELECT permission, principal FROM access_control_entries WHERE object_id = ?
    """,
    # The first parameter is a list of [object id, permission].
    authorized_principals="""
        SELECT DISTINCT entry.principal
        FROM json_each(?) AS bound
        CROSS JOIN access_control_entries AS entry
            ON entry.object_id = json_extract(bound.value, '$[0]')
            AND entry.permission = json_extract(bound.value, '$[1]')
    """,
    delete_objects="""
        DELETE FROM access_control_entries
        WHERE object_id IN (SELECT value FROM json_each(?))
    """,
)

# The parameter is a list of principals.
REMOVE_PRINCIPALS = """
    DELETE FROM user_principals WHERE principal IN (SELECT value FROM json_each(?))
"""

# The parameter is a list of [user id, principal].
ADD_USER_PRINCIPALS = """
    INSERT OR IGNORE INTO user_principals (user_id, principal)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
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

FLUSH = ("DELETE FROM user_principals", "DELETE FROM access_control_entries")


class Permission(SQLiteBackend, SQLPermission):
    """SQLite permission backend, with two tables.

    Enable it with::

        cliquet.permission_backend = cliquet.permission.sqlite
        cliquet.permission_url = sqlite:///path/to/file

    :param client: the client of the file.
    """

    supports_rollback = True
    _package = __name__
    _sql = STATEMENTS

    def flush(self) -> None:
        with self._client.write() as connection:
            for statement in FLUSH:
                connection.execute(statement)

    def replace_principal_users(self, users: Mapping[str, Iterable[str]]) -> None:
        pairs = self._pairs(
            (user_id, principal) for principal, user_ids in users.items() for user_id in user_ids
        )
        with self._client.write() as connection:
            connection.execute(REMOVE_PRINCIPALS, (self._list(users),))
            connection.execute(ADD_USER_PRINCIPALS, pairs)

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        entries = self._pairs(
            (permission, principal)
            for permission, principals in permissions.items()
            for principal in principals
        )
        object_id = escape(object_id)
        with self._client.write() as connection:
            connection.execute(REMOVE_PERMISSIONS, (object_id, self._list(permissions)))
            connection.execute(ADD_PERMISSIONS, (object_id, *entries))

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        ((is_allowed,),) = self._read(
            CHECK_PERMISSION, *self._pairs(entries), self._list(principals)
        )
        return bool(is_allowed)

    def _accessible_objects(
        self, ranges: list[Entry], principals: set[str]
    ) -> Iterable[tuple[int, str]]:
        escaped = [(*id_range(prefix), escape(permission)) for prefix, permission in ranges]
        rows = self._read(ACCESSIBLE_OBJECTS, json.dumps(escaped), self._list(principals))
        return ((number, unescape(object_id)) for number, object_id in rows)

    def _read(self, query: str, *parameters: str) -> list[Any]:
        with self._client.read() as connection:
            return connection.execute(query, parameters).fetchall()

    def _write(self, statement: str, *parameters: str) -> None:
        with self._client.write() as connection:
            connection.execute(statement, parameters)

    def _list(self, strings: Iterable[str]) -> str:
        return json.dumps([escape(string) for string in strings])

    def _pairs(self, pairs: Iterable[tuple[str, str]]) -> list[str]:
        return [json.dumps([(escape(first), escape(second)) for first, second in pairs])]


def load_from_config(config: Configurator) -> Permission:
    """Return the permission backend of an application."""
    return Permission(create_from_config(config, prefix="permission_"))
