"""Random histories of devices behind a faulty network, while their lists change in other ways.

Every write of a device has a precondition, as the guide recommends. A write whose response never
arrived was applied at most once; an acknowledged one was applied exactly once. An administrator
also changes groups and permissions, purges tombstones, and flushes or restores the storage. At the
end, each copy must be verified, and exactly the list that its user can read.
"""

import asyncio
import inspect
import itertools
import random
from collections import defaultdict
from concurrent.futures import CancelledError, Future

import httpx
import requests

from cliquet import client as module
from tests.client.conftest import Clock
from tests.client.faulty_network import URL, HttpxTransport, Network, RequestsAdapter
from tests.hostile_client import new_id
from tests.verified_copies import PRIVATE, SHARED, Owner, readable, user_id

DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"
OPERATIONS = {"poll": 3, "create": 3, "append": 5, "delete": 3, "send_batch": 2, "delete_all": 0.3}
STEPS = 25
FORBIDDEN = 121  # errno


class History:
    """Devices, an administrator, and the outcome of each write of a device.

    :param connect: returns a client of :mod:`tests.hostile_client` for a user; None: without
        credentials.
    :param library: of the devices: requests or httpx.
    :param registry: of an application on the same database, for the administrator and several
        users; None: devices of one user with a private list.
    :param crashes: of the service; None without any.
    """

    def __init__(self, connect, seed, library, registry=None, crashes=None):
        self.random = random.Random(seed)
        self._crashes = crashes
        self.is_out = False
        self.network = Network(connect, self.random)
        self.is_asynchronous = library == "httpx"
        self._numbers = 0
        self._depth = 0
        self.forget()
        self._users = [connect(new_id()) for _ in range(2 if registry else 1)]
        self.devices = [self._device(registry) for _ in range(self.random.randint(2, 4))]
        #: Some devices are offline most of the time.
        self._weights = [self.random.random() ** 2 for _ in self.devices]
        self._owner = None
        if registry:
            self._owner = Owner(connect(new_id()), registry, self._users, seed, self.forget)

    def _device(self, registry):
        path = self.random.choice([SHARED, PRIVATE]) if registry else PRIVATE
        return Device(self, self.random.choice(self._users), path)

    def forget(self):
        """Forget the outcomes: the storage has lost the changes."""
        #: Outcome of creations by id; of appended numbers and of deletions, by id.
        self.created = {}
        self.appended = defaultdict(dict)
        self.deleted = defaultdict(list)

    def next_number(self):
        self._numbers += 1
        return self._numbers

    def choose_principals(self):
        """Return some users and groups, to share a record with."""
        return self._owner.choose_principals()

    async def run(self):
        for _ in range(STEPS):
            if self._owner and self.random.random() < 0.3:
                # No request is delayed for as long as an administrator takes.
                self.network.deliver_late()
                self._owner.step()
            if self._crashes and self.random.random() < 0.1:
                await self._crash()
            await self.step()
        self.network.is_faulty = False
        self.network.deliver_late()
        for device in self.devices:
            await device.poll()

    async def _crash(self):
        self.is_out = True
        with self._crashes.crash(self.random):
            for _ in range(3):
                await self.step()
        self.is_out = False

    async def step(self):
        (device,) = self.random.choices(self.devices, self._weights)
        await device.step()

    async def interleave(self):
        """Let another device act while one of them waits for its next attempt."""
        # At the end, a write would change lists whose copies have been compared.
        if self.network.is_faulty and self._depth == 0 and self.random.random() < 0.5:
            self._depth = 1
            await self.step()
            self._depth = 0

    def faults(self):
        """Return the faults at the end of the history."""
        places = itertools.product(self._users, (SHARED, PRIVATE))
        lists = {place: readable(*place) for place in places}
        for device in self.devices:
            if device.copy.records != lists[device.user, device.path]:
                yield f"a copy of {device.path} differs"
            elif not device.is_verified:
                yield f"a copy of {device.path} is not verified"
        server = {id_: record for list_ in lists.values() for id_, record in list_.items()}
        numbers = [record["number"] for record in server.values() if "number" in record]
        if len(numbers) != len(set(numbers)):
            yield "a record is duplicated"
        for id_, outcome in self.created.items():
            if outcome is DONE and id_ not in server and not set(self.deleted[id_]) - {REFUSED}:
                yield f"record {id_} is lost"
        for id_, record in server.items():
            if DONE in self.deleted[id_]:
                yield f"record {id_} is undeleted"
            yield from self._faults_of_changes(id_, record.get("log", []))

    def _faults_of_changes(self, id_, log):
        appended = self.appended[id_].items()
        if len(log) != len(set(log)):
            yield f"a change of {id_} is duplicated"
        if {number for number, outcome in appended if outcome is DONE} - set(log):
            yield f"a change of {id_} is lost"
        if {number for number, outcome in appended if outcome is REFUSED} & set(log):
            yield f"a refused change of {id_} is done"


