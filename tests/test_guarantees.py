"""What the backends guarantee when many write at once, seen by clients of the service.

Threads of one process, and two processes of several threads each on the same file. The numbers
are those of the guarantees in the documentation of the backends. Each test fails when the lock
of the storage is taken away.
"""

import json
import multiprocessing
import queue
import random
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from functools import partial

import pytest

from tests.attacked import ENGINES, Client, make_app, new_id

WRITERS = 6
ROUNDS = 6
PATIENCE = 60


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def app(engine, tmp_path):
    return make_app(engine, tmp_path)


@pytest.fixture(autouse=True)
def threads_alternate_often():
    """What goes wrong between two statements of Python happens often enough to be seen."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def together(calls):
    """Call functions at once, each in a thread; return what they return, in their order."""
    barrier = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def run(index):
        barrier.wait(PATIENCE)
        try:
            results[index] = calls[index]()
        except BaseException as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "threads wait for one another"
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


class Team:
    """Clients of one user, who send at once."""

    def __init__(self, app):
        self.app = app
        self.client = Client(app)

    def send(self, *requests):
        """Send requests (the arguments of :meth:`Client.send`) at once; return the answers."""
        user = self.client.user
        return together(
            [partial(Client(self.app, user).send, *args, **kw) for args, kw in requests]
        )


def request(*args, **kwargs):
    return args, kwargs


@pytest.fixture
def team(app):
    return Team(app)


def statuses(answers):
    return Counter(answer.status for answer in answers)


def one_of_them(first, others):
    return Counter({first: 1, others: WRITERS - 1})


# 3. Preconditions are atomic.


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_of_many_writers_with_one_tag_one_succeeds(team, method):
    for n in range(ROUNDS):
        record = team.client.create("/mushrooms", {"name": str(n)})
        headers = {"If-Match": f'"{record["last_modified"]}"'}
        url = f"/mushrooms/{record['id']}"
        answers = team.send(
            *(
                request(
                    method,
                    url,
                    body=None if method == "DELETE" else {"data": {"name": f"{n} by {writer}"}},
                    headers=headers,
                )
                for writer in range(WRITERS)
            )
        )
        gone = 404 if method == "DELETE" else 412
        assert statuses(answers) == one_of_them(200, gone)
        if method != "DELETE":
            (winner,) = [answer.data for answer in answers if answer.status == 200]
            assert team.client.send("GET", url).data == winner


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_of_many_writers_with_the_tag_of_the_list_one_succeeds(team, method):
    for _ in range(ROUNDS):
        team.client.create("/mushrooms", {"name": "x"})
        headers = {"If-Match": team.client.send("GET", "/mushrooms").headers["ETag"]}
        body = {"data": {"name": "x"}} if method == "POST" else None
        answers = team.send(*[request(method, "/mushrooms", body=body, headers=headers)] * WRITERS)
        assert statuses(answers) == one_of_them(201 if method == "POST" else 200, 412)


@pytest.mark.parametrize("path", ["/mushrooms", "/articles"])
def test_of_many_creations_of_one_record_one_succeeds(team, path):
    for _ in range(ROUNDS):
        url = f"{path}/{new_id()}"
        answers = team.send(
            *(
                request("PUT", url, body={"data": {"name": str(m)}}, headers={"If-None-Match": "*"})
                for m in range(WRITERS)
            )
        )
        assert statuses(answers) == one_of_them(201, 412)


def test_of_many_posts_of_one_record_one_succeeds(team):
    for _ in range(ROUNDS):
        body = {"data": {"id": new_id(), "name": "x"}}
        answers = team.send(*[request("POST", "/mushrooms", body=body)] * WRITERS)
        assert statuses(answers) == one_of_them(201, 200)
        assert len({json.dumps(answer.data, sort_keys=True) for answer in answers}) == 1


# 4. No lost modification.


@pytest.mark.parametrize("path", ["/spores", "/articles"])
def test_changes_of_different_fields_are_all_there(team, path):
    for _ in range(ROUNDS):
        body = {"data": {}, "permissions": {"read": ["system.Everyone"]}}
        if path == "/spores":
            del body["permissions"]
        url = f"{path}/{team.client.send('POST', path, body=body).data['id']}"
        answers = team.send(
            *(request("PATCH", url, body={"data": {f"field{n}": n}}) for n in range(WRITERS))
        )
        assert statuses(answers) == {200: WRITERS}
        assert len({answer.data["last_modified"] for answer in answers}) == WRITERS
        record = team.client.send("GET", url).data
        assert all(record[f"field{n}"] == n for n in range(WRITERS)), record


def count(app, user, url, times):
    """Add one to a counter some times, each from the value that was read."""
    client = Client(app, user)
    for _ in range(times):
        while True:
            known = client.send("GET", url)
            answer = client.send(
                "PATCH",
                url,
                body={"data": {"size": known.data["size"] + 1}},
                headers={"If-Match": known.headers["ETag"]},
            )
            if answer.status == 200:
                break
            assert answer.status == 412


def test_a_counter_loses_nothing(team):
    url = f"/mushrooms/{team.client.create('/mushrooms', {'name': 'counter'})['id']}"
    together([partial(count, team.app, team.client.user, url, ROUNDS)] * WRITERS)
    assert team.client.send("GET", url).data["size"] == WRITERS * ROUNDS


# 5. Unique fields are unique.


def test_of_many_posts_of_a_unique_value_one_creates(team):
    for n in range(ROUNDS):
        body = {"data": {"url": f"https://{n}.example", "code": n}}
        answers = team.send(*[request("POST", "/bookmarks", body=body)] * WRITERS)
        assert statuses(answers) == one_of_them(201, 200)
        assert len({answer.data["id"] for answer in answers}) == 1
    assert len(team.client.send("GET", "/bookmarks").data) == ROUNDS


def test_of_many_puts_of_a_unique_value_one_creates(team):
    for n in range(ROUNDS):
        body = {"data": {"code": n}}
        answers = team.send(
            *(request("PUT", f"/bookmarks/{new_id()}", body=body) for _ in range(WRITERS))
        )
        assert statuses(answers) == one_of_them(201, 409)


def test_of_many_patches_to_a_unique_value_one_succeeds(team):
    ids = [team.client.create("/bookmarks", {"code": -n - 1})["id"] for n in range(WRITERS)]
    for n in range(ROUNDS):
        answers = team.send(
            *(request("PATCH", f"/bookmarks/{id_}", body={"data": {"code": n}}) for id_ in ids)
        )
        assert statuses(answers) == one_of_them(200, 409)


# 6. A record or its tombstone.


def test_of_many_deletions_one_succeeds(team):
    for _ in range(ROUNDS):
        url = f"/mushrooms/{team.client.create('/mushrooms', {'name': 'x'})['id']}"
        answers = team.send(*[request("DELETE", url)] * WRITERS)
        assert statuses(answers) == one_of_them(200, 404)


def test_a_record_or_its_tombstone_remains(team):
    for n in range(ROUNDS):
        record = team.client.create("/mushrooms", {"name": str(n)})
        url = f"/mushrooms/{record['id']}"
        calls = [request("PUT", url, body={"data": {"name": "again"}})] * (WRITERS // 2)
        calls += [request("DELETE", url)] * (WRITERS // 2)
        random.Random(n).shuffle(calls)
        answers = team.send(*calls)
        assert set(statuses(answers)) <= {200, 201, 404}
        found = team.client.send("GET", "/mushrooms", f"_since=1&id={record['id']}").data
        assert len(found) == 1
        alive = team.client.send("GET", url).status == 200
        assert alive == ("deleted" not in found[0])
        last = max((a for a in answers if a.status < 300), key=lambda a: a.data["last_modified"])
        assert last.data == found[0]


# 7. Contention is never an error.


def test_the_first_requests_of_a_user(app):
    for _ in range(ROUNDS):
        team = Team(app)
        calls = [
            request("GET", "/mushrooms"),
            request("HEAD", "/mushrooms"),
            request("POST", "/mushrooms", body={"data": {"name": "x"}}),
            request("PUT", f"/mushrooms/{new_id()}", body={"data": {"name": "y"}}),
            request("DELETE", "/mushrooms"),
            request("GET", "/bookmarks"),
        ]
        answers = team.send(*calls)
        assert [answer.status for answer in answers] == [200, 200, 201, 201, 200, 200]


def test_the_timestamp_of_an_empty_list_is_the_same_for_all(app):
    for _ in range(ROUNDS):
        answers = Team(app).send(*[request("GET", "/mushrooms")] * WRITERS)
        assert len({answer.headers["ETag"] for answer in answers}) == 1


def test_batches_in_opposite_orders(team):
    paths = [f"/{kind}/{new_id()}" for kind in ("mushrooms", "spores", "articles", "bookmarks")]

    def batch(ordered, n):
        items = [
            {"method": "PUT", "path": path, "body": {"data": {"name": f"{n}", "n": n}}}
            for path in ordered
        ]
        return request("POST", "/batch", body={"requests": items})

    for n in range(ROUNDS):
        answers = team.send(
            *(batch(paths if m % 2 else paths[::-1], n * WRITERS + m) for m in range(WRITERS))
        )
        assert statuses(answers) == {200: WRITERS}
        results = [item["status"] for answer in answers for item in answer.json["responses"]]
        assert set(results) <= {200, 201}
        # One of them was the last, everywhere.
        last = {
            team.client.send("GET", path).data["name"] for path in (paths[0], paths[1], paths[3])
        }
        assert len(last) == 1


# 1 and 2. No missed change, distinct timestamps.


def write(client, number):
    """Do a little of everything, some of it in batches, some of them failing."""
    own = [new_id() for _ in range(3)]
    for n in range(ROUNDS):
        url = f"/mushrooms/{own[n % 3]}"
        client.send("PUT", url, body={"data": {"name": f"{number}-{n}"}})
        client.send("PATCH", url, body={"data": {"size": n}})
        client.send("POST", "/mushrooms", body={"data": {"name": f"{number}+{n}"}})
        items = [
            {"method": "POST", "path": "/mushrooms", "body": {"data": {"name": f"{number}*{n}"}}},
            {"method": "DELETE", "path": url},
        ]
        client.send("POST", "/batch", body={"requests": items})
        if n % 4 == 3:
            client.send("DELETE", "/mushrooms", f"max_size={n}&name={number}%2B{n}")


class Poller:
    """A client that keeps what it was told, and asks for what is new."""

    def __init__(self, client):
        self.client = client
        self.known = {}
        self.times = []
        self.tag = '"1"'

    def poll(self):
        answer = self.client.send("GET", "/mushrooms", f"_since={self.tag}&_sort=last_modified")
        assert answer.status == 200
        times = [record["last_modified"] for record in answer.data]
        assert len(set(times)) == len(times)
        assert int(answer.headers["ETag"].strip('"')) >= int(self.tag.strip('"'))
        for record in answer.data:
            self.known.pop(record["id"], None)
            if "deleted" not in record:
                self.known[record["id"]] = record
        self.tag = answer.headers["ETag"]

    def is_up_to_date(self):
        self.poll()
        records = self.client.walk("/mushrooms", "_limit=50")
        return self.known == {record["id"]: record for record in records}


def test_a_client_that_polls_misses_nothing(team):
    user = team.client.user
    working = [None] * WRITERS
    poller = Poller(Client(team.app, user))

    def writer(number):
        try:
            write(Client(team.app, user), number)
        finally:
            working.pop()

    def poll():
        while working:
            poller.poll()

    together([poll, *(partial(writer, number) for number in range(WRITERS))])
    assert poller.is_up_to_date()
    everything = team.client.send("GET", "/mushrooms", "_since=1").data
    times = [record["last_modified"] for record in everything]
    assert len(set(times)) == len(times)
    assert team.client.send("GET", "/mushrooms").headers["ETag"] == f'"{max(times)}"'


def test_the_first_record_comes_between_a_list_and_its_timestamp(app, monkeypatch):
    """The list may be too old for it, but not the timestamp too young."""
    poller = Poller(Client(app))
    storage = app.registry.storage
    timestamp = storage._timestamp

    def late(collection):
        together([partial(Client(app, poller.client.user).create, "/mushrooms", {"name": "x"})])
        return timestamp(collection)

    if hasattr(storage, "_client"):  # elsewhere one lock guards both
        monkeypatch.setattr(storage, "_timestamp", late)
    poller.poll()
    monkeypatch.undo()
    assert poller.is_up_to_date()


# 8. An answer is the truth.


@contextmanager
def failing(app):
    """Within this block, the storage has no room for records named ``bomb``."""
    storage = app.registry.storage
    update = storage.update

    def explode(collection_id, parent_id, object_id, record, **kwargs):
        result = update(collection_id, parent_id, object_id, record, **kwargs)
        if record.get("name") == "bomb":
            raise ZeroDivisionError
        return result

    storage.update = explode
    yield
    del storage.update


def test_a_failed_batch_leaves_nothing_and_nobody_sees_it(team):
    client = team.client
    known = client.create("/mushrooms", {"name": "known"})
    before = client.send("GET", "/mushrooms")
    items = [
        {"method": "POST", "path": "/mushrooms", "body": {"data": {"name": "new"}}},
        {"method": "PATCH", "path": f"/mushrooms/{known['id']}", "body": {"data": {"name": "z"}}},
        {"method": "PUT", "path": f"/articles/{new_id()}", "body": {"data": {}}},
        {"method": "PUT", "path": f"/mushrooms/{new_id()}", "body": {"data": {"name": "bomb"}}},
    ]
    done = threading.Event()
    seen = []

    def fail():
        try:
            for _ in range(ROUNDS):
                with pytest.raises(AssertionError, match="500"):
                    Client(team.app, client.user).send("POST", "/batch", body={"requests": items})
        finally:
            done.set()

    def read():
        while not done.is_set():
            answer = Client(team.app, client.user).send("GET", "/mushrooms")
            seen.append((answer.data, answer.headers["ETag"]))

    with failing(team.app):
        together([fail, read, read])
    after = client.send("GET", "/mushrooms")
    seen.append((after.data, after.headers["ETag"]))
    assert all(state == ([known], before.headers["ETag"]) for state in seen)
    assert client.send("GET", "/articles").status == 403


def test_what_a_refused_request_of_a_batch_did_is_undone(team):
    """Beside it, what was accepted is there, and other users' writes are as well."""
    other = Client(team.app)
    conflict = {"method": "PUT", "path": f"/bookmarks/{new_id()}", "body": {"data": {"code": 1}}}
    team.client.create("/bookmarks", {"code": 1})

    def batch(n):
        item = {"method": "POST", "path": "/bookmarks", "body": {"data": {"code": n + 2}}}
        return request("POST", "/batch", body={"requests": [item, conflict, item]})

    calls = [partial(other.create, "/bookmarks", {"code": n}) for n in range(WRITERS)]
    user = team.client.user
    for n in range(WRITERS):
        args, kwargs = batch(n)
        calls.append(partial(Client(team.app, user).send, *args, **kwargs))
    answers = together(calls)[WRITERS:]
    for answer in answers:
        assert [item["status"] for item in answer.json["responses"]] == [201, 409, 200]
    assert len(team.client.send("GET", "/bookmarks").data) == WRITERS + 1
    assert len(other.send("GET", "/bookmarks").data) == WRITERS


