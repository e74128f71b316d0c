import io
import json
import logging
import os
import re
import threading
from pathlib import Path
from unittest import mock

import pytest
import structlog
from pyramid.authentication import CallbackAuthenticationPolicy
from pyramid.request import Request

from cliquet import logger, logs
from cliquet.logs import ClassicLogRenderer, MozillaHekaRenderer, SharedContext
from cliquet.storage.exceptions import BackendError
from cliquet.utils import build_request


class Collected:
    """A renderer that keeps what it is given."""

    lines = []

    def __init__(self, settings):
        self.settings = settings

    def __call__(self, log, name, event_dict):
        self.lines.append(dict(event_dict))
        return event_dict["event"]


ROOT = Path(__file__).parent.parent


class BrokenPolicy(CallbackAuthenticationPolicy):
    """Can't tell who makes a request."""

    def unauthenticated_userid(self, request):
        raise BackendError(original=OSError("down"))


@pytest.fixture
def lines(caplog):
    Collected.lines.clear()
    caplog.set_level(logging.INFO, "cliquet")
    return Collected.lines


@pytest.fixture
def client(serve, lines):
    def bind(request):
        logger.bind(colour="red", path="/painted")
        logger.info("seen", size=3)
        return {}

    def warn(request):
        logger.warning("careful")
        return {}

    def forge(request):
        logger.bind(mine=1)
        request.invoke_subrequest(build_request(request, {"path": "/bind"}))
        request.invoke_subrequest(Request.blank("/v0/bind"))
        return {}

    def setup(config):
        for view in (bind, warn, forge):
            config.add_route(view.__name__, "/" + view.__name__)
            config.add_view(view, route_name=view.__name__, renderer="json")

    return serve({"logging_renderer": "tests.test_logs.Collected"}, setup)


def test_request_is_one_line(client, lines, alice):
    headers = {**alice, "User-Agent": "robot", "Accept-Language": "fr"}
    client.get("/mushrooms?_limit=2", headers=headers)
    (line,) = lines
    assert {key: line[key] for key in ("event", "method", "path", "code", "agent", "lang")} == {
        "event": "request.summary",
        "method": "GET",
        "path": "/v0/mushrooms",
        "code": 200,
        "agent": "robot",
        "lang": "fr",
    }
    assert line["querystring"] == {"_limit": "2"}
    assert line["uid"].startswith("basicauth:")
    assert (line["authn_type"], line["errno"]) == ("basicauth", None)
    assert (line["collection_id"], line["nb_records"], line["limit"]) == ("mushroom", 0, 2)
    assert line["t"] >= 0
    assert {"time", "collection_timestamp"} <= set(line)


def test_fields_of_lines_are_documented(client, lines, alice):
    body = {"requests": [{"path": "/mushrooms?_limit=2"}]}
    client.post_json("/batch", body, headers=alice)
    documented = ROOT.joinpath("docs", "howto", "monitor.rst").read_text(encoding="utf-8")
    fields = {f"``{field}``" for line in lines for field in line if field != "event"}
    assert {field for field in fields if field not in documented} == set()
    assert len(fields) > 15


def test_line_of_an_error_has_its_number(client, lines):
    client.get("/nothing", status=404)
    assert (lines[0]["errno"], lines[0]["code"]) == (111, 404)


@pytest.mark.parametrize("url", ["/echo?a=%FF", "/%FF"])
def test_line_of_a_url_that_is_not_utf_8_is_written(client, lines, url):
    client.get(url, status=400)
    assert lines[0]["code"] == 400


def test_what_is_bound_is_in_the_lines_of_this_request_only(client, lines):
    client.get("/bind")
    client.get("/echo")
    seen, first, second = lines
    assert (seen["event"], seen["colour"], seen["size"]) == ("seen", "red", 3)
    assert first["colour"] == "red"
    assert "size" not in first
    assert "colour" not in second


