"""In-memory permission backend for tests, trials and single processes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from pyramid.config import Configurator

from cliquet.drivers.backend import SchemalessBackend
from cliquet.drivers.memory import MemoryTransactions, UndoLog, transactions_from_config
from cliquet.permission import Entry
from cliquet.permission import PermissionBase as PermissionBase  # plugins import it here

Key = TypeVar("Key", bound=Hashable)

_NONE: frozenset[str] = frozenset()


class _Relation(Generic[Key]):
    """Sets of strings by key; changes add their reversal to the undo log."""

    def __init__(self) -> None:
        self._sets: dict[Key, set[str]] = {}

    def get(self, key: Key) -> set[str] | frozenset[str]:
        """Return the set of a key, not a copy."""
        return self._sets.get(key, _NONE)

    def keys_of(self, value: str) -> list[Key]:
        return [key for key, values in self._sets.items() if value in values]

    def add(self, key: Key, value: str, log: UndoLog) -> None:
        values = self._sets.setdefault(key, set())
        if value not in values:
            values.add(value)
            log.append(partial(self._forget, key, value))

    def remove(self, key: Key, value: str, log: UndoLog) -> None:
        if value in self.get(key):
            self._forget(key, value)
            log.append(partial(self.add, key, value, []))

    def clear(self, log: UndoLog) -> None:
        log.append(partial(setattr, self, "_sets", self._sets))
        self._sets = {}

    def _forget(self, key: Key, value: str) -> None:
        values = self._sets[key]
        values.remove(value)
        if not values:
            del self._sets[key]


class Permission(SchemalessBackend, PermissionBase):
    """In-memory permission backend; the data is lost when the process ends.

    Enable it with::

        cliquet.permission_backend = cliquet.permission.memory

    :param transactions: shared with the other memory backends of the application.
    """

    supports_rollback = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._transactions = kwargs.get("transactions") or MemoryTransactions()
        self._user_principals: _Relation[str] = _Relation()
        # Access control entries: by object, by object and permission, and by principal.
        self._permissions: _Relation[str] = _Relation()
        self._principals: _Relation[tuple[str, str]] = _Relation()
        self._objects: _Relation[tuple[str, str]] = _Relation()

    def flush(self) -> None:
        with self._transactions.writing() as log:
            self._user_principals.clear(log)
            self._permissions.clear(log)
            self._principals.clear(log)
            self._objects.clear(log)

    # Users

    def add_user_principal(self, user_id: str, principal: str) -> None:
        with self._transactions.writing() as log:
            self._user_principals.add(user_id, principal, log)

    def remove_user_principal(self, user_id: str, principal: str) -> None:
        with self._transactions.writing() as log:
            self._user_principals.remove(user_id, principal, log)

    def remove_principal(self, principal: str) -> None:
        with self._transactions.writing() as log:
            for user_id in self._user_principals.keys_of(principal):
                self._user_principals.remove(user_id, principal, log)

    def replace_principal_users(self, users: Mapping[str, Iterable[str]]) -> None:
        with self._transactions.writing() as log:
            for principal, user_ids in users.items():
                requested, current = set(user_ids), set(self._user_principals.keys_of(principal))
                for user_id in current - requested:
                    self._user_principals.remove(user_id, principal, log)
                for user_id in requested - current:
                    self._user_principals.add(user_id, principal, log)

    def user_principals(self, user_id: str) -> set[str]:
        with self._transactions.reading():
            return set(self._user_principals.get(user_id))

    # Access control entries

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        with self._transactions.writing() as log:
            self._grant(object_id, permission, principal, log)

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        with self._transactions.writing() as log:
            self._withdraw(object_id, permission, principal, log)

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        requested = {permission: set(principals) for permission, principals in permissions.items()}
        with self._transactions.writing() as log:
            for permission, principals in requested.items():
                current = self._principals.get((object_id, permission))
                for principal in current - principals:
                    self._withdraw(object_id, permission, principal, log)
                for principal in principals - current:
                    self._grant(object_id, permission, principal, log)

    def delete_object_permissions(self, *object_id_list: str) -> None:
        with self._transactions.writing() as log:
            for object_id in object_id_list:
                for permission in list(self._permissions.get(object_id)):
                    for principal in list(self._principals.get((object_id, permission))):
                        self._withdraw(object_id, permission, principal, log)

    def _grant(self, object_id: str, permission: str, principal: str, log: UndoLog) -> None:
        self._permissions.add(object_id, permission, log)
        self._principals.add((object_id, permission), principal, log)
        self._objects.add((principal, permission), object_id, log)

    def _withdraw(self, object_id: str, permission: str, principal: str, log: UndoLog) -> None:
        self._objects.remove((principal, permission), object_id, log)
        self._principals.remove((object_id, permission), principal, log)
        if not self._principals.get((object_id, permission)):
            self._permissions.remove(object_id, permission, log)

    # Queries

    def _object_entries(self, object_id: str) -> list[tuple[str, str]]:
        with self._transactions.reading():
            return [
                (permission, principal)
                for permission in self._permissions.get(object_id)
                for principal in self._principals.get((object_id, permission))
            ]

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        with self._transactions.reading():
            return set().union(*map(self._principals.get, entries))

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        principals = set(principals)
        with self._transactions.reading():
            return any(not principals.isdisjoint(self._principals.get(entry)) for entry in entries)

    def _accessible_objects(
        self, ranges: list[Entry], principals: set[str]
    ) -> list[tuple[int, str]]:
        with self._transactions.reading():
            return [
                (number, object_id)
                for number, (prefix, permission) in enumerate(ranges)
                for principal in principals
                for object_id in self._objects.get((principal, permission))
                if object_id.startswith(prefix)
            ]


def load_from_config(config: Configurator) -> Permission:
    """Return the permission backend of an application."""
    return Permission(transactions=transactions_from_config(config))
