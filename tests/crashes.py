"""Crashes of servers and databases, and followers of streams that survive them."""

import asyncio
import concurrent.futures
import random as random_module
import threading
import time
from contextlib import contextmanager
from http.client import HTTPException

from cliquet.client import AsyncClient, ClientError
from cliquet.client.copies import checksum
from tests.http_servers import HTTPClient
from tests.verified_copies import readable

#: Maximum time between a change and its event, in seconds, on a busy machine.
TIMEOUT = 30


class Client(HTTPClient):
    """A client that reconnects after a crash, and accepts responses with status 503."""

    def _check(self, response, method, has_origin):
        if response.status != 503:
            super()._check(response, method, has_origin)

    def _exchange(self, *message):
        try:
            return super()._exchange(*message)
        except (OSError, HTTPException) as error:
            self.close()
            raise ConnectionError from error


class Crashes:
    """Crashes of one of the servers, or of the database, after which it starts again.

    :param servers: those of :mod:`tests.http_servers`.
    :param databases: their database server, if they have one.
    """

    def __init__(self, servers, databases):
        self._servers = servers
        self._databases = databases
        self._clients = []
        #: The number of crashes so far.
        self.number = 0

    def connect(self, user):
        client = Client(random_module.choice(self._servers), user)
        self._clients.append(client)
        return client

    @contextmanager
    def crash(self, random):
        """Let a server crash within the block, and start it again at the end."""
        target = random.choice([*self._servers, *self._databases])
        self.number += 1
        timer = threading.Timer(random.uniform(0, 0.1), target.kill)
        timer.start()
        try:
            yield
        finally:
            timer.join()
            target.start()  # not in the thread of the timer, because it would end with it
            self.close()

    def close(self):
        """Close the connections. Later requests open new ones."""
        for client in self._clients:
            client.close()


@contextmanager
def follower_factory(servers):
    """Yield a function that returns the :class:`Follower` of a user and a path."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda user, path: Follower(loop, random_module.choice(servers), user, path)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Follower:
    """A copy that only follows a stream, and starts again if the checksums differ.

    :param loop: running event loop of another thread.
    :param server: that of :mod:`tests.http_servers`.
    """

    def __init__(self, loop, server, user, path):
        self._place = user, path
        self._url = f"{server.url}/v1"
        self._records = {}
        self._since = None
        self._task = asyncio.run_coroutine_threadsafe(self._follow(), loop)

    def faults(self):
        """Wait until the copy is exact, and return its faults."""
        expected = readable(*self._place)
        deadline = time.monotonic() + TIMEOUT
        while self._records != expected and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._task.done():
            return [f"a stream has ended: {self._task.exception()!r}"]
        return [] if self._records == expected else ["a copy that follows a stream differs"]

    def stop(self):
        self._task.cancel()
        concurrent.futures.wait([self._task])

    async def _follow(self):
        user, path = self._place
        auth = user.user, "secret"
        async with AsyncClient(self._url, auth=auth, retries=0, attempt_timeout=5) as client:
            while True:
                try:
                    await self._read(client.resource(path))
                except ClientError as error:
                    if getattr(error, "code", None) == 403:
                        self._records, self._since = {}, None
                    await asyncio.sleep(0.1)

    async def _read(self, resource):
        async for changes in resource.live(since=self._since):
            for record in changes:
                self._records.pop(record["id"], None)
                if "deleted" not in record:
                    self._records[record["id"]] = record
            if changes.timestamp is not None:
                self._since = changes.timestamp
                times = (record["last_modified"] for record in self._records.values())
                # Without one, the list changed between its pages: another event follows.
                if changes.checksum not in (None, checksum(times)):
                    self._records, self._since = {}, None
                    return
