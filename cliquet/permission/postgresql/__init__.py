"""PostgreSQL permission backend, for any number of processes and machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyramid.config import Configurator

from cliquet.drivers.escaping import escape, unescape
from cliquet.drivers.postgresql.config import create_from_config
from cliquet.drivers.postgresql.schema import PostgreSQLBackend
from cliquet.drivers.postgresql.schema import logger as logger
from cliquet.drivers.postgresql.transaction import Statement
from cliquet.permission import BoundPermissions, Entry, bound_patterns, bound_permissions
from cliquet.permission import PermissionBase as PermissionBase  # plugins import it here
from cliquet.permission.sql import SQLPermission, Statements, id_range
from cliquet.utils.overrides import detects_overrides, is_inherited

# Each operation is one statement, regardless of the length of its lists.

STATEMENTS = Statements(
    add_user_principal="""
        INSERT INTO cliquet_user_principals (user_id, principal) VALUES (%s, %s)
        ON CONFLICT DO NOTHING
    """,
    remove_user_principal="""
        DELETE FROM cliquet_user_principals WHERE user_id = %s AND principal = %s
    """,
    remove_principal="DELETE FROM cliquet_user_principals WHERE principal = %s",
    user_principals="SELECT array_agg(principal){} FROM cliquet_user_principals WHERE user_id = %s",
    add_entry="""
        INSERT INTO cliquet_access_control_entries (object_id, permission, principal)
        VALUES (%s, %s, %s)
        ON CONFLICT DO NOTHING
    """,
    remove_entry="""
        DELETE FROM cliquet_access_control_entries
        WHERE object_id = %s AND permission = %s AND principal = %s
    """,
    object_permissions="""
        SELECT permission, principal FROM cliquet_access_control_entries WHERE object_id = %s
    """,
    # The first two parameters are the lists of object ids and of permissions.
    authorized_principals="""
        SELECT DISTINCT entry.principal
        FROM unnest(%s::text[], %s::text[]) AS bound (object_id, permission)
        JOIN cliquet_access_control_entries AS entry USING (object_id, permission)
    """,
    delete_objects="""
        DELETE FROM cliquet_access_control_entries WHERE object_id = ANY(%s::text[])
    """,
)

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

# Planned in half the time of a join with unnest().
CHECK_PERMISSION = """
    SELECT EXISTS (
        SELECT FROM cliquet_access_control_entries
        WHERE (object_id, permission) IN %s AND principal = ANY(%s::text[])
    )
"""

# Which principals have an entry. The parameters are the pairs of object id and permission, some
# principals, and a user, whose groups are added to these.
PREFETCH_CHECK = """
    ARRAY(
        SELECT principal FROM cliquet_access_control_entries
        WHERE (object_id, permission) IN %s AND principal = ANY(%s::text[] || ARRAY(
            SELECT principal FROM cliquet_user_principals WHERE user_id = %s))
    )
"""

# The ids in all ranges, each after the number of its range; NULL if that check succeeds.
PREFETCH_ACCESSIBLE = """
    CASE WHEN NOT EXISTS (
        SELECT FROM cliquet_access_control_entries
        WHERE (object_id, permission) IN %s AND principal = ANY(%s::text[] || ARRAY(
            SELECT principal FROM cliquet_user_principals WHERE user_id = %s))
    ) THEN ARRAY({ranges}) END
"""

# The parameters of a range: its number, principals and user, and as in ACCESSIBLE_OBJECTS.
PREFETCH_RANGE = """
    SELECT ARRAY[%s, object_id] FROM cliquet_access_control_entries
    WHERE principal = ANY(%s::text[] || ARRAY(
            SELECT principal FROM cliquet_user_principals WHERE user_id = %s))
        AND permission = %s AND object_id >= %s AND (%s::text IS NULL OR object_id < %s)
"""

PREFETCH_ENTRIES = """
    (SELECT array_agg(ARRAY[permission, principal])
    FROM cliquet_access_control_entries WHERE object_id = %s)
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

