"""A history of one list: many write, others poll, and all of them keep the responses.

In the end the acknowledged changes, applied in the order of their timestamps, must explain each
response to the writers, the list, and each replica of the pollers (guarantees 1, 2, 4, 6, 7 and 8
of the documentation of the backends).
"""

import itertools
import random
import time
from functools import partial
from typing import NamedTuple

from tests.hostile_client import new_id
from tests.scenarios import explain, together

PATH = "/spores"
#: The most pages of a list.
MOST = 1_000_000
#: The pages of those who poll: each query is that of one of them.
POLLS = ("_sort=last_modified", "_sort=last_modified&_limit=7", "_limit=50")

#: Number of values of the field by which deletions of many records filter.
TAGS = 5
_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_WEIGHTS = (3, 2, 4, 1)


class Change(NamedTuple):
    """An acknowledged write of one record, tombstones included."""

    time: int
    method: str
    status: int
    sent: dict
    record: dict


class Writer:
    """Writes a little of everything, to records of its own and to those that all write to.

    :param shared: the ids of the latter.
    """

    def __init__(self, client, number, shared):
        self.client = client
        self.changes = []
        self._field = f"writer{number}"
        self._random = random.Random(number)
        self._shared = shared

    def step(self):
        """Send a request, alone or in a batch, or delete what has a tag."""
        kind = self._random.random()
        if kind < 0.05:
            self._delete_some()
        elif kind < 0.25:
            self._send_batch([self._item() for _ in range(4)])
        else:
            self._send(self._item())

    def _item(self):
        (method,) = self._random.choices(_METHODS, _WEIGHTS)
        path = f"{PATH}/{self._random.choice(self._shared)}"
        data = {self._field: self._random.random()}
        if method == "POST":
            path = PATH
            data |= {"id": new_id(), "tag": self._random.randrange(TAGS)}
        body = {} if method == "DELETE" else {"body": {"data": data}}
        return {"method": method, "path": path, **body}

    def _send(self, item):
        response = self.client.send(item["method"], item["path"], body=item.get("body"))
        self._note(item, response.status, response.json)

    def _send_batch(self, items):
        batch = self.client.send("POST", "/batch", body={"requests": items})
        assert batch.status == 200, batch
        for item, response in zip(items, batch.json["responses"], strict=True):
            self._note(item, response["status"], response["body"])

    def _delete_some(self):
        response = self.client.send("DELETE", PATH, f"tag={self._random.randrange(TAGS)}")
        assert response.status == 200, response
        for record in response.data:
            self._note({"method": "DELETE"}, response.status, {"data": record})

    def _note(self, item, status, body):
        if status == 404 and item["method"] in ("PATCH", "DELETE"):
            return
        assert status in (200, 201), (item, status, body)
        record = body["data"]
        sent = item["body"]["data"] if "body" in item else {}
        change = Change(record["last_modified"], item["method"], status, sent, record)
        self.changes.append(change)


class Poller:
    """A client that keeps the records it has received, and polls for changes.

    :param clients: clients of one user, which take turns.
    :param query: how it wants its pages.
    """

    def __init__(self, clients, query):
        self.query = query
        self.known = {}
        #: All records ever received, by timestamp.
        self.received = {}
        self.faults = []
        self._clients = itertools.cycle(clients)
        self._time = 1

    def poll(self):
        query = f'_since="{self._time}"&{self.query}'
        pages = next(self._clients).pages(PATH, query, MOST)
        first = next(pages)
        tag = int(first.headers["ETag"].strip('"'))
        if tag < self._time:
            self.faults.append(f"ETag {tag} after {self._time}")
        self._time = tag
        for response in itertools.chain([first], pages):
            for record in response.data:
                self._learn(record)

    def _learn(self, record):
        record_before = self.received.setdefault(record["last_modified"], record)
        if record_before != record:
            self.faults.append(f"{record_before} and {record} have one timestamp")
        self.known.pop(record["id"], None)
        if "deleted" not in record:
            self.known[record["id"]] = record


