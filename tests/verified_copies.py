"""Histories of lists whose readers keep verified copies.

Owners write; permissions, groups, purges, old timestamps, flushes and restored backups change lists
in ways that have no timestamp. After each poll that verifies it, a copy must be exactly the list
that its user can read.
"""

import copy
import json
import random
import threading
import time
from functools import partial
from threading import Thread

from requests.structures import CaseInsensitiveDict

from cliquet.client.copies import Copy
from cliquet.client.errors import Forbidden, result_of
from cliquet.client.messages import Response
from cliquet.storage.redis.keys import PREFIX
from cliquet.utils import msec_time
from tests.hostile_client import new_id
from tests.scenarios import explain, together

SHARED, PRIVATE = "/articles", "/spores"
GROUPS = ("group:a", "group:b")
_SELECT = "SELECT * FROM {}"
_DELETE = "DELETE FROM {}"
_INSERT = "INSERT INTO {} VALUES ({})"
_SELECT_JSON = "SELECT coalesce(json_agg(t), '[]')::text FROM {} AS t"
_INSERT_JSON = """INSERT INTO {0} OVERRIDING SYSTEM VALUE
 SELECT * FROM json_populate_recordset(NULL::{0}, %s::json)"""


class Reader:
    """A user who keeps a copy of a list.

    :param client: that of the user.
    :param trusts_timestamps: whether to ignore checksums, as clients without them do.
    """

    def __init__(self, client, path, trusts_timestamps=False):
        self.client = client
        self.path = path
        self.copy = Copy(self._send, path)
        self.polls = self.verified = 0
        self._trusts_timestamps = trusts_timestamps

    def _send(self, request):
        path, _, query = request.path.partition("?")
        response = self.client.send(request.method, path, query)
        headers = CaseInsensitiveDict(response.headers.items())
        if self._trusts_timestamps:
            headers.pop("Checksum", None)
        body = json.loads(response.body) if response.body else None
        return result_of(request, Response(response.status, headers, body))

    def poll(self):
        """Poll; return whether the copy is verified, or the user can't read any record."""
        self.polls += 1
        try:
            self.copy.poll()
        except Forbidden:
            is_verified = True  # the copy is empty
        else:
            is_verified = self.copy.verified is True
        self.verified += is_verified
        return is_verified

    @property
    def is_exact(self):
        return self.copy.records == readable(self.client, self.path)


class Owner:
    """A user who writes shared and private records, and an administrator of the service.

    :param client: that of the user.
    :param registry: of an application on the same database.
    :param readers: the clients of those who can get permissions.
    :param on_loss: function called when the storage loses changes.
    """

    def __init__(self, client, registry, readers, seed=0, on_loss=lambda: None):
        self.client = client
        self.acknowledged = 0
        self._storage, self._permission = registry.storage, registry.permission
        self._random = random.Random(seed)
        self._principals = [*GROUPS, *map(user_id, readers)]
        self._users = [user_id(reader) for reader in readers]
        self._ids = {SHARED: [], PRIVATE: []}
        self._collections = [("article", "")]
        self._collections += [("spore", user) for user in (user_id(client), *self._users)]
        self._on_loss = on_loss
        self._backup = None

    def create(self, path=SHARED, readers=(), **data):
        record_id = new_id()
        body = {"data": data}
        if path == SHARED:
            body["permissions"] = {"read": list(readers)}
        self._write("PUT", f"{path}/{record_id}", body, (201,))
        self._ids[path].append(record_id)
        return record_id

    def share(self, record_id, readers):
        self._write("PATCH", f"{SHARED}/{record_id}", {"permissions": {"read": list(readers)}})

    def change(self, record_id, path=SHARED):
        self._write("PATCH", f"{path}/{record_id}", {"data": {"n": self._random.random()}})

    def delete(self, record_id, path=SHARED):
        self._write("DELETE", f"{path}/{record_id}", None)

    def join(self, user, group=GROUPS[0]):
        self._permission.add_user_principal(user, group)

    def leave(self, user, group=GROUPS[0]):
        self._permission.remove_user_principal(user, group)

    def share_list(self, user):
        self._permission.add_principal_to_ace(SHARED, "read", user)

    def unshare_list(self, user):
        self._permission.remove_principal_from_ace(SHARED, "read", user)

    def purge(self):
        for collection in self._collections:
            self._storage.purge_deleted(*collection)

    def flush(self):
        self._storage.flush()
        self._on_loss()

    def back_up(self):
        self._backup = backup_of(self._storage)

    def restore(self):
        """Restore the latest backup, later than any timestamp: a restore takes a while."""
        latest = max(self._storage.collection_timestamp(*place) for place in self._collections)
        while msec_time() <= latest:
            time.sleep(0.001)
        if self._backup:
            self._backup()
            self._on_loss()

    def choose_principals(self):
        return [each for each in self._principals if self._random.random() < 0.4]

    def step(self, with_backups=True):
        """Take a random action.

        :param with_backups: whether to create and restore backups too.
        """
        choose, path = self._random.choice, self._random.choice([SHARED, SHARED, PRIVATE])
        record_id, user = choose(self._ids[path] or [new_id()]), choose(self._users)
        readers = self.choose_principals()
        time_ = {"last_modified": self._random.randrange(1, 10**12)}
        shared_id = choose(self._ids[SHARED] or [new_id()])
        actions = {
            lambda: self.create(path, readers): 8,
            lambda: self.create(path, readers, **time_): 2,
            lambda: self.change(record_id, path): 6,
            lambda: self.delete(record_id, path): 4,
            lambda: self.share(shared_id, readers): 4,
            lambda: self.join(user, choose(GROUPS)): 1,
            lambda: self.leave(user, choose(GROUPS)): 1,
            lambda: self.share_list(user): 0.5,
            lambda: self.unshare_list(user): 0.5,
            self.purge: 1,
            self.flush: 0.2,
            self.back_up: 0.5 * with_backups,
            self.restore: 0.3 * with_backups,
        }
        self._random.choices(list(actions), list(actions.values()))[0]()

    def _write(self, method, path, body, expected=(200, 403, 404)):
        response = self.client.send(method, path, body=body)
        assert response.status in expected, response
        self.acknowledged += response.status < 300