# Several processes.

PROCESSES = 2
THREADS = 3


def _serve(folder, work, threads, ready, go, results):
    """Be one of the processes: do the work in several threads, and tell what came out."""
    try:
        sys.setswitchinterval(1e-5)
        app = make_app("sqlite", folder)
        ready.put(None)
        assert go.wait(PATIENCE)
        results.put(together([partial(work, app, number) for number in range(threads)]))
    except BaseException as error:
        results.put(repr(error))


def in_processes(folder, work, meanwhile=None):
    """Do the work in threads of several processes at once; return what all of them return.

    :param work: a function, without closure, of an application and the number of the thread.
    :param meanwhile: called again and again until they are done.
    """
    context = multiprocessing.get_context("spawn")
    ready, go, results = context.Queue(), context.Event(), context.Queue()
    arguments = (str(folder), work, THREADS, ready, go, results)
    processes = [context.Process(target=_serve, args=arguments) for _ in range(PROCESSES)]
    try:
        for process in processes:
            process.start()
        for _ in processes:
            ready.get(timeout=PATIENCE)
        go.set()
        found = []
        while len(found) < PROCESSES:
            try:
                found.append(results.get(timeout=0.001 if meanwhile else PATIENCE))
            except queue.Empty:
                meanwhile()
    finally:
        for process in processes:
            process.join(PATIENCE)
            process.close()
        for channel in (ready, results):
            channel.close()
    assert not [result for result in found if isinstance(result, str)], found
    return [item for result in found for item in result]


