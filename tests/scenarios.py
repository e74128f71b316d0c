"""Concurrent requests of one user: the guarantees, except those about histories.

Each scenario is one round of a :class:`Team`, and fails unless the outcome is one of those that
the documentation of the backends names, by the numbers of its guarantees.
"""

import json
import random
import threading
from collections import Counter
from functools import partial

from tests.hostile_client import new_id

TIMEOUT = 60  # seconds


def together(calls, timeout=TIMEOUT):
    """Call functions at once, each in a thread; return what they return, in their order."""
    barrier = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def run(index):
        barrier.wait(TIMEOUT)
        try:
            results[index] = calls[index]()
        except BaseException as error:
            results[index] = error

    threads = [
        threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(calls))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    assert not any(thread.is_alive() for thread in threads), "threads wait for one another"
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def at_once(count, send):
    """Call a function with all numbers below ``count`` at once; return the sorted statuses."""
    responses = together([partial(send, n) for n in range(count)])
    return sorted(response.status_code for response in responses)


class Team:
    """Clients of one user, who send at once.

    :param connect: returns a client of a user, for the number of a member.
    :param isolated: whether other requests never see a part of a batch (on Redis they do).
    """

    def __init__(self, connect, size=6, isolated=True):
        self.size = size
        self.isolated = isolated
        user = new_id()
        #: The client that prepares a round, and checks its outcome.
        self.client = connect(user, 0)
        self.members = [connect(user, number) for number in range(size)]

    def send(self, *requests):
        """Send requests (the arguments of :meth:`Client.send`) at once; return the responses."""
        return together(
            [
                partial(member.send, *args, **kwargs)
                for member, (args, kwargs) in zip(self.members, requests, strict=True)
            ]
        )

    def each(self, work):
        """Do the work, a function of a client and its number, at once; return the results."""
        return together([partial(work, member, n) for n, member in enumerate(self.members)])

    def become_another(self):
        """Use a new user, who has no records."""
        user = new_id()
        for client in (self.client, *self.members):
            client.user = user

    @property
    def statuses(self):
        """The number of responses by status."""
        return sum((member.statuses for member in self.members), Counter())

    def one(self, first, others):
        """The outcome when one of them gets ``first``, all others ``others``."""
        return Counter({first: 1, others: self.size - 1})


def explain(error):
    """The message of an error, with its notes."""
    return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])


def request(*args, **kwargs):
    return args, kwargs


def statuses(responses):
    return Counter(response.status for response in responses)


# 3. Preconditions are atomic.


def one_tag(team, method):
    record = team.client.create("/mushrooms", {"name": "x"})
    url = f"/mushrooms/{record['id']}"
    headers = {"If-Match": f'"{record["last_modified"]}"'}
    bodies = [None if method == "DELETE" else {"data": {"name": str(n)}} for n in range(team.size)]
    responses = team.send(*(request(method, url, body=body, headers=headers) for body in bodies))
    assert statuses(responses) == team.one(200, 404 if method == "DELETE" else 412)
    if method != "DELETE":
        (winner,) = [response.data for response in responses if response.status == 200]
        assert team.client.send("GET", url).data == winner


def one_tag_of_the_list(team, method):
    team.client.create("/mushrooms", {"name": "x"})
    headers = {"If-Match": team.client.send("GET", "/mushrooms").headers["ETag"]}
    body = {"data": {"name": "x"}} if method == "POST" else None
    responses = team.send(*[request(method, "/mushrooms", body=body, headers=headers)] * team.size)
    assert statuses(responses) == team.one(201 if method == "POST" else 200, 412)


def one_creation(team, path):
    url = f"{path}/{new_id()}"
    headers = {"If-None-Match": "*"}
    bodies = [{"data": {"name": str(n)}} for n in range(team.size)]
    responses = team.send(*(request("PUT", url, body=body, headers=headers) for body in bodies))
    assert statuses(responses) == team.one(201, 412)


def one_post_of_an_id(team):
    body = {"data": {"id": new_id(), "name": "x"}}
    responses = team.send(*[request("POST", "/mushrooms", body=body)] * team.size)
    assert statuses(responses) == team.one(201, 200)
    assert len({json.dumps(response.data, sort_keys=True) for response in responses}) == 1


