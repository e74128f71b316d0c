"""Lists longer than a query returns, commits and memory, on every engine."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.resource.apps import ENGINES, SERVED, Note

TIMEOUT = 10

pytestmark = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])


@pytest.fixture
def alice(build):
    return build(Note, settings={"storage_max_fetch_size": 4}).user("alice")


@pytest.mark.parametrize(
    "query", ["", "_limit=0", "_limit=1000", "_sort=n", "_sort=-even,n", "min_n=0", "_since=1"]
)
def test_records_beyond_the_maximum_fetch_size_are_on_next_pages(alice, query):
    alice.fill("note", [{"n": n, "even": n % 2 == 0} for n in range(10)])
    first = alice.get(f"/notes?{query}")
    assert first.headers["Total-Records"] == "10"
    pages = alice.walk(f"/notes?{query}")
    assert [len(page) for page in pages] == [4, 4, 2]
    assert sorted(record["n"] for page in pages for record in page) == list(range(10))


def test_tombstones_beyond_the_maximum_fetch_size_are_on_next_pages(alice):
    records = alice.fill("note", [{"n": n} for n in range(10)])
    alice.delete("/notes?lt_n=6")
    path = "/notes?_since=1&_sort=last_modified"
    assert alice.get(path).headers["Total-Records"] == "4"
    pages = alice.walk(path)
    changes = [record for page in pages for record in page]
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [change.get("n", "deleted") for change in changes] == [6, 7, 8, 9, *["deleted"] * 6]
    assert {change["id"] for change in changes} == {record["id"] for record in records}


@pytest.fixture
def hooked(build):
    """A function of a hook, which a request adds before its commit, after it has written."""

    def hooked(hook):
        def view(request):
            storage = request.registry.storage
            storage.create("word", "", {"n": 1})
            request.tm.get().addBeforeCommitHook(hook, args=(storage,))
            return {}

        def setup(config):
            config.add_route("hooked", "/hooked")
            config.add_view(view, route_name="hooked", renderer="json")

        return build(Note, setup=setup)

    return hooked


def test_writes_of_a_hook_before_the_commit_belong_to_the_request(hooked):
    api = hooked(lambda storage: storage.create("word", "", {"n": 2}))
    api.get("/hooked", status=200)
    assert sorted(word["n"] for word in api.storage.get_all("word", "")[0]) == [1, 2]


def test_hook_before_the_commit_that_fails_undoes_all_and_lets_others_write(hooked, engine):
    def fail(storage):
        storage.create("word", "", {"n": 2})
        raise ValueError("no")

    api = hooked(fail)
    api.get("/hooked", status=500)
    with ThreadPoolExecutor() as other:
        other.submit(api.storage.create, "word", "", {"n": 3}).result(TIMEOUT)
    words = [word["n"] for word in api.storage.get_all("word", "")[0]]
    assert words == [3] or engine == "redis"


def test_writes_of_a_hook_after_the_commit_are_saved(build):
    def write(success, storage):
        storage.create("word", "", {"n": 2})

    def view(request):
        storage = request.registry.storage
        storage.create("word", "", {"n": 1})
        request.tm.get().addAfterCommitHook(write, args=(storage,))
        return {}

    def setup(config):
        config.add_route("hooked", "/hooked")
        config.add_view(view, route_name="hooked", renderer="json")

    api = build(Note, setup=setup)
    api.get("/hooked", status=200)
    with ThreadPoolExecutor() as other:
        words = other.submit(api.storage.get_all, "word", "").result(TIMEOUT)[0]
    assert sorted(word["n"] for word in words) == [1, 2]


@pytest.fixture
def without_garbage_collector():
    gc.disable()
    yield
    gc.enable()


def test_requests_are_freed_without_the_garbage_collector(
    build_once, monkeypatch, without_garbage_collector
):
    alice, requests = build_once(Note).user("alice"), []
    invoke = alice.app.invoke_request

    def recorded(request, **options):
        requests.append(weakref.ref(request))
        return invoke(request, **options)

    monkeypatch.setattr(alice.app, "invoke_request", recorded)
    path = "/notes/" + alice.create("/notes", {"n": 1})["id"]
    etag = alice.get(path, status=200).headers["ETag"]
    alice.get(path, headers={"If-None-Match": etag}, status=304)
    alice.put(path, {"n": 2}, status=200)
    alice.patch(path, {"n": 3}, status=200)
    alice.batch({"path": path}, {"path": path, "method": "PATCH", "body": {"data": {"n": 4}}})
    alice.delete(path, status=200)
    assert len(requests) == 9
    assert not any(reference() for reference in requests)
