"""Settings of the registry that take effect while the service runs."""

import datetime

import pytest
import webtest
from pyramid.paster import bootstrap

from cliquet.testing import get_request_class
from tests import testapp
from tests.reuse import Applications

WRITES = [
    ("POST", "/spores"),
    ("DELETE", "/spores"),
    ("PUT", "/spores/{id}"),
    ("PATCH", "/spores/{id}"),
    ("DELETE", "/spores/{id}"),
]


@pytest.fixture
def applications():
    """New ones for each test, because these tests change them."""
    return Applications(kept=0)


@pytest.fixture
def client(serve):
    return serve()


@pytest.fixture
def settings(client):
    return client.registry.settings


@pytest.fixture
def spore(client, alice):
    return client.post_json("/spores", {"data": {}}, headers=alice).json["data"]


@pytest.fixture(scope="module")
def always_readonly():
    """The client of an application that is read-only from its start."""
    client = webtest.TestApp(testapp.main({"readonly": True}))
    client.RequestClass = get_request_class("v0")
    return client


def allowed(response):
    return set(response.headers["Allow"].split(", "))


def write(client, method, path, spore, headers, status):
    """Send a request that changes something."""
    body = {"data": {"size": 1}} if method in ("POST", "PUT", "PATCH") else None
    send = getattr(client, f"{method.lower()}_json")
    options = {} if body is None else {"params": body}
    return send(path.format(**spore), headers=headers, status=status, **options)


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("value", [True, "true"])
def test_readonly_refuses_writes_until_it_is_off(
    client, settings, spore, alice, method, path, value, always_readonly
):
    settings["readonly"] = value
    refused = write(client, method, path, spore, alice, 405)
    expected = write(always_readonly, method, path, spore, alice, 405)
    assert refused.json == expected.json
    assert allowed(refused) == allowed(expected) == {"GET", "HEAD", "OPTIONS"}
    assert client.get("/spores", headers=alice).json["data"] == [spore]
    assert client.get("/").json["settings"]["readonly"] is True
    settings["readonly"] = False
    write(client, method, path, spore, alice, "2*")
    assert client.get("/spores", headers=alice).json["data"] != [spore]


def test_readonly_lets_read_and_heartbeats_pass(client, settings, spore, alice):
    settings["readonly"] = True
    assert client.get(f"/spores/{spore['id']}", headers=alice).json["data"] == spore
    assert client.head("/spores", headers=alice).headers["Total-Records"] == "1"
    assert client.get("/__heartbeat__").status_code == 200
    batch = [{"path": "/spores"}, {"method": "DELETE", "path": "/spores"}]
    responses = client.post_json("/batch", {"requests": batch}, headers=alice).json["responses"]
    assert [response["status"] for response in responses] == [200, 405]


def test_readonly_is_about_resources_and_leaves_services_alone(client, settings):
    settings["readonly"] = True
    assert client.post_json("/echo", {"a": 1}).json == {"a": 1}


def test_readonly_of_one_application_does_not_affect_another(client, serve, settings, alice):
    other = serve()
    settings["readonly"] = True
    other.post_json("/spores", {"data": {}}, headers=alice, status=201)
    client.post_json("/spores", {"data": {}}, headers=alice, status=405)


def test_backoff_comes_and_goes(client, settings):
    settings["backoff"] = 10
    assert client.get("/").headers["Backoff"] == "10"
    assert client.get("/nowhere", status=404).headers["Backoff"] == "10"
    settings["backoff"] = None
    assert "Backoff" not in client.get("/").headers


@pytest.mark.parametrize("past", ["2015-01-01", datetime.date(2015, 1, 1)])
def test_end_of_life_comes_and_goes(client, settings, past):
    settings["eos"] = past
    assert client.get("/", status=410).json["errno"] == 202
    settings["eos"] = None
    assert "Alert" not in client.get("/").headers


def test_shell_switches_the_application_that_it_holds(tmp_path):
    ini = tmp_path / "app.ini"
    ini.write_text("[app:main]\nuse = call:tests.test_switches:make_app\n")
    with bootstrap(str(ini)) as shell:
        client = webtest.TestApp(shell["app"])
        client.get("/v0/", status=200)
        shell["registry"].settings["backoff"] = 10
        shell["registry"].settings["readonly"] = True
        response = client.get("/v0/")
        assert response.headers["Backoff"] == "10"
        assert response.json["settings"]["readonly"] is True


def make_app(global_config, **settings):
    """Be the application of a configuration file."""
    return testapp.main(settings)
