import json
import logging
import threading

import pytest
from pyramid.request import Request

from cliquet import logger, logs
from cliquet.logs import ClassicLogRenderer, MozillaHekaRenderer, SharedContext
from cliquet.utils import build_request


class Collected:
    """A renderer that keeps what it is given."""

    lines = []

    def __init__(self, settings):
        self.settings = settings

    def __call__(self, log, name, event_dict):
        self.lines.append(dict(event_dict))
        return event_dict["event"]


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

    def forge(request):
        logger.bind(mine=1)
        request.invoke_subrequest(build_request(request, {"path": "/bind"}))
        request.invoke_subrequest(Request.blank("/v0/bind"))
        return {}

    def setup(config):
        for view in (bind, forge):
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

    serve({"logging_renderer": "tests.test_logs.Collected"}, setup).get("/call")
    assert [(line["path"], line["outer"]) for line in lines] == [("/v0/call", 1)]
    assert json.loads(caplog.records[0].message)["Type"] == "request.summary"
    assert "outer" not in caplog.records[0].message


def test_each_application_renders_its_own_lines(client, serve, lines, caplog):
    other = serve({"logging_renderer": "cliquet.logs.MozillaHekaRenderer"})
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


def test_classic_line_is_one_line_whatever_clients_send():
    event = {"path": "/a\nb", "method": "GET", "agent": "x\x1b[2J", "exception": "a\nb"}
    line = ClassicLogRenderer({})(None, "info", event)
    assert line.startswith('"GET    /a\\nb" ? (? ms)')
    assert "agent=x\\x1b[2J" in line
    assert "exception=a\nb" in line


def test_classic_line_is_coloured_on_a_terminal_only(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert "\x1b[1m" in ClassicLogRenderer({})(None, "info", {"path": "/"})


def test_heka_line_is_json_with_its_fields():
    render = MozillaHekaRenderer({"project_name": "app"})
    event = {"event": "e", "n": 1, "d": {"a": object}, "t": "é"}
    line = json.loads(render(None, "warning", event))
    assert (line["Type"], line["Logger"], line["Severity"]) == ("e", "app", 4)
    assert line["EnvVersion"] == "2.0"
    assert line["Fields"] == {"n": 1, "d": '{"a":"<class \'object\'>"}', "t": "é"}
    assert {"Pid", "Hostname", "Timestamp"} <= set(line)
    assert json.loads(render(None, "trace", {}))["Severity"] == 7