class CopyHistory:
    """Owners who write simultaneously, and readers who poll at the same time.

    A backup is created and restored between the writes, as with a service that is stopped for it.

    :param connect: returns a client of a user, for a number.
    :param registry: of an application on the same database.
    :param writes: at least as many are acknowledged.
    """

    def __init__(self, connect, registry, owners=3, writes=0, seed=0):
        users = [new_id() for _ in range(2)]
        clients = [connect(user, number) for number, user in enumerate(users)]
        self.owners = [
            Owner(connect(new_id(), n), registry, clients, seed * owners + n) for n in range(owners)
        ]
        self.readers = [Reader(client, SHARED) for client in clients]
        self.readers += [Reader(connect(o.client.user, 1), PRIVATE) for o in self.owners]
        self.faults = []
        self._share = writes / owners / 2
        self._done = threading.Event()

    @property
    def acknowledged(self):
        return sum(owner.acknowledged for owner in self.owners)

    @property
    def polls(self):
        return sum(reader.polls for reader in self.readers)

    @property
    def verified(self):
        """The number of polls after which a copy was verified."""
        return sum(reader.verified for reader in self.readers)

    def play(self):
        """Write and poll, then find the faults."""
        readers = [Thread(target=self._poll, args=[reader]) for reader in self.readers]
        for reader in readers:
            reader.start()
        try:
            self._write(1)
            self.owners[0].back_up()
            self._write(2)
            self.owners[0].restore()
            self._write(2.1)
        finally:
            self._done.set()
            for reader in readers:
                reader.join()
        for reader in self.readers:
            # The first poll can have begun with the changes of the last writes.
            if not (reader.poll() or reader.poll()):
                self.faults.append(f"the copy of {reader.path} is not verified")
            if not reader.is_exact:
                self.faults.append(f"the copy of {reader.path} differs")

    def _write(self, shares):
        together([partial(self._steps, owner, shares * self._share) for owner in self.owners])

    def _steps(self, owner, writes):
        while owner.acknowledged < writes:
            owner.step(with_backups=False)

    def _poll(self, reader):
        try:
            while not self._done.is_set():
                reader.poll()
        except Exception as error:
            self.faults.append(explain(error))


def readable(client, path):
    """Return the records of a list that a user can read, by id."""
    if client.send("GET", path).status == 403:
        return {}
    return {record["id"]: record for record in client.walk(path, "_limit=100")}


def user_id(client):
    return client.send("GET", "/").json["user"]["id"]


def backup_of(storage):
    """Return a function that restores the current content of a storage."""
    engine = type(storage).__module__.rpartition(".")[2]
    return {
        "memory": _memory_backup,
        "redis": _redis_backup,
        "sqlite": _sqlite_backup,
        "postgresql": _postgresql_backup,
    }[engine](storage)


def _memory_backup(storage):
    content = copy.deepcopy((storage._collections, storage._epoch))
    return lambda: storage._restore(*copy.deepcopy(content))


def _redis_backup(storage):
    call = storage._client.call
    content = {key: call("DUMP", key) for key in storage._client.keys(PREFIX)}

    def restore():
        commands = storage._client._redis.pipeline()
        commands.delete(*storage._client.keys(PREFIX), b"none")
        for key, value in content.items():
            # Readers can have created the key in the meantime.
            commands.restore(key, 0, value, replace=True)
        commands.execute()

    return restore


def _sqlite_backup(storage):
    with storage._client.snapshot() as db:
        content = {
            table: db.execute(_SELECT.format(table)).fetchall()
            for table in ("records", "tombstones", "collections", "epoch")
        }

    def restore():
        with storage._client.write() as db:
            for table, rows in content.items():
                db.execute(_DELETE.format(table))
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    db.execute(_INSERT.format(table, marks), row)

    return restore


def _postgresql_backup(storage):
    tables = [f"cliquet_{name}" for name in ("records", "tombstones", "collections", "epoch")]
    with storage.client.grouped_writes() as run:
        run("LOCK TABLE cliquet_collections IN EXCLUSIVE MODE")
        content = {table: run(_SELECT_JSON.format(table))[0][0] for table in tables}

    def restore():
        with storage.client.grouped_writes() as run:
            run("LOCK TABLE cliquet_collections IN EXCLUSIVE MODE")
            for table, rows in content.items():
                run(_DELETE.format(table))
                run(_INSERT_JSON.format(table), [rows])

    return restore
