"""Random histories of several devices behind a faulty network: nothing is lost, doubled or revived.

Every write has a precondition, as the guide recommends. A write whose response never arrived can
have happened or not; an acknowledged one has happened, once.
"""

import asyncio
import inspect
import random
from collections import defaultdict
from concurrent.futures import CancelledError, Future

import httpx
import pytest
import requests

from cliquet import client as module
from tests.client.conftest import Clock
from tests.client.faulty_network import URL, HttpxTransport, Network, RequestsAdapter
from tests.hostile_client import make_app

# The tests of modules reach all their lines and branches.
pytestmark = pytest.mark.application

DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"
OPERATIONS = {"poll": 3, "create": 3, "append": 5, "delete": 3, "send_batch": 2, "delete_all": 0.3}
STEPS = 25


class History:
    """Devices of one user, with the outcome of each write."""

    def __init__(self, app, seed, library):
        self.random = random.Random(seed)
        self.network = Network(app, self.random)
        self.is_asynchronous = library == "httpx"
        #: Outcome of creations by id; of appended numbers and of deletions, by id.
        self.created = {}
        self.appended = defaultdict(dict)
        self.deleted = defaultdict(list)
        self._numbers = 0
        self._depth = 0
        self.devices = [Device(self) for _ in range(self.random.randint(2, 4))]

    def next_number(self):
        self._numbers += 1
        return self._numbers

    async def run(self):
        for _ in range(STEPS):
            await self.step()
        self.network.is_faulty = False
        self.network.deliver_late()
        for device in self.devices:
            await device.poll()

    async def step(self):
        await self.random.choice(self.devices).step()

    async def interleave(self):
        """Let another device work while one of them waits for its next attempt."""
        if self._depth == 0 and self.random.random() < 0.5:
            self._depth = 1
            await self.step()
            self._depth = 0


class Device:
    """A client with a copy of the records."""

    def __init__(self, history):
        self.history = history
        self.clock = Clock()
        self.copy = {}
        self.since = None
        if history.is_asynchronous:
            session = httpx.AsyncClient(transport=HttpxTransport(history.network))
            self.client = module.AsyncClient(
                URL, session=session, sleep=self.sleep_async, clock=self.clock
            )
        else:
            session = requests.Session()
            session.trust_env = False  # looking for proxies takes long
            session.mount(URL, RequestsAdapter(history.network))
            self.client = module.Client(URL, session=session, sleep=self.sleep, clock=self.clock)
        self.spores = self.client.resource("/spores")

    def sleep(self, seconds):
        self.clock.sleep(seconds)
        drive(self.history.interleave())

    async def sleep_async(self, seconds):
        self.clock.sleep(seconds)
        await self.history.interleave()

    async def step(self):
        (name,) = self.history.random.choices(list(OPERATIONS), OPERATIONS.values())
        await getattr(self, name)()

    def choose(self):
        """Return a record of the copy, or None."""
        return self.history.random.choice(list(self.copy.values()) or [None])

    # Operations

    async def poll(self):
        copy = dict(self.copy)
        try:
            changes = await result(self.spores.list(_since=self.since, _limit=3))
            async for record in iterate(changes):
                if record.get("deleted"):
                    copy.pop(record["id"], None)
                else:
                    copy[record["id"]] = record
            self.copy, self.since = copy, changes.timestamp
        except module.ClientError as error:
            assert self.history.network.is_faulty, error

    async def create(self, resource=None):
        record = {"number": self.history.next_number(), "log": []}
        resource = resource or self.spores
        await self.note(lambda: resource.create(record), self.noted_creation(record))

    async def append(self, resource=None):
        record = self.choose()
        if record:
            number = self.history.next_number()
            options = {"if_match": record["last_modified"]}
            changes = {"log": [*record["log"], number]}
            resource = resource or self.spores
            await self.note(
                lambda: resource.patch(record["id"], changes, **options),
                self.noted_append(record["id"], number),
            )

    async def delete(self, resource=None):
        record = self.choose()
        if record:
            resource = resource or self.spores
            await self.note(
                lambda: resource.delete(record["id"], if_match=record["last_modified"]),
                self.noted_deletion([record["id"]]),
            )

    async def delete_all(self):
        if self.since:
            await self.note(
                lambda: self.spores.delete_all(if_match=self.since),
                self.noted_deletion(list(self.copy)),
            )

    async def send_batch(self):
        batched = self.batched = []
        batch = self.client.batch(check=False)
        try:
            if self.history.is_asynchronous:
                async with batch:
                    await self.fill(batch.resource("/spores"))
            else:
                with batch:
                    await self.fill(batch.resource("/spores"))
        except module.ClientError:
            pass
        for future, note in batched:
            error = CancelledError() if future.cancelled() else future.exception()
            note(None if error else future.result(), error)

    async def fill(self, resource):
        for operation in self.history.random.choices([self.create, self.append, self.delete], k=3):
            await operation(resource)

    # Outcomes

    async def note(self, send, note):
        """Send a request and note its outcome, at the end of the batch if it is part of one."""
        try:
            response, error = await result(send()), None
        except module.ClientError as failure:
            response, error = None, failure
        if isinstance(response, Future):
            self.batched.append((response, note))
        else:
            note(response, error)

    def noted_creation(self, record):
        def note(response, error):
            if response:
                assert response.data["number"] == record["number"]
                self.history.created[response.data["id"]] = DONE

        return note

    def noted_append(self, id_, number):
        def note(response, error):
            outcome = DONE if response else UNKNOWN
            existing = getattr(error, "existing", None) or {}
            if isinstance(error, module.PreconditionFailed) and "log" in existing:
                outcome = DONE if number in existing["log"] else REFUSED
            self.history.appended[id_][number] = outcome

        return note

    def noted_deletion(self, ids):
        def note(response, error):
            outcome = DONE if response or isinstance(error, module.NotFound) else UNKNOWN
            if isinstance(error, module.PreconditionFailed) and error.existing:
                outcome = REFUSED
            for id_ in ids:
                self.history.deleted[id_].append(outcome)

        return note