class Device:
    """A client with a copy of a list.

    :param user: client of :mod:`tests.hostile_client` of its user.
    """

    def __init__(self, history, user, path):
        self.history = history
        self.user = user
        self.user_id = user_id(user)
        self.path = path
        self.clock = Clock()
        options = {"auth": (user.user, "secret"), "clock": self.clock}
        if history.is_asynchronous:
            session = httpx.AsyncClient(transport=HttpxTransport(history.network))
            self.client = module.AsyncClient(
                URL, session=session, sleep=self.sleep_async, **options
            )
        else:
            session = requests.Session()
            session.trust_env = False  # looking for proxies takes long
            session.mount(URL, RequestsAdapter(history.network))
            self.client = module.Client(URL, session=session, sleep=self.sleep, **options)
        self.resource = self.client.resource(path)
        self.copy = self.client.copy(path)
        self.is_verified = self.is_polling = False

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
        return self.history.random.choice(list(self.copy.records.values()) or [None])

    # Operations

    async def poll(self):
        if self.is_polling:
            return
        self.is_polling = True
        try:
            await result(self.copy.poll())
        except module.ClientError as error:
            # Without a record that the user can read, the copy and the list are empty.
            self.is_verified = getattr(error, "errno", None) == FORBIDDEN
            assert self.history.network.is_faulty or self.is_verified, error
        else:
            self.is_verified = self.copy.verified
        self.is_polling = False
        if self.is_verified and not self.history.is_out:
            assert self.copy.records == readable(self.user, self.path)

    async def create(self, resource=None):
        record = {"number": self.history.next_number(), "log": []}
        # The first record of a collection can set its timestamp back, as in 3.1: deletions with the
        # timestamp of the empty list would then delete the record.
        if self.copy.records and self.history.random.random() < 0.1:
            record["last_modified"] = self.history.random.randrange(1, 10**12)
        permissions = None
        if self.path == SHARED:
            readers, writers = (self.history.choose_principals() for _ in range(2))
            permissions = {"read": [self.user_id, *readers], "write": writers}
        resource = resource or self.resource
        await self.send(
            lambda: resource.create(record, permissions=permissions), self.on_creation(record)
        )

    async def append(self, resource=None):
        record = self.choose()
        if record:
            number = self.history.next_number()
            options = {"if_match": record["last_modified"]}
            changes = {"log": [*record.get("log", []), number]}
            resource = resource or self.resource
            await self.send(
                lambda: resource.patch(record["id"], changes, **options),
                self.on_append(record["id"], number),
            )

    async def delete(self, resource=None):
        record = self.choose()
        if record:
            resource = resource or self.resource
            await self.send(
                lambda: resource.delete(record["id"], if_match=record["last_modified"]),
                self.on_deletion([record["id"]]),
            )

    async def delete_all(self):
        if self.path == PRIVATE and self.copy.verified:
            await self.send(
                lambda: self.resource.delete_all(if_match=self.copy.timestamp),
                self.on_deletion(list(self.copy.records)),
            )

    async def send_batch(self):
        batched = self.batched = []
        batch = self.client.batch(check=False)
        try:
            if self.history.is_asynchronous:
                async with batch:
                    await self.fill(batch.resource(self.path))
            else:
                with batch:
                    await self.fill(batch.resource(self.path))
        except module.ClientError:
            pass
        for future, on_outcome in batched:
            error = CancelledError() if future.cancelled() else future.exception()
            on_outcome(None if error else future.result(), error)

    async def fill(self, resource):
        for operation in self.history.random.choices([self.create, self.append, self.delete], k=3):
            await operation(resource)

    # Outcomes

    async def send(self, request, on_outcome):
        """Send a request, and pass on its outcome, at the end of the batch if it is in one."""
        try:
            response, error = await result(request()), None
        except module.ClientError as failure:
            response, error = None, failure
        if isinstance(response, Future):
            self.batched.append((response, on_outcome))
        else:
            on_outcome(response, error)

    def on_creation(self, record):
        def on_outcome(response, error):
            if response:
                assert response.data["number"] == record["number"]
                self.history.created[response.data["id"]] = DONE

        return on_outcome

    def on_append(self, id_, number):
        def on_outcome(response, error):
            outcome = DONE if response else UNKNOWN
            existing = getattr(error, "existing", None) or {}
            if isinstance(error, module.PreconditionFailed) and "log" in existing:
                outcome = DONE if number in existing["log"] else REFUSED
            self.history.appended[id_][number] = outcome

        return on_outcome

    def on_deletion(self, ids):
        def on_outcome(response, error):
            outcome = DONE if response or isinstance(error, module.NotFound) else UNKNOWN
            if isinstance(error, module.PreconditionFailed) and error.existing:
                outcome = REFUSED
            for id_ in ids:
                self.history.deleted[id_].append(outcome)

        return on_outcome


async def result(value):
    return await value if inspect.isawaitable(value) else value


def drive(coroutine):
    """Run a coroutine that never waits for input or output."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the coroutine waits")


def play(connect, seed, library, registry=None, removed=(), crashes=None, follow=None):
    """Play a history, and return its faults.

    :param removed: names of headers that the network removes.
    :param crashes: of the service; None without any.
    :param follow: returns a follower of the list at a path for a user; None without streams.
    """
    if registry:  # another history can have shared its list
        registry.storage.flush()
        registry.permission.flush()
    history = History(connect, seed, library, registry, crashes)
    history.network.removed = removed
    followers = [follow(device.user, device.path) for device in history.devices if follow]
    try:
        if history.is_asynchronous:
            asyncio.run(history.run())
        else:
            drive(history.run())
        faults = [fault for follower in followers for fault in follower.faults()]
    finally:
        for follower in followers:
            follower.stop()
    return [*faults, *history.faults()]
