"""The requests that lead to what applications override."""

import functools
import json
import re

import colander

from cliquet.resource import ResourceSchema

FIRST = "10000000-0000-4000-8000-000000000000"
SECOND = "20000000-0000-4000-8000-000000000000"
THIRD = "30000000-0000-4000-8000-000000000000"
LATER = '"9999999999999"'


class ThingSchema(ResourceSchema):
    n = colander.SchemaNode(colander.Integer(), missing=colander.drop)
    code = colander.SchemaNode(colander.String(), missing=colander.drop)

    class Options:
        unique_fields = ("code",)


#: By name: a method, a path below the collection, the body and headers.
REQUESTS = {
    "POST_WITH_ID": ("POST", "", {"data": {"id": THIRD, "n": 1}}, {}),
    "PUT_NEW": ("PUT", f"/{FIRST}", {"data": {"n": 2, "code": "a"}}, {}),
    "POST_EXISTING": ("POST", "", {"data": {"id": FIRST}}, {}),
    "POST_CONFLICT": ("POST", "", {"data": {"code": "a"}}, {}),
    "PUT_CONFLICT": ("PUT", f"/{SECOND}", {"data": {"code": "a"}}, {}),
    "PUT": ("PUT", f"/{FIRST}", {"data": {"n": 3}}, {}),
    "PUT_STALE": ("PUT", f"/{FIRST}", {"data": {"n": 3}}, {"If-Match": '"5"'}),
    "PATCH": ("PATCH", f"/{FIRST}", {"data": {"n": 4}}, {}),
    "PATCH_SAME": ("PATCH", f"/{FIRST}", {"data": {"n": 4}}, {}),
    "GET": ("GET", f"/{FIRST}", None, {}),
    "HEAD": ("HEAD", f"/{FIRST}", None, {}),
    "GET_FIELDS": ("GET", f"/{FIRST}?_fields=n", None, {}),
    "GET_SEEN": ("GET", f"/{FIRST}", None, {"If-None-Match": LATER}),
    "GET_MISSING": ("GET", f"/{SECOND}", None, {}),
    "GET_INVALID_ID": ("GET", "/invalid", None, {}),
    "LIST": ("GET", "", None, {}),
    "HEAD_LIST": ("HEAD", "", None, {}),
    "LIST_FIELDS": ("GET", "?_fields=n", None, {}),
    "LIST_FILTERED": ("GET", "?n=4", None, {}),
    "LIST_SEEN": ("GET", "", None, {"If-None-Match": LATER}),
    "PAGE": ("GET", "?_limit=1&_sort=n", None, {}),
    "NEXT_PAGE": ("GET", "", None, {}),
    "DELETE": ("DELETE", f"/{FIRST}", None, {}),
    "PUT_DELETED": ("PUT", f"/{FIRST}", {"data": {"n": 5}}, {}),
    "DELETE_FILTERED": ("DELETE", "?n=5", None, {}),
    "DELETE_LIST": ("DELETE", "", None, {}),
    "POST": ("POST", "", {"data": {"n": 1}}, {}),
}


def send(client, method, url, body, headers):
    """Send a request, and return its status, the page that follows, and the body."""
    response = client.send(method, url, body, headers, status="*")
    content = response.json if response.body else None
    return response.status_code, response.headers.get("Next-Page", ""), content


def send_in_batch(client, method, url, body, headers):
    """Send a request inside a batch."""
    request = {"method": method, "path": url, "headers": headers}
    if body is not None:
        request["body"] = body
    (response,) = client.batch(request)
    content = None if method == "HEAD" else response.get("body") or None
    return response["status"], response["headers"].get("Next-Page", ""), content


def walk(client, path, send):
    """Yield the name of each request to a collection, and a function that sends it.

    The function returns the status and the body, as a text that resources have in common.
    """
    next_page = ""

    def exchange(name):
        nonlocal next_page
        method, below, body, headers = REQUESTS[name]
        query = next_page if name == "NEXT_PAGE" else below
        status, next_url, content = send(client, method, path + query, body, headers)
        if next_url:
            next_page = "?" + next_url.partition("?")[2]
        return status, _comparable(content, path)

    for name in REQUESTS:
        yield name, functools.partial(exchange, name)


def check_override(exchanges, calls, expected, normal):
    """Check that the expected requests lead to an override, and that no other one does.

    These are refused while the override refuses, and change nothing then. All responses are
    the normal ones.

    :param exchanges: what :func:`walk` yields.
    :param expected: the names of the requests, as words.
    """
    called, refused, responses = [], {}, {}
    for name, exchange in exchanges:
        if name in expected.split():
            calls.refuse = True
            refused[name] = exchange()[0]
            calls.refuse = False
        calls.clear()
        responses[name] = exchange()
        if calls:
            called.append(name)
    assert called == [name for name in REQUESTS if name in expected.split()]
    assert refused == dict.fromkeys(called, 403)
    assert responses == normal


def _comparable(content, path):
    """Return the text of a body, without what no two resources have in common."""
    text = json.dumps(content, sort_keys=True).replace(path, "/things")
    text = re.sub(r'"last_modified": [0-9]{13}\b', '"last_modified": 0', text)
    return re.sub(r'"(?![123]0{7}-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', '"id"', text)