FLUSH = (
    "DELETE FROM cliquet_user_principals",
    "DELETE FROM cliquet_access_control_entries",
)


# The key of the permissions by object in the cache of the request's transaction.
_PERMISSIONS = object()

#: The methods that a subclass can't override without disabling that cache.
CACHED = (
    "add_principal_to_ace",
    "remove_principal_from_ace",
    "object_permissions",
    "replace_object_permissions",
    "delete_object_permissions",
)


@detects_overrides
class Permission(PostgreSQLBackend, SQLPermission):
    """PostgreSQL permission backend, with two tables.

    Enable it with::

        cliquet.permission_backend = cliquet.permission.postgresql
        cliquet.permission_url = postgresql://user:password@host:5432/database

    :param client: the client of the database.
    """

    supports_rollback = True
    _package = __name__
    _sql = STATEMENTS

    def flush(self) -> None:
        with self._client.grouped_writes() as run:
            for statement in FLUSH:
                run(statement)
        self._cache().clear()

    def replace_principal_users(self, users: Mapping[str, Iterable[str]]) -> None:
        principals = self._list(users)
        pairs = self._pairs(
            (user_id, principal) for principal, user_ids in users.items() for user_id in user_ids
        )
        self._client.write_together(
            Statement(LOCK_PRINCIPALS, [principals]),
            Statement(REPLACE_USERS, [*pairs, principals]),
        )

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        entries = self._pairs(
            (permission, principal)
            for permission, principals in permissions.items()
            for principal in principals
        )
        parameters = [escape(object_id), self._list(permissions), *entries]
        self._client.execute_deferred(REPLACE_PERMISSIONS, parameters)
        if (cached := self._cache().get(object_id)) is not None:
            cached.update({name: set(some) for name, some in permissions.items()})

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        super().add_principal_to_ace(object_id, permission, principal)
        if (cached := self._cache().get(object_id)) is not None:
            cached.setdefault(permission, set()).add(principal)

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        super().remove_principal_from_ace(object_id, permission, principal)
        self._cache().pop(object_id, None)

    def delete_object_permissions(self, *object_id_list: str) -> None:
        super().delete_object_permissions(*object_id_list)
        for object_id in object_id_list:
            self._cache().pop(object_id, None)

    def object_permissions_for_update(self, object_id: str) -> dict[str, set[str]]:
        if not is_inherited(self, Permission, *CACHED):
            return self.object_permissions(object_id)
        cache = self._cache()
        if object_id not in cache:
            cache[object_id] = self.object_permissions(object_id)
        return {name: set(some) for name, some in cache[object_id].items() if some}

    def expect_no_permissions(self, object_id: str) -> None:
        self._cache()[object_id] = {}

    def _cache(self) -> dict[str, dict[str, set[str]]]:
        """Return the permissions of locked objects, by object, as changed by the transaction.

        It is discarded with the transaction, or if a part of it is rolled back.
        """
        cache = self._client.transaction_cache()
        return {} if cache is None else cache.setdefault(_PERMISSIONS, {})

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        if not entries:
            return False
        pairs = _escaped_pairs(entries)
        principals = set(principals)
        prefetched = self._client.prefetch().take(("check", pairs))
        if prefetched is not None:
            granted, considered = prefetched[0]
            if principals <= considered | self._groups():
                return not principals.isdisjoint(granted)
        ((is_allowed,),) = self._client.read(CHECK_PERMISSION, [pairs, self._list(principals)])
        return bool(is_allowed)

    def prefetch_check(
        self,
        object_id: str,
        permission: str,
        principals: Iterable[str],
        user_id: str,
        get_bound_permissions: BoundPermissions | None = None,
        object_id_match: str | None = None,
    ) -> None:
        pairs = _escaped_pairs(bound_permissions(object_id, permission, get_bound_permissions))
        if not pairs:
            return
        considered = frozenset(principals)
        of_user = [self._list(considered), escape(user_id)]
        prefetch = self._client.prefetch()
        prefetch.request(
            ("check", pairs),
            Statement(PREFETCH_CHECK, [pairs, *of_user]),
            lambda granted: (set(map(unescape, granted)), considered),
        )
        if object_id_match is None:
            return
        patterns = bound_patterns(object_id_match, permission, get_bound_permissions)
        ranges = tuple((pattern.prefix, bound) for pattern, bound in patterns)
        parameters: list[Any] = [pairs, *of_user]
        for number, (prefix, bound) in enumerate(ranges):
            first, after = id_range(prefix)
            parameters += [str(number), *of_user, escape(bound), first, after, after]
        scalar = PREFETCH_ACCESSIBLE.format(ranges="UNION ALL".join([PREFETCH_RANGE] * len(ranges)))
        prefetch.request(
            ("accessible", ranges), Statement(scalar, parameters), lambda ids: (ids, considered)
        )

    def user_principals(self, user_id: str) -> set[str]:
        ((principals,),) = self._client.read_row(self._sql.user_principals, [escape(user_id)])
        groups = set(map(unescape, principals or ()))
        self._client.prefetch().put("groups", frozenset(groups))
        return groups

    def _groups(self) -> frozenset[str]:
        """Return the groups of the user, if the latest statement has read them."""
        groups: frozenset[str] = self._client.prefetch().get("groups", frozenset())
        return groups

    def prefetch_object_permissions(self, object_id: str, for_update: bool = False) -> None:
        def read(entries: Any) -> dict[str, set[str]]:
            permissions = _permissions(entries)
            if for_update and is_inherited(self, Permission, *CACHED):
                self._cache().setdefault(object_id, permissions)
            return permissions

        self._client.prefetch().request(
            ("object", object_id), Statement(PREFETCH_ENTRIES, [escape(object_id)]), read
        )

    def object_permissions(
        self, object_id: str, permissions: Iterable[str] | None = None
    ) -> dict[str, set[str]]:
        prefetched = self._client.prefetch().take(("object", object_id))
        if prefetched is None:
            return super().object_permissions(object_id, permissions)
        requested = prefetched[0] if permissions is None else set(permissions)
        return {name: set(some) for name, some in prefetched[0].items() if name in requested}

    def _accessible_objects(
        self, ranges: list[Entry], principals: set[str]
    ) -> Iterable[tuple[int, str]]:
        prefetched = self._client.prefetch().take(("accessible", tuple(ranges)))
        if prefetched is not None:
            accessible, considered = prefetched[0]
            if accessible is not None and principals == considered | self._groups():
                return [(int(number), unescape(object_id)) for number, object_id in accessible]
        escaped, parameters = self._list(principals), []
        for number, (prefix, permission) in enumerate(ranges):
            first, after = id_range(prefix)
            parameters += [number, escaped, escape(permission), first, after, after]
        statement = "UNION ALL".join([ACCESSIBLE_OBJECTS] * len(ranges))
        rows = self._client.read(statement, parameters)
        return ((number, unescape(object_id)) for number, object_id in rows)

    def _read(self, query: str, *parameters: Any) -> list[Any]:
        return self._client.read(query, parameters)

    def _write(self, statement: str, *parameters: Any) -> None:
        self._client.execute_deferred(statement, parameters)

    def _list(self, strings: Iterable[str]) -> list[str]:
        return [escape(string) for string in strings]

    def _pairs(self, pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
        escaped = [(escape(first), escape(second)) for first, second in pairs]
        return [[first for first, _ in escaped], [second for _, second in escaped]]


def _permissions(entries: list[list[str]] | None) -> dict[str, set[str]]:
    """Return the permissions in the rows of an object."""
    permissions: dict[str, set[str]] = {}
    for permission, principal in entries or ():
        permissions.setdefault(unescape(permission), set()).add(unescape(principal))
    return permissions


def _escaped_pairs(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple((escape(object_id), escape(permission)) for object_id, permission in entries)


def load_from_config(config: Configurator) -> Permission:
    """Return the permission backend of an application."""
    return Permission(create_from_config(config, prefix="permission_"))
