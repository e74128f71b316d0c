"""Watcher of the streamed collections."""

import asyncio

from cliquet.live.watcher import Watcher
from cliquet.storage.exceptions import BackendError
from tests.live.conftest import TIMEOUT, running

NOTES, PAGES = ("note", "alice"), ("page", "")


class Storage:
    """Timestamps, read as those of a storage that can fail."""

    def __init__(self):
        self.timestamps = {NOTES: 1, PAGES: 1}
        self.failures = []
        self.reads = []

    async def read(self, collections):
        self.reads.append(collections)
        if self.failures:
            raise self.failures.pop()
        return {collection: self.timestamps[collection] for collection in collections}


@running
async def test_subscriptions_are_woken_by_their_collection():
    storage = Storage()
    watcher = Watcher(storage.read, 0.001)
    with watcher.subscribe(NOTES, 1) as notes, watcher.subscribe(PAGES, 1) as pages:
        storage.timestamps[NOTES] = 2
        assert await notes.wait(TIMEOUT)
        assert not await pages.wait(0.01)
        assert not await notes.wait(0.01)
    assert sorted(storage.reads[-1]) == [NOTES, PAGES]


@running
async def test_collections_are_read_as_long_as_there_are_subscriptions():
    storage = Storage()
    watcher = Watcher(storage.read, 0.001)
    for _ in range(2):
        with watcher.subscribe(NOTES, 1) as first:
            with watcher.subscribe(NOTES, 0) as second:
                assert await second.wait(TIMEOUT)
            assert not await first.wait(0.01)
        await asyncio.sleep(0.01)
        count = len(storage.reads)
        await asyncio.sleep(0.01)
        assert len(storage.reads) == count


@running
async def test_failed_reads_are_repeated_and_bugs_are_logged(caplog):
    storage = Storage()
    storage.failures = [ValueError("bug"), BackendError(message="down")]
    watcher = Watcher(storage.read, 0.001)
    with watcher.subscribe(NOTES, 0) as subscription:
        assert await subscription.wait(TIMEOUT)
    assert len(storage.reads) >= 3
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "can't be read" in record.getMessage()
