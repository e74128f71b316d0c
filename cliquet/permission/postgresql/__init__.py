"""PostgreSQL permission backend, for any number of processes and machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cliquet.drivers.escaping import escape, unescape
from cliquet.drivers.postgresql.client import create_from_config
from cliquet.drivers.postgresql.schema import PostgreSQLBackend
from cliquet.permission import BoundPermissions, bound_patterns
from cliquet.permission import PermissionBase as PermissionBase  # plugins import it here
from cliquet.permission.engine import Entry, PermissionEngine
from cliquet.permission.object_ids import after_prefix

# Each operation is one statement, regardless of the length of its lists.

ADD_USER_PRINCIPAL = """
    INSERT INTO cliquet_user_principals (user_id, principal) VALUES (%s, %s)
    ON CONFLICT DO NOTHING
"""

REMOVE_USER_PRINCIPAL = """
    DELETE FROM cliquet_user_principals WHERE user_id = %s AND principal = %s
"""

REMOVE_PRINCIPAL = "DELETE FROM cliquet_user_principals WHERE principal = %s"

# Serializes concurrent replacements, like cliquet_replace_permissions(). A statement of its own,
# so that the next one sees the changes of the previous holder. Sorted to avoid deadlocks.
LOCK_PRINCIPALS = """
    SELECT pg_advisory_xact_lock(811508, hashed)
    FROM (SELECT DISTINCT hashtext(unnest(%s::text[])) AS hashed ORDER BY hashed) AS keys
"""

# The parameters are the lists of users and principals, and that of replaced principals. A
# statement sees no effect of its own parts, so it only deletes entries that it doesn't insert.
REPLACE_USERS = """
    WITH given AS (
        SELECT DISTINCT * FROM unnest(%s::text[], %s::text[]) AS pair (user_id, principal)
    ), removed AS (
        DELETE FROM cliquet_user_principals
        WHERE principal = ANY(%s::text[])
            AND (user_id, principal) NOT IN (SELECT user_id, principal FROM given)
    )
    INSERT INTO cliquet_user_principals (user_id, principal)
    SELECT user_id, principal FROM given ON CONFLICT DO NOTHING
"""

USER_PRINCIPALS = "SELECT principal FROM cliquet_user_principals WHERE user_id = %s"

ADD_ENTRY = """
    INSERT INTO cliquet_access_control_entries (object_id, permission, principal)
    VALUES (%s, %s, %s)
    ON CONFLICT DO NOTHING
"""

REMOVE_ENTRY = """
    DELETE FROM cliquet_access_control_entries
    WHERE object_id = %s AND permission = %s AND principal = %s
"""

OBJECT_PERMISSIONS = """
    SELECT permission, principal FROM cliquet_access_control_entries WHERE object_id = %s
"""

# The first two parameters are the lists of object ids and of permissions.
AUTHORIZED_PRINCIPALS = """
    SELECT DISTINCT entry.principal
    FROM unnest(%s::text[], %s::text[]) AS bound (object_id, permission)
    JOIN cliquet_access_control_entries AS entry USING (object_id, permission)
"""

# Planned in half the time of a join with unnest().
CHECK_PERMISSION = """
    SELECT EXISTS (
        SELECT FROM cliquet_access_control_entries
        WHERE (object_id, permission) IN %s AND principal = ANY(%s::text[])
    )
"""

# The parameters of a range of ids: its number, the principals, the permission, the first id and,
# twice, the id after the last (NULL: unbounded).
ACCESSIBLE_OBJECTS = """
    SELECT %s, object_id FROM cliquet_access_control_entries
    WHERE principal = ANY(%s::text[]) AND permission = %s
        AND object_id >= %s AND (%s::text IS NULL OR object_id < %s)
"""

# The last two parameters are the lists of permissions and principals.
REPLACE_PERMISSIONS = "SELECT cliquet_replace_permissions(%s, %s::text[], %s::text[], %s::text[])"

DELETE_OBJECTS = """
    DELETE FROM cliquet_access_control_entries WHERE object_id = ANY(%s::text[])