def test_request_has_the_id_that_the_client_gave(client, lines):
    response = client.get("/bind", headers={"X-Request-Id": "f4ce:1/~"})
    assert response.headers["X-Request-Id"] == "f4ce:1/~"
    assert [line["request_id"] for line in lines] == ["f4ce:1/~"] * 2


def test_request_without_id_gets_one_of_its_own(client, lines):
    ids = [client.get("/echo").headers["X-Request-Id"] for _ in range(2)]
    assert [line["request_id"] for line in lines] == ids
    assert len(set(ids)) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in ids)


@pytest.mark.parametrize("given", ["", "a b", "a\tb", "caf\xe9", "x" * 129, "\x1b[2J"])
def test_id_that_is_unfit_for_logs_is_replaced(client, lines, given):
    response = client.get("/echo", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-Id"])
    assert lines[0]["request_id"] == response.headers["X-Request-Id"]


def test_longest_id_is_kept(client):
    given = "x" * 128
    assert client.get("/echo", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


def test_requests_of_a_batch_have_the_id_of_the_batch(client, lines, alice):
    requests = [{"path": "/bind", "headers": {"X-Request-Id": "mine"}}, {"path": "/echo/"}]
    headers = {**alice, "X-Request-Id": "ours"}
    response = client.post_json("/batch", {"requests": requests}, headers=headers)
    assert response.headers["X-Request-Id"] == "ours"
    assert [line["request_id"] for line in lines] == ["ours"] * 4
    assert not any("X-Request-Id" in each["headers"] for each in response.json["responses"])


def test_line_of_a_failure_has_the_id_of_its_request(client, caplog):
    client.get("/fail/bug", headers={"X-Request-Id": "abc"}, status=500)
    (failure,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert failure.getMessage() == "GET /v0/fail/bug failed: bug (request abc)"


def test_request_that_a_tween_answers_is_one_line_too(client, lines):
    client.registry.settings["eos"] = "2015-01-01"
    response = client.get("/echo", status=410)
    client.registry.settings["eos"] = None
    client.get("/echo")
    assert [line["code"] for line in lines] == [410, 200]
    assert lines[0]["request_id"] == response.headers["X-Request-Id"]
    assert logs._context.get() is None


def test_request_whose_user_cannot_be_told_is_answered_and_logged_all_the_same(serve, lines):
    settings = {
        "logging_renderer": "tests.test_logs.Collected",
        "multiauth.policies": "broken",
        "multiauth.policy.broken.use": "tests.test_logs.BrokenPolicy",
    }
    client = serve(settings)
    assert client.get("/__lbheartbeat__").json == {}
    assert client.get("/mushrooms", status=503).json["errno"] == 201
    assert [(line["code"], line["uid"]) for line in lines] == [(200, None), (503, None)]


def test_application_tells_once_that_it_starts(serve, caplog):
    caplog.set_level(logging.INFO, "cliquet")
    serve()
    assert caplog.messages == ["testapp 0.0.1 is starting"]


def test_batch_and_its_sub_requests_keep_their_own_context(client, lines, alice):
    body = {"requests": [{"path": "/bind"}, {"path": "/mushrooms"}]}
    client.post_json("/batch", body, headers=alice)
    _, first, second, batch = lines
    assert (first["event"], first["path"], first["colour"]) == (
        "subrequest.summary",
        "/v0/bind",
        "red",
    )
    assert (second["path"], second["collection_id"]) == ("/v0/mushrooms", "mushroom")
    assert "colour" not in second
    assert (batch["event"], batch["batch_size"]) == ("request.summary", 2)
    assert not {"colour", "collection_id"} & set(batch)


def test_what_sub_requests_bind_stays_in_them(client, lines):
    client.get("/forge")
    *_, summary = lines
    assert (summary["path"], summary["mine"]) == ("/v0/forge", 1)
    assert "colour" not in summary


def test_sub_request_knows_what_its_parent_has_bound_but_not_a_request_beside(client, lines):
    client.get("/forge")
    assert [line.get("mine") for line in lines if line["event"] == "seen"] == [1, None]


def test_nothing_is_logged_nor_kept_when_info_is_off(client, lines, caplog, alice):
    caplog.set_level(logging.WARNING, "cliquet")
    client.get("/mushrooms", headers=alice)
    client.post_json("/batch", {"requests": [{"path": "/echo"}]}, headers=alice)
    assert lines == []
    logs.bind_summary(a=1)
    assert "a" not in SharedContext()


def test_ids_are_there_when_info_is_off(client, lines, caplog):
    caplog.set_level(logging.WARNING, "cliquet")
    assert client.get("/bind").headers["X-Request-Id"]
    client.get("/warn", headers={"X-Request-Id": "abc"})
    assert [(line["event"], line["request_id"]) for line in lines] == [("careful", "abc")]


def test_requests_served_at_once_do_not_share_what_they_bind(serve, lines):
    together = threading.Barrier(8)

    def view(request):
        logger.bind(mine=request.GET["n"])
        together.wait(10)
        logger.bind(also=request.GET["n"])
        return {}

    def setup(config):
        config.add_route("wait", "/wait")
        config.add_view(view, route_name="wait", renderer="json")

    client = serve({"logging_renderer": "tests.test_logs.Collected"}, setup)
    threads = [threading.Thread(target=client.get, args=(f"/wait?n={n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = sorted((line["querystring"]["n"], line["mine"], line["also"]) for line in lines)
    assert seen == [(str(n), str(n), str(n)) for n in range(8)]


def test_threads_do_not_share_what_they_bind():
    def bind():
        logger.bind(mine="thread")

    SharedContext(mine="main")
    thread = threading.Thread(target=bind)
    thread.start()
    thread.join()
    assert SharedContext()["mine"] == "main"


def test_context_is_a_mapping_that_all_share():
    context = SharedContext({"a": 1}, b=2)
    other = SharedContext(context)
    other["c"] = 3
    del other["a"]
    assert {key: context[key] for key in ("b", "c")} == {"b": 2, "c": 3}
    assert "a" not in list(context)
    assert len(context) == len(context.copy())


def test_lines_outside_of_a_request_are_readable(lines, client, caplog):
    logs._renderer.set(None)
    logs._context.set(None)
    logger.warning("something", key="value")
    assert "event='something' key='value'" in caplog.text


def test_application_called_within_another_leaves_its_lines_alone(serve, lines, caplog):
    inner = serve({"logging_renderer": "cliquet.logs.MozillaHekaRenderer"})

    def setup(config):
        config.add_route("call", "/call")
        config.add_view(call, route_name="call", renderer="json")

    def call(request):
        logger.bind(outer=1)
        return inner.get("/echo").json

    client = serve({"logging_renderer": "tests.test_logs.Collected"}, setup)
    caplog.clear()
    client.get("/call")
    assert [(line["path"], line["outer"]) for line in lines] == [("/v0/call", 1)]
    assert json.loads(caplog.records[0].message)["Type"] == "request.summary"
    assert "outer" not in caplog.records[0].message


def test_each_application_renders_its_own_lines(client, serve, lines, caplog):
    other = serve({"logging_renderer": "cliquet.logs.MozillaHekaRenderer"})
    caplog.clear()
    other.get("/echo")
    client.get("/echo")
    assert len(lines) == 1
    assert json.loads(caplog.records[0].message)["Type"] == "request.summary"


def test_classic_line_shows_the_request_then_the_rest():
    render = ClassicLogRenderer({})
    event = {
        "event": "request.summary",
        "method": "GET",
        "path": "/v1/é",
        "querystring": {"a": b"\xc3\xa9", "b": b"\xff"},
        "code": 200,
        "t": 5,
        "uid": "bob",
        "lang": None,
    }
    line = render(None, "info", event)
    assert line == ("\"GET    /v1/é?a=é&b=b'\\xff'\" 200 (5 ms) request.summary lang=None; uid=bob")
    assert event["event"] == "request.summary"


def test_classic_line_of_another_event_is_its_name_and_its_values():
    render = ClassicLogRenderer({})
    assert render(None, "info", {"event": "hello", "n": 1}) == "hello n=1"
    assert render(None, "info", {"path": "/"}) == '"?      /" ? (? ms)'


@pytest.mark.parametrize("logger", [structlog.PrintLogger(), mock.MagicMock()])
def test_loggers_may_be_of_any_class(logger):
    assert ClassicLogRenderer({})(logger, "info", {"event": "hello"}) == "hello"


def test_classic_line_is_one_line_whatever_clients_send():
    event = {"path": "/a\nb", "method": "GET", "agent": "x\x1b[2J", "exception": "a\nb"}
    line = ClassicLogRenderer({})(None, "info", event)
    assert line.startswith('"GET    /a\\nb" ? (? ms)')
    assert "agent=x\\x1b[2J" in line
    assert "exception=a\nb" in line


@pytest.fixture
def terminal():
    """The two ends of one: what is written to the second is read from the first."""
    master, slave = os.openpty()
    with open(master, "rb", buffering=0) as read, open(slave, "w") as written:
        yield read, written


@pytest.fixture
def write_to():
    """A function of streams, which are all that the logger then writes to."""
    standard = logging.getLogger("cliquet")
    before = standard.handlers, standard.propagate, standard.level

    def write_to(*streams):
        standard.handlers = [logging.StreamHandler(stream) for stream in streams]
        standard.propagate = False
        standard.setLevel(logging.INFO)

    yield write_to
    standard.handlers, standard.propagate = before[:2]
    standard.setLevel(before[2])


@pytest.mark.parametrize("no_colour, coloured", [("", True), ("1", False)])
def test_classic_line_is_coloured_on_a_terminal(
    serve, terminal, write_to, monkeypatch, no_colour, coloured
):
    monkeypatch.setenv("NO_COLOR", no_colour)
    client = serve()
    write_to(terminal[1])
    client.get("/echo")
    line = terminal[0].read(10_000)
    assert b"request.summary" in line
    assert (b"\x1b" in line) is coloured


def test_classic_line_is_not_coloured_where_a_file_gets_it_too(serve, terminal, write_to):
    client, file = serve(), io.StringIO()
    write_to(terminal[1], file)
    client.get("/echo")
    assert "request.summary" in file.getvalue()
    assert "\x1b" not in file.getvalue()
    write_to()
    client.get("/echo")  # nowhere


def test_structlog_renders_lines_as_json(serve, write_to, alice):
    client, file = serve({"logging_renderer": "structlog.processors.JSONRenderer"}), io.StringIO()
    write_to(file)
    client.get("/echo?_limit=2&a=%0ab", headers=alice)
    line = json.loads(file.getvalue())
    assert (line["event"], line["method"], line["code"]) == ("request.summary", "GET", 200)
    assert line["querystring"] == {"_limit": "2", "a": "\nb"}


def test_structlog_renders_lines_as_logfmt(serve, write_to, alice):
    client = serve({"logging_renderer": "structlog.processors.LogfmtRenderer"})
    file = io.StringIO()
    write_to(file)
    headers = {**alice, "User-Agent": 'a "robot"', "X-Request-Id": "abc"}
    client.get("/mushrooms?_limit=2", headers=headers)
    (line,) = file.getvalue().splitlines()
    for part in ("event=request.summary", "code=200", "request_id=abc", 'agent="a \\"robot\\""'):
        assert part in line


def test_heka_line_is_json_with_its_fields():
    render = MozillaHekaRenderer({"project_name": "app"})
    event = {"event": "e", "n": 1, "d": {"a": object}, "t": "é"}
    line = json.loads(render(None, "warning", event))
    assert (line["Type"], line["Logger"], line["Severity"]) == ("e", "app", 4)
    assert line["EnvVersion"] == "2.0"
    assert line["Fields"] == {"n": 1, "d": '{"a":"<class \'object\'>"}', "t": "é"}
    assert {"Pid", "Hostname", "Timestamp"} <= set(line)
    assert json.loads(render(None, "trace", {}))["Severity"] == 7