# 4. No lost modification.


def different_fields(team, path):
    body = {"data": {}}
    if path == "/articles":
        body["permissions"] = {"read": ["system.Everyone"]}
    url = f"{path}/{team.client.send('POST', path, body=body).data['id']}"
    bodies = [{"data": {f"field{n}": n}} for n in range(team.size)]
    responses = team.send(*(request("PATCH", url, body=body) for body in bodies))
    assert statuses(responses) == {200: team.size}
    assert len({response.data["last_modified"] for response in responses}) == team.size
    record = team.client.send("GET", url).data
    assert all(record[f"field{n}"] == n for n in range(team.size)), record


def counter(team, times=3):
    url = f"/mushrooms/{team.client.create('/mushrooms', {'name': 'counter'})['id']}"

    def add_one(client):
        known = client.send("GET", url)
        body = {"data": {"size": known.data["size"] + 1}}
        headers = {"If-Match": known.headers["ETag"]}
        response = client.send("PATCH", url, body=body, headers=headers)
        assert response.status in (200, 412)
        return response.status == 200

    def count(client, number):
        for _ in range(times):
            while not add_one(client):
                pass

    team.each(count)
    assert team.client.send("GET", url).data["size"] == times * team.size


# 5. Unique fields are unique.


def one_post_of_a_value(team):
    body = {"data": {"url": f"https://{new_id()}.example", "code": new_id()}}
    responses = team.send(*[request("POST", "/bookmarks", body=body)] * team.size)
    assert statuses(responses) == team.one(201, 200)
    assert len({response.data["id"] for response in responses}) == 1
    records = team.client.send("GET", "/bookmarks", f"code={body['data']['code']}").data
    assert records == [responses[0].data]


def one_put_of_a_value(team):
    body = {"data": {"code": new_id()}}
    urls = [f"/bookmarks/{new_id()}" for _ in range(team.size)]
    responses = team.send(*(request("PUT", url, body=body) for url in urls))
    assert statuses(responses) == team.one(201, 409)


def one_patch_to_a_value(team):
    records = [team.client.create("/bookmarks", {"code": new_id()}) for _ in range(team.size)]
    body = {"data": {"code": new_id()}}
    urls = [f"/bookmarks/{record['id']}" for record in records]
    responses = team.send(*(request("PATCH", url, body=body) for url in urls))
    assert statuses(responses) == team.one(200, 409)


# 6. A record or its tombstone, never both, never neither.


def one_deletion(team):
    url = f"/mushrooms/{team.client.create('/mushrooms', {'name': 'x'})['id']}"
    responses = team.send(*[request("DELETE", url)] * team.size)
    assert statuses(responses) == team.one(200, 404)


def put_against_delete(team):
    record = team.client.create("/mushrooms", {"name": "x"})
    url = f"/mushrooms/{record['id']}"
    calls = [
        request("DELETE", url) if n % 2 else request("PUT", url, body={"data": {"name": str(n)}})
        for n in range(team.size)
    ]
    random.shuffle(calls)
    responses = team.send(*calls)
    assert set(statuses(responses)) <= {200, 201, 404}
    (listed,) = team.client.send("GET", "/mushrooms", f"_since=1&id={record['id']}").data
    alive = team.client.send("GET", url).status == 200
    assert alive == ("deleted" not in listed)
    changes = [response.data for response in responses if response.status < 300]
    assert max(changes, key=lambda data: data["last_modified"]) == listed


# 7. Contention is never an error.


def first_requests(team):
    team.become_another()
    calls = [
        request("GET", "/mushrooms"),
        request("HEAD", "/mushrooms"),
        request("POST", "/mushrooms", body={"data": {"name": "x"}}),
        request("PUT", f"/mushrooms/{new_id()}", body={"data": {"name": "y"}}),
        request("DELETE", "/mushrooms"),
        request("GET", "/bookmarks"),
    ]
    responses = team.send(*calls)
    assert [response.status for response in responses] == [200, 200, 201, 201, 200, 200]


def first_timestamp(team):
    team.become_another()
    responses = team.send(*[request("GET", "/mushrooms")] * team.size)
    assert len({response.headers["ETag"] for response in responses}) == 1