async def result(value):
    return await value if inspect.isawaitable(value) else value


async def iterate(records):
    if hasattr(records, "__aiter__"):
        async for record in records:
            yield record
    else:
        for record in records:
            yield record


def drive(coroutine):
    """Run a coroutine that never waits for input or output."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the coroutine waits")


def run(app, seed, library, removed=None):
    """Run a history and return it with the records of the server."""
    history = History(app, seed, library)
    history.network.removed = removed
    if history.is_asynchronous:
        asyncio.run(history.run())
    else:
        drive(history.run())
    return history


def faults_of(history):
    """Return what is wrong in the end."""
    server = history.devices[0].copy
    faults = [
        f"copy {number} differs"
        for number, device in enumerate(history.devices)
        if device.copy != server
    ]
    numbers = [record["number"] for record in server.values()]
    if len(numbers) != len(set(numbers)):
        faults.append("a record is doubled")
    for id_, outcome in history.created.items():
        if outcome is DONE and id_ not in server and not set(history.deleted[id_]) - {REFUSED}:
            faults.append(f"record {id_} is lost")
    for id_, record in server.items():
        if DONE in history.deleted[id_]:
            faults.append(f"record {id_} is back")
        appended, log = history.appended[id_], record["log"]
        done = {number for number, outcome in appended.items() if outcome is DONE}
        refused = {number for number, outcome in appended.items() if outcome is REFUSED}
        if len(log) != len(set(log)):
            faults.append(f"a change of {id_} is doubled")
        if done - set(log):
            faults.append(f"a change of {id_} is lost")
        if refused & set(log):
            faults.append(f"a refused change of {id_} is done")
    return faults


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return make_app("memory", tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize(
    ("library", "seeds"),
    [("requests", range(30)), ("requests", range(30, 60)), ("httpx", range(60, 80))],
)
def test_nothing_is_lost_doubled_or_revived(app, library, seeds):
    for seed in seeds:
        assert faults_of(run(app, seed, library)) == [], f"seed {seed}"


def test_histories_without_preconditions_are_wrong(app):
    missing = {"is lost", "is back", "a change of"}
    for seed in range(60):
        faults = " ".join(faults_of(run(app, seed, "requests", removed="If-Match")))
        missing = {fault for fault in missing if fault not in faults}
        if not missing:
            return
    pytest.fail(f"no history has these faults: {missing}")
