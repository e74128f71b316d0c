"""Redis permission backend, shared by processes and machines.

Every operation is one script, and its changes become visible together. They remain even if the
request fails, because Redis has no rollback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pyramid.config import Configurator

from cliquet import transactions
from cliquet.drivers.redis.client import RedisBackend, Script, create_from_config, decode, encode
from cliquet.drivers.redis.client import wrap_redis_error as wrap_redis_error
from cliquet.permission import Entry
from cliquet.permission import PermissionBase as PermissionBase  # plugins import it here

#: Prefix of all keys.
PREFIX = b"cliquet.permission."


def _script(name: str) -> Script:
    folder = Path(__file__).parent
    return Script(folder / "keys.lua", folder / f"{name}.lua")


_CHANGE = _script("change")
_USER = _script("user")
_OBJECT = _script("object")
_AUTHORIZED = _script("authorized")
_CHECK = _script("check")
_ACCESSIBLE = _script("accessible")

#: The name of a change, and up to three strings.
_Change = tuple[str, ...]


class Permission(RedisBackend, PermissionBase):
    """Redis permission backend.

    Enable it with::

        cliquet.permission_backend = cliquet.permission.redis
        cliquet.permission_url = redis://localhost:6379/0

    :param client: the client of the server.
    """

    def flush(self) -> None:
        self._client.delete_keys(PREFIX)

    # Users

    def add_user_principal(self, user_id: str, principal: str) -> None:
        self._change([("add", user_id, principal)])

    def remove_user_principal(self, user_id: str, principal: str) -> None:
        self._change([("remove", user_id, principal)])

    def remove_principal(self, principal: str) -> None:
        self._change([("remove_from_all", principal)])

    def replace_principal_users(self, users: Mapping[str, Iterable[str]]) -> None:
        changes: list[_Change] = []
        for principal, user_ids in users.items():
            changes.append(("remove_from_all", principal))
            changes += (("add", user_id, principal) for user_id in user_ids)
        self._change(changes)

    def user_principals(self, user_id: str) -> set[str]:
        return set(map(decode, self._run(_USER, [user_id])))

    # Access control entries

    def add_principal_to_ace(self, object_id: str, permission: str, principal: str) -> None:
        self._change([("grant", object_id, permission, principal)])

    def remove_principal_from_ace(self, object_id: str, permission: str, principal: str) -> None:
        self._change([("withdraw", object_id, permission, principal)])

    def replace_object_permissions(
        self, object_id: str, permissions: Mapping[str, Iterable[str]]
    ) -> None:
        changes: list[_Change] = []
        for permission, principals in permissions.items():
            changes.append(("withdraw_from_all", object_id, permission))
            changes += (("grant", object_id, permission, principal) for principal in principals)
        self._change(changes)

    def delete_object_permissions(self, *object_id_list: str) -> None:
        self._change([("delete", object_id) for object_id in object_id_list])

    # Queries

    def _object_entries(self, object_id: str) -> Iterator[tuple[str, str]]:
        reply = self._run(_OBJECT, [object_id])
        for permission, principals in zip(reply[::2], reply[1::2], strict=True):
            yield from ((decode(permission), decode(principal)) for principal in principals)

    def _authorized_principals(self, entries: list[Entry]) -> set[str]:
        return set(map(decode, self._run(_AUTHORIZED, _flat(entries))))

    def _check(self, entries: list[Entry], principals: Iterable[str]) -> bool:
        matches: int = self._run_for(principals, _CHECK, entries)
        return matches == 1

    def _accessible_objects(
        self, ranges: list[Entry], principals: set[str]
    ) -> Iterable[tuple[int, str]]:
        reply = self._run_for(principals, _ACCESSIBLE, ranges)
        return zip(reply[::2], map(decode, reply[1::2]), strict=True)

    def _change(self, changes: Iterable[_Change]) -> None:
        self._run(_CHANGE, [text for change in changes for text in (*change, "", "")[:4]])
        transactions.disable_retry()

    def _run_for(
        self, principals: Iterable[str], script: Script, pairs: Iterable[tuple[str, str]]
    ) -> Any:
        principals = set(principals)
        return self._run(script, [str(len(principals)), *principals, *_flat(pairs)])

    def _run(self, script: Script, texts: Iterable[str]) -> Any:
        return self._client.run(script, [], *map(encode, texts))


def _flat(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [text for pair in pairs for text in pair]


def load_from_config(config: Configurator) -> Permission:
    """Return the permission backend of an application."""
    return Permission(create_from_config(config, prefix="permission_"))