@pytest.fixture
def shared(tmp_path):
    return make_app("sqlite", tmp_path)


CREATED = "0f0e0d0c-53a1-4a45-8d8c-3c0c1f0f6c1d"
DELETED = "8a4c3d0e-53a1-4a45-8d8c-3c0c1f0f6c1d"


def contend(user, record_id, tag, app, number):
    """Send one of each of the requests of which only one may succeed."""
    client = Client(app, user)
    put = {"body": {"data": {"name": str(number)}}}
    url = f"/mushrooms/{record_id}"
    return {
        "If-Match": client.send("PATCH", url, **put, headers={"If-Match": tag}).status,
        "If-None-Match": client.send(
            "PUT", f"/mushrooms/{CREATED}", **put, headers={"If-None-Match": "*"}
        ).status,
        "POST": client.send("POST", "/bookmarks", body={"data": {"code": 1}}).status,
        "PUT": client.send("PUT", f"/bookmarks/{new_id()}", body={"data": {"code": 2}}).status,
        "first": Client(app, f"{user}-new").send("GET", "/mushrooms").headers["ETag"],
        "DELETE": client.send("DELETE", f"/mushrooms/{DELETED}").status,
    }


def test_of_many_writers_in_processes_one_succeeds(tmp_path, shared):
    client = Client(shared)
    record = client.create("/mushrooms", {"name": "x"})
    client.create("/mushrooms", {"name": "y", "id": DELETED})
    tag = f'"{record["last_modified"]}"'
    found = in_processes(tmp_path, partial(contend, client.user, record["id"], tag))
    total = PROCESSES * THREADS
    for name, first, others in (
        ("If-Match", 200, 412),
        ("If-None-Match", 201, 412),
        ("POST", 201, 200),
        ("PUT", 201, 409),
        ("DELETE", 200, 404),
    ):
        assert Counter(item[name] for item in found) == {first: 1, others: total - 1}, name
    assert len({item["first"] for item in found}) == 1