class History:
    """Changes and reads of the writers and pollers of one new user, and their consistency.

    :param connect: returns a client of a user, for a number.
    :param writes: at least as many are acknowledged.
    :param seconds: and it lasts at least as long.
    """

    #: The kinds of faults. Responses with status 5xx are faults, and end a writer or poller.
    KINDS = (
        "wrong responses",
        "lost writes",
        "missed changes",
        "unknown changes",
        "wrong timestamps",
    )

    def __init__(self, connect, writers=6, writes=0, seconds=0):
        self._user = new_id()
        self._connect = partial(connect, self._user)
        shared = [new_id() for _ in range(writers)]
        self.writers = [Writer(self._connect(n), n, shared) for n in range(writers)]
        self.pollers = [Poller([self._connect(0), self._connect(1)], query) for query in POLLS]
        self.polls = 0
        self._share = writes / writers
        self._seconds = seconds
        self._working = set(self.writers)
        #: The faults by kind.
        self.faults = {kind: [] for kind in self.KINDS}

    @property
    def acknowledged(self):
        """The number of acknowledged writes."""
        return sum(len(writer.changes) for writer in self.writers)

    def play(self, timeout=None):
        """Write and poll, then find the faults.

        :param timeout: for how many seconds, at most.
        """
        until = time.monotonic() + self._seconds
        calls = [partial(self._guarded, partial(self._write, w, until)) for w in self.writers]
        calls += [partial(self._guarded, partial(self._poll, poller)) for poller in self.pollers]
        together(calls, timeout)
        self._judge()

    def _guarded(self, work):
        try:
            work()
        except Exception as error:
            self.faults["wrong responses"].append(explain(error))

    def _write(self, writer, until):
        try:
            while len(writer.changes) < self._share or time.monotonic() < until:
                writer.step()
        finally:
            self._working.discard(writer)

    def _poll(self, poller):
        while self._working:
            poller.poll()
            self.polls += 1
        poller.poll()

    def _judge(self):
        client = self._connect(0)
        listed = {record["id"]: record for record in client.walk(PATH, "_limit=100", MOST)}
        everything = client.walk(PATH, "_since=1&_limit=100", MOST)
        changes = [change for writer in self.writers for change in writer.changes]
        changes.sort(key=lambda change: change.time)
        self._same("lost writes", _last_states(changes), {r["id"]: r for r in everything})
        self._judge_responses(changes)
        records = [change.record for change in changes]
        self._distinct(records)
        self._distinct(everything)
        acknowledged = {record["last_modified"]: record for record in records}
        for poller in self.pollers:
            self._same("missed changes", listed, poller.known)
            for moment, record in poller.received.items():
                self._same("unknown changes", acknowledged.get(moment), record)
            self.faults["wrong timestamps"] += poller.faults

    def _judge_responses(self, changes):
        """Replay them: each response must be what the one before has made of the record."""
        state = {}
        for change in changes:
            id_ = change.record["id"]
            before = state.get(id_, {"deleted": True})
            expected = _outcome(change, None if "deleted" in before else before)
            self._same("lost writes", expected, (change.status, change.record))
            state[id_] = change.record

    def _distinct(self, records):
        times = set()
        for record in records:
            if record["last_modified"] in times:
                self.faults["wrong timestamps"].append(f"not the only one of its time: {record}")
            times.add(record["last_modified"])

    def _same(self, kind, expected, found):
        if expected != found:
            self.faults[kind].append(f"expected {expected}, found {found}")


def _last_states(changes):
    return {change.record["id"]: change.record for change in changes}


def _outcome(change, before):
    """Return the status and the record that a change of ``before`` must return."""
    identity = {"id": change.record["id"], "last_modified": change.time}
    if change.method in ("POST", "PUT"):
        return 201 if before is None else 200, change.sent | identity
    if before is None:
        return 404, {}
    if change.method == "PATCH":
        return 200, before | change.sent | identity
    return 200, identity | {"deleted": True}