"""

FLUSH = (
    "DELETE FROM cliquet_user_principals",
    "DELETE FROM cliquet_access_control_entries",
)


class Permission(PostgreSQLBackend, PermissionEngine):
    """PostgreSQL permission backend, with two tables.

    Enable it with::

        cliquet.permission_backend = cliquet.permission.postgresql
        cliquet.permission_url = postgresql://user:password@host:5432/database

    :param client: the client of the database.
    """

    supports_rollback = True
    _package = __name__

    def flush(self) -> None:
        with self._client.grouped_writes() as run:
            for statement in FLUSH:
                run(statement)

    # Users

    def add_user_principal(self, user_id: str, principal: str) -> None:
        self._client.execute_deferred(ADD_USER_PRINCIPAL, [escape(user_id), escape(principal)])

    def remove_user_principal(self, user_id: str, principal: str) -> None:
        self._client.execute_deferred(REMOVE_USER_PRINCIPAL, [escape(user_id), escape(principal)])

    def remove_principal(self, principal: str) -> None:
        self._client.execute_deferred(REMOVE_PRINCIPAL, [escape(principal)])

    def replace_principal_users(self, users: Mapping[str, Iterable[str]]) -> None:
        principals = _texts(users)
        pairs = _columns(
            (user_id, principal) for principal, user_ids in users.items() for user_id in user_ids
        )
        with self._client.grouped_writes() as run:
            run(LOCK_PRINCIPALS, [principals])
            run(REPLACE_USERS, [*pairs, principals])

    def user_principals(self, user_id: str) -> set[str]:
        rows = self._client.read(USER_PRINCIPALS, [escape(user_id)])
        return {unescape(principal) for (principal,) in rows}

    # Access control entries

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        self._client.execute_deferred(
            ADD_ENTRY, [escape(object_id), escape(permission), escape(principal)]
        )

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        self._client.execute_deferred(
            REMOVE_ENTRY, [escape(object_id), escape(permission), escape(principal)]
        )

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        entries = _columns(
            (permission, principal)
            for permission, principals in permissions.items()
            for principal in principals
        )
        parameters = [escape(object_id), _texts(permissions), *entries]
        self._client.execute_deferred(REPLACE_PERMISSIONS, parameters)

    def delete_object_permissions(self, *object_id_list: str) -> None:
        self._client.execute_deferred(DELETE_OBJECTS, [_texts(object_id_list)])

    # Queries

    def object_permissions(
        self, object_id: str, permissions: Iterable[str] | None = None
    ) -> dict[str, set[str]]:
        wanted = None if permissions is None else set(permissions)
        result: dict[str, set[str]] = {}
        for permission, principal in self._client.read(OBJECT_PERMISSIONS, [escape(object_id)]):
            permission = unescape(permission)
            if wanted is None or permission in wanted:
                result.setdefault(permission, set()).add(unescape(principal))
        return result

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        rows = self._client.read(AUTHORIZED_PRINCIPALS, _columns(entries))
        return {unescape(principal) for (principal,) in rows}

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        if not entries:
            return False
        pairs = tuple((escape(bound_id), escape(name)) for bound_id, name in entries)
        ((found,),) = self._client.read(CHECK_PERMISSION, [pairs, _texts(principals)])
        return bool(found)

    def principals_accessible_objects(
        self,
        principals: Iterable[str],
        permission: str,
        object_id_match: str | None = None,
        get_bound_permissions: BoundPermissions | None = None,
    ) -> set[str]:
        patterns = bound_patterns(object_id_match, permission, get_bound_permissions)
        texts, parameters = _texts(principals), []
        for number, (pattern, bound) in enumerate(patterns):
            first = escape(pattern.prefix)
            after = after_prefix(first)
            parameters += [number, texts, escape(bound), first, after, after]
        statement = "UNION ALL".join([ACCESSIBLE_OBJECTS] * len(patterns))
        rows = self._client.read(statement, parameters) if patterns else []
        candidates = ((patterns[number][0], unescape(object_id)) for number, object_id in rows)
        return {object_id for pattern, object_id in candidates if pattern.matches(object_id)}


def _texts(texts: Iterable[str]) -> list[str]:
    return [escape(text) for text in texts]


def _columns(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the list of the first items of the pairs, and that of the second ones."""
    escaped = [(escape(first), escape(second)) for first, second in pairs]
    return [[first for first, _ in escaped], [second for _, second in escaped]]


def load_from_config(config: Any) -> Permission:
    """Return the permission backend of an application."""
    return Permission(create_from_config(config, prefix="permission_"))
