import collections
import datetime
import decimal
import types

import pytest
import webtest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from cliquet.http.renderers import JSONRenderer
from tests import testapp


class Own:
    def __json__(self, request):
        return {"own": 1}


class Exported:
    def toDict(self):
        return {"exported": {1}}


class Text:
    def __json__(self):
        return '{"raw": 1}'


class Bytes:
    def __json__(self):
        return b"[0, 1]"


class Value:
    def __json__(self):
        return {"value": "text"}


class Of:
    @classmethod
    def __json__(cls, *requests):
        return cls.__name__


class Listed:
    def __json__(self, request):
        return [request.path[-1].replace("s", "a")]


Point = collections.namedtuple("Point", "x y")
EAST = datetime.timezone(datetime.timedelta(hours=2))


class Row:
    def keys(self):
        return ["a"]

    def __getitem__(self, key):
        return 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": "é/"}, '{"a":"é/"}'),
        ({1}, "[1]"),
        (b"\xc3\xa9", '"é"'),
        (Own(), '{"own":1}'),
        (Row(), '{"a":1}'),
        (range(2), "[0,1]"),
        (frozenset({1}), "[1]"),
        ({"a": 1}.keys(), '["a"]'),
        ({"a": 1}.values(), "[1]"),
        ({"a": 1}.items(), '[["a",1]]'),
        (lambda: (n for n in (1, 2)), "[1,2]"),
        (lambda: map(str, (1, 2)), '["1","2"]'),
        (lambda: filter(None, (0, 1)), "[1]"),
        (lambda: iter([1]), "[1]"),
        (lambda: reversed([1, 2]), "[2,1]"),
        (collections.deque([1]), "[1]"),
        (collections.OrderedDict(a=1), '{"a":1}'),
        (collections.Counter("a"), '{"a":1}'),
        (collections.ChainMap({"a": 1}), '{"a":1}'),
        (types.MappingProxyType({"a": 1}), '{"a":1}'),
        (Point(1, 2), "[1,2]"),
        (decimal.Decimal("1.10"), "1.1"),
        (decimal.Decimal(5), "5.0"),
        (Exported(), '{"exported":[1]}'),
        (Text(), '{"raw": 1}'),
        (Bytes(), "[0, 1]"),
        (Value(), '{"value":"text"}'),
        (Of(), '"Of"'),
        (datetime.datetime(2016, 1, 2, 3, 4, 5, 678), "1451703845"),
        (datetime.datetime(2016, 1, 2, tzinfo=EAST), "1451685600"),
        (datetime.date(2016, 1, 2), "1451692800"),
        (datetime.time(1, 2), '"01:02:00"'),
    ],
)
@pytest.mark.parametrize(
    ("wrap", "around"),
    [
        (lambda value: value, "{}"),
        (lambda value: {"a": [value]}, '{{"a":[{}]}}'),
        (lambda value: [2**70, value], "[1180591620717411303424,{}]"),
        (lambda value: [value, 2**70], "[{},1180591620717411303424]"),
    ],
)
def test_values_that_json_does_not_know_are_rendered(value, text, wrap, around):
    value = value() if isinstance(value, types.FunctionType) else value
    rendered = JSONRenderer(None)(wrap(value), {}).decode()
    assert rendered == around.format(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"a": 1}.keys(),
        lambda: (name for name in "a"),
        lambda: map(str, "a"),
        lambda: collections.deque("a"),
        lambda: Listed(),
    ],
)
def test_views_can_return_any_of_these(make):
    service = cliquet.Service(name="s", path="/s")
    service.add_view("GET", lambda request: make(), permission=NO_PERMISSION_REQUIRED)
    config = Configurator(settings=dict(testapp.SETTINGS))
    cliquet.initialize(config, version="0.1")
    config.add_cornice_service(service)
    assert webtest.TestApp(config.make_wsgi_app()).get("/v0/s").json == ["a"]


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/plain;q=0.5, application/json", "application/json"),
        ("text/plain, application/json", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/plain, application/json;q=0.5", "text/plain"),
        ("text/json, application/json;q=0.5", "text/json"),
        ("text/html", "application/json"),
    ],
)
def test_json_is_sent_as_plain_text_to_clients_that_prefer_it(accept, type_):
    request = Request.blank("/", headers={"Accept": accept})
    request.response = Response()
    assert JSONRenderer(None)({"a": 1}, {"request": request}) == b'{"a":1}'
    assert request.response.headers["Content-Type"] == f"{type_}; charset=UTF-8"


def test_values_that_are_not_json_are_refused():
    with pytest.raises(TypeError):
        JSONRenderer(None)(object(), {})


def test_json_method_of_values_gets_the_request(serve):
    class Method:
        def __json__(self, request):
            return request.method

    def setup(config):
        config.add_route("method", "/method")
        config.add_view(lambda request: [Method()], route_name="method", renderer="json")

    assert serve(setup=setup).get("/method").json == ["GET"]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("renderer", ["json", "simplejson"])
def test_responses_that_cannot_have_a_body_have_none(serve, status, renderer):
    """WebTest's client checks that such responses have no ``Content-Type``."""

    def view(request):
        request.response.status_code = status

    def setup(config):
        service = cliquet.Service(name="empty", path="/empty")
        service.add_view("DELETE", view, permission=NO_PERMISSION_REQUIRED, renderer=renderer)
        config.add_cornice_service(service)
        config.add_route("plain", "/plain")
        config.add_view(view, route_name="plain", renderer=renderer)

    client = serve(setup=setup)
    for response in (client.delete("/empty"), client.delete("/plain")):
        assert (response.status_code, response.body) == (status, b"")
        assert not {"Content-Type", "Content-Length"}.intersection(response.headers)
    subrequest = {"method": "DELETE", "path": "/empty"}
    (response,) = client.post_json("/batch", {"requests": [subrequest]}).json["responses"]
    assert (response["status"], response["body"]) == (status, None)