def modify(user, url, app, number):
    client = Client(app, user)
    count(app, user, url, ROUNDS)
    field = new_id()
    for n in range(ROUNDS):
        body = {"data": {field: n}}
        assert client.send("PATCH", url.replace("mushrooms", "spores"), body=body).status == 200
    return field


def test_no_modification_of_several_processes_is_lost(tmp_path, shared):
    client = Client(shared)
    record = client.create("/mushrooms", {"name": "counter"})
    client.create("/spores", {"id": record["id"]})
    names = in_processes(tmp_path, partial(modify, client.user, f"/mushrooms/{record['id']}"))
    counter = client.send("GET", f"/mushrooms/{record['id']}").data
    assert counter["size"] == PROCESSES * THREADS * ROUNDS
    fields = client.send("GET", f"/spores/{record['id']}").data
    assert {fields[name] for name in names} == {ROUNDS - 1}


def write_as(user, app, number):
    write(Client(app, user), f"{number}-{new_id()}")


def test_a_client_misses_nothing_of_several_processes(tmp_path, shared):
    poller = Poller(Client(shared))
    in_processes(tmp_path, partial(write_as, poller.client.user), meanwhile=poller.poll)
    assert poller.is_up_to_date()
    everything = poller.client.send("GET", "/mushrooms", "_since=1").data
    assert len({record["last_modified"] for record in everything}) == len(everything)