def opposite_batches(team):
    paths = [f"/{kind}/{new_id()}" for kind in ("mushrooms", "spores", "bookmarks", "articles")]

    def batch(ordered, n):
        items = [
            {"method": "PUT", "path": path, "body": {"data": {"name": str(n), "n": n}}}
            for path in ordered
        ]
        return request("POST", "/batch", body={"requests": items})

    responses = team.send(*(batch(paths if n % 2 else paths[::-1], n) for n in range(team.size)))
    assert statuses(responses) == {200: team.size}
    results = Counter(
        item["status"] for response in responses for item in response.json["responses"]
    )
    assert results == {201: len(paths), 200: len(paths) * (team.size - 1)}
    if team.isolated:
        # Of articles, who may write them may not therefore read them.
        last = {team.client.send("GET", path).data["name"] for path in paths[:-1]}
        assert len(last) == 1, "one of them was the last, everywhere"


# 9. What goes in comes out.

VALUES = [
    *(0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 2**53 + 1, -(2**64), 10**40),
    *("", "é\u0301\u200f\U0010ffff", "\x01\t\n\x7f", "null", [], {}, [None, True, {"": [[]]}]),
]


def values(team):
    """Each write is read by the next client, on another process."""
    path = "/spores"
    urls = [f"{path}/{new_id()}" for _ in range(team.size)]
    body = {"data": {"values": VALUES}}
    responses = team.send(*(request("PUT", url, body=body) for url in urls))
    responses += team.send(*(request("GET", url) for url in urls[1:] + urls[:1]))
    assert {repr(response.data["values"]) for response in responses} == {repr(VALUES)}


# 10. Every page.

SORTS = ("last_modified", "-last_modified", "tag,-name", "missing", "-tag")


def pages(team):
    """Half of them walk, while the others write; what these didn't touch is on one page."""
    team.become_another()
    kept = {
        team.client.create("/spores", {"tag": [n % 3, str(n), {"n": n}, None][n % 4]})["id"]
        for n in range(20)
    }

    def walk(client, number):
        query = f"_limit=3&_sort={random.choice(SORTS)}"
        counts = Counter(record["id"] for record in client.walk("/spores", query))
        assert {counts[id_] for id_ in kept} == {1}, query

    def write(client, number):
        for n in range(5):
            url = f"/spores/{client.create('/spores', {'tag': n % 3})['id']}"
            client.send("PATCH", url, body={"data": {"name": "x"}})
            client.send("DELETE", url)

    team.each(lambda client, n: (write if n % 2 else walk)(client, n))


#: The statement of each scenario, and a function of a team that plays one round.
SCENARIOS = {
    "of PUTs with one If-Match one succeeds": partial(one_tag, method="PUT"),
    "of PATCHes with one If-Match one succeeds": partial(one_tag, method="PATCH"),
    "of DELETEs with one If-Match one succeeds": partial(one_tag, method="DELETE"),
    "of POSTs with one If-Match of the list one succeeds": partial(
        one_tag_of_the_list, method="POST"
    ),
    "of DELETEs with one If-Match of the list one succeeds": partial(
        one_tag_of_the_list, method="DELETE"
    ),
    "of PUTs with If-None-Match one succeeds": partial(one_creation, path="/mushrooms"),
    "of PUTs of a shared record with If-None-Match one succeeds": partial(
        one_creation, path="/articles"
    ),
    "of POSTs of one new id one creates": one_post_of_an_id,
    "PATCHes of different fields are all there": partial(different_fields, path="/spores"),
    "PATCHes of different fields of a shared record are all there": partial(
        different_fields, path="/articles"
    ),
    "a counter with retries loses nothing": counter,
    "of POSTs of one unique value one creates": one_post_of_a_value,
    "of PUTs of one unique value one creates": one_put_of_a_value,
    "of PATCHes to one unique value one succeeds": one_patch_to_a_value,
    "of DELETEs of one record one succeeds": one_deletion,
    "PUTs against DELETEs leave a record or a tombstone": put_against_delete,
    "the first requests of a user succeed": first_requests,
    "the first reads of an empty list return one ETag": first_timestamp,
    "batches in opposite orders all succeed": opposite_batches,
    "what one writes the next one reads": values,
    "pages have each record once while others write": pages,
}
