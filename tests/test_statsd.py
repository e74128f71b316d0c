import re
import socket
from contextlib import closing

import pytest
import webtest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

import cliquet
from cliquet import statsd
from tests.test_prometheus import run_twice


@pytest.fixture
def listener():
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as received:
        received.bind(("127.0.0.1", 0))
        received.settimeout(0.2)
        yield received


@pytest.fixture
def received(listener):
    def received():
        names = []
        while True:
            try:
                names.append(listener.recv(1000).decode())
            except TimeoutError:
                return names

    return received


def url_of(listener):
    return f"udp://127.0.0.1:{listener.getsockname()[1]}"


def test_requests_backends_and_users_are_counted(serve, listener, received, alice):
    settings = {"statsd_url": url_of(listener), "statsd_prefix": "me"}
    serve(settings).get("/mushrooms", headers=alice)
    names = [line.partition(":")[0] for line in received()]
    for name in (
        "storage.storage.get_page",
        "authentication.basicauth.authenticated_userid",
        "view.mushroom-collection.GET",
        "users",
        "authn_type.basicauth",
    ):
        assert f"me.{name}" in names


def test_users_are_counted_by_prefixed_id(serve, listener, received, alice):
    serve({"statsd_url": url_of(listener)}).get("/mushrooms", headers=alice)
    (user,) = [line for line in received() if line.startswith("testapp.users:")]
    assert re.fullmatch(r"testapp\.users:basicauth:[0-9a-f]{64}\|s", user)


@pytest.mark.parametrize(
    ("unique", "sent"),
    [("github:1", "github:1"), ("a@b:c", "a@b:c"), ("a|c\nx:1|c b", "a.c.x:1.c.b")],
)
def test_unique_value_is_one_metric(listener, received, unique, sent):
    statsd.Client("127.0.0.1", listener.getsockname()[1], "app").count("users", unique=unique)
    assert received() == [f"app.users:{sent}|s"]


def test_methods_that_are_none_of_http_share_one_counter(serve, listener, received):
    client = serve({"statsd_url": url_of(listener)})
    client.lint = False  # which knows no method but those of HTTP
    client.request("/echo", method="FO|O", status=405)
    assert "testapp.view.echo.other:1|c" in received()


def test_request_that_runs_again_is_counted_once(serve, listener, received):
    client = serve({"statsd_url": url_of(listener)}, run_twice)
    client.get("/again")
    assert received().count("testapp.view.again.GET:1|c") == 1


def test_request_with_failing_authentication_is_counted(serve, listener, received):
    settings = {
        "statsd_url": url_of(listener),
        "multiauth.policies": "broken",
        "multiauth.policy.broken.use": "tests.test_logs.BrokenPolicy",
    }
    client = serve(settings)
    client.get("/mushrooms", status=503)
    lines = received()
    assert "testapp.view.mushroom-collection.GET:1|c" in lines
    assert not any(line.startswith("testapp.users") for line in lines)


def test_prefix_is_the_name_of_the_project(serve, listener, received):
    client = serve({"statsd_url": url_of(listener)})
    client.get("/")
    client.get("/nothing", status=404)
    assert "testapp.view.hello.GET:1|c" in received()


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [
        ({}, "cliquet"),
        ({"project_name": "shop"}, "shop"),
        ({"project_name": "shop", "statsd_prefix": "till"}, "till"),
        ({"statsd_prefix": "till"}, "till"),
    ],
)
@pytest.mark.filterwarnings("ignore:No value specified for `project_name`")
def test_prefix_is_the_setting_or_else_the_name_of_the_project(
    listener, received, settings, prefix
):
    config = Configurator(settings={"statsd_url": url_of(listener), **settings})
    cliquet.initialize(config, version="1.0")
    webtest.TestApp(config.make_wsgi_app()).get("/v1/")
    assert f"{prefix}.view.hello.GET:1|c" in received()


def test_listeners_are_timed(serve, listener, received, alice):
    settings = {
        "statsd_url": url_of(listener),
        "event_listeners": "ear",
        "event_listeners.ear.use": "tests.test_initialization",
        "event_listeners.ear.label": "x",
    }
    serve(settings).post_json("/spores", {"data": {}}, headers=alice)
    assert any(line.startswith("testapp.listeners.ear:") for line in received())


def test_applications_can_have_their_own_counters(serve, listener, received):
    client = serve({"statsd_url": url_of(listener)})

    class Request:
        registry = client.registry

    statsd.statsd_count(Request, "mine")
    assert received() == ["testapp.mine:1|c"]


def test_counting_without_metrics_does_nothing(serve):
    class Request:
        registry = serve().registry

    assert statsd.statsd_count(Request, "mine") is None
    assert Request.registry.statsd is None


@pytest.mark.parametrize(
    "url", ["http://localhost:8125", "udp://localhost", "8125", "udp://a:99999"]
)
def test_invalid_url_is_reported(serve, url):
    with pytest.raises(ConfigurationError, match="statsd_url = .*expected udp://host:port"):
        serve({"statsd_url": url})


def test_unknown_host_is_reported(serve):
    with pytest.raises(ConfigurationError, match="statsd_url = .*host that can be resolved"):
        serve({"statsd_url": "udp://nowhere.invalid:8125"})


def test_host_can_be_an_address_of_ipv6(serve):
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as listener:
        listener.bind(("::1", 0))
        listener.settimeout(10)
        client = serve({"statsd_url": f"udp://[::1]:{listener.getsockname()[1]}"})
        client.get("/")
        assert listener.recv(1000).startswith(b"testapp.")


def test_only_public_methods_are_timed(listener, received):
    class Backend:
        size = 3

        def visible(self):
            return self._hidden()

        def _hidden(self):
            return 1

    client = statsd.Client(*listener.getsockname(), "p")
    backend = Backend()
    client.watch_execution_time(backend, prefix="kind")
    assert backend.visible() == 1
    (line,) = received()
    assert line.startswith("p.kind.backend.visible:")


def test_there_can_be_no_backend_to_time(listener, received):
    config = Configurator(settings={"statsd_url": url_of(listener)})
    cliquet.initialize(config, version="1.0", project_name="bare")
    webtest.TestApp(config.make_wsgi_app()).get("/v1/")
    assert "bare.view.hello.GET:1|c" in received()
