import functools
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

from cliquet import logger, loggers, logs
from cliquet.logs import ClassicLogRenderer, MozillaHekaRenderer, SharedContext, ShortLogRenderer
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
    """An authentication policy that fails to identify the user."""

    def unauthenticated_userid(self, request):
        raise BackendError(original=OSError("down"))


@pytest.fixture
def lines(caplog):
    Collected.lines.clear()
    caplog.set_level(logging.INFO)
    return Collected.lines


@pytest.fixture(autouse=True)
def no_context():
    """Nothing is bound, nor any renderer known, outside requests."""
    loggers.bound_values.set(None)
    loggers._default_renderer.clear()
    yield
    loggers.bound_values.set(None)
    loggers._default_renderer.clear()


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

    client = serve({"logging_renderer": "tests.test_logs.Collected"}, setup)
    lines.clear()  # the line of the start
    return client


def test_request_is_one_line(client, lines, alice):
    headers = {**alice, "User-Agent": "robot", "Accept-Language": "fr"}
    client.get("/mushrooms?_limit=2", headers=headers)
    (line,) = lines[:]
    assert {key: line[key] for key in ("event", "method", "path", "code", "agent", "lang")} == {
        "event": "request.summary",
        "method": "GET",
        "path": "/v0/mushrooms",
        "code": 200,
        "agent": "robot",
        "lang": "fr",
    }
    assert line["querystring"] == {"_limit": "2"}
    user = client.get("/", headers=headers).json["user"]["id"]
    assert f"basicauth:{line['uid']}" == user
    assert (line["authn_type"], line["errno"]) == ("basicauth", None)
    assert (line["collection_id"], line["nb_records"], line["limit"]) == ("mushroom", 0, 2)
    assert line["t"] >= 0
    assert {"time", "collection_timestamp"} <= set(line)


@pytest.mark.parametrize(
    ("url", "limit"),
    [("/mushrooms", None), ("/mushrooms?_limit=", None), ("/mushrooms?_limit=3", 3)],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_line_of_a_list_has_the_requested_limit(client, lines, alice, method, url, limit):
    client.request(url, method=method, headers=alice)
    assert lines[0]["limit"] == limit


REFUSED = [
    ("GET", "/mushrooms/3e6a3a0c-2c0c-4d4e-8a5f-5d1d8ad0a3a1", {}, None, 404),
    ("GET", "/mushrooms/x", {}, None, 400),
    ("POST", "/mushrooms", {}, {"data": 3}, 400),
    ("GET", "/mushrooms?_since=x", {}, None, 400),
    ("POST", "/mushrooms", {"If-Match": '"1"'}, {"data": {"name": "b"}}, 412),
]


@pytest.mark.parametrize(("method", "url", "headers", "body", "status"), REFUSED)
def test_line_of_a_refused_request_has_its_collection(
    client, lines, alice, method, url, headers, body, status
):
    client.post_json("/mushrooms", {"data": {"name": "a"}}, headers=alice)
    lines.clear()
    send = client.get if body is None else functools.partial(client.post_json, params=body)
    send(url, headers={**alice, **headers}, status=status)
    assert (lines[0]["collection_id"], lines[0]["code"]) == ("mushroom", status)
    assert ("collection_timestamp" in lines[0]) == (status == 412)


def test_line_of_a_batch_has_the_path_of_the_service(client, lines, alice):
    client.post_json("/batch", {"requests": [{"path": "/echo"}]}, headers=alice)
    assert [line["path"] for line in lines] == ["/v0/echo", "/batch"]


def test_fields_that_a_view_binds_replace_those_of_its_request_but_not_of_sub_requests(
    serve, lines
):
    def outer(request):
        logger.bind(path="/painted", uid="bob", mine=1)
        request.invoke_subrequest(build_request(request, {"path": "/inner"}))
        return {}

    def inner(request):
        logger.info("inner")
        return {}

    client = serve_views(serve, outer, inner)
    client.get("/outer")
    *_, seen, line = lines
    assert (seen["path"], seen["uid"], seen["mine"]) == ("/v0/inner", None, 1)
    assert (line["path"], line["uid"], line["code"]) == ("/painted", "bob", 200)


def serve_views(serve, *views):
    def setup(config):
        for view in views:
            config.add_route(view.__name__, "/" + view.__name__)
            config.add_view(view, route_name=view.__name__, renderer="json")

    return serve({"logging_renderer": "tests.test_logs.Collected"}, setup)


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


def test_bound_values_are_only_in_the_lines_of_their_request(client, lines):
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


def test_request_without_id_gets_one(client, lines):
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


def test_line_of_a_failure_has_the_fields_of_its_request_and_the_traceback(client, lines, caplog):
    client.get("/fail/bug", headers={"X-Request-Id": "abc"}, status=500)
    (failure,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    line = lines[0]
    assert (failure.getMessage(), failure.name) == ("bug", "cliquet.views.errors")
    assert (line["method"], line["path"], line["request_id"]) == ("GET", "/v0/fail/bug", "abc")
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: bug")


def test_response_of_a_tween_is_logged_in_one_line(client, lines):
    client.registry.settings["eos"] = "2015-01-01"
    response = client.get("/echo", status=410)
    client.registry.settings["eos"] = None
    client.get("/echo")
    assert [line["code"] for line in lines] == [410, 200]
    assert lines[0]["request_id"] == response.headers["X-Request-Id"]
    assert loggers.current_request.get() is None


def test_request_with_failing_authentication_is_logged(serve, lines):
    settings = {
        "logging_renderer": "tests.test_logs.Collected",
        "multiauth.policies": "broken",
        "multiauth.policy.broken.use": "tests.test_logs.BrokenPolicy",
    }
    client = serve(settings)
    assert client.get("/__lbheartbeat__").json == {}
    assert client.get("/mushrooms", status=503).json["errno"] == 201
    summaries = [line for line in lines if line["event"] == "request.summary"]
    assert [(line["code"], line["uid"]) for line in summaries] == [(200, None), (503, None)]


def test_start_of_the_application_is_one_rendered_line(serve_anew, caplog):
    caplog.set_level(logging.INFO, "cliquet")
    serve_anew()
    assert caplog.messages == ["testapp 0.0.1 starting. "]
    caplog.clear()
    serve_anew({"logging_renderer": "cliquet.logs.MozillaHekaRenderer"})
    (line,) = map(json.loads, caplog.messages)
    assert (line["Type"], line["Severity"]) == ("testapp 0.0.1 starting.", 6)


def test_batch_and_its_sub_requests_keep_their_own_context(client, lines, alice):
    body = {"requests": [{"path": "/bind"}, {"path": "/mushrooms"}]}
    client.post_json("/batch", body, headers=alice)
    _, first, second, batch = lines
    assert (first["event"], first["path"], first["colour"]) == (
        "subrequest.summary",
        "/painted",
        "red",
    )
    assert (second["path"], second["collection_id"]) == ("/v0/mushrooms", "mushroom")
    assert "colour" not in second
    assert (batch["event"], batch["batch_size"]) == ("request.summary", 2)
    assert not {"colour", "collection_id"} & set(batch)


def test_values_bound_in_sub_requests_are_only_in_their_lines(client, lines):
    client.get("/forge")
    *_, summary = lines
    assert (summary["path"], summary["mine"]) == ("/v0/forge", 1)
    assert "colour" not in summary


def test_sub_request_sees_values_bound_by_its_parent_but_not_by_siblings(client, lines):
    client.get("/forge")
    assert [line.get("mine") for line in lines if line["event"] == "seen"] == [1, None]


def test_nothing_is_logged_nor_kept_when_info_is_off(client, lines, caplog, alice):
    caplog.set_level(logging.WARNING)
    client.get("/mushrooms", headers=alice)
    client.post_json("/batch", {"requests": [{"path": "/echo"}]}, headers=alice)
    assert lines == []
    logs.bind_summary(a=1)
    assert "a" not in SharedContext()


def test_ids_are_there_when_info_is_off(client, lines, caplog):
    caplog.set_level(logging.WARNING)
    assert client.get("/bind").headers["X-Request-Id"]
    client.get("/warn", headers={"X-Request-Id": "abc"})
    assert [(line["event"], line["request_id"]) for line in lines] == [("careful", "abc")]


def test_concurrent_requests_do_not_share_bound_values(serve, lines):
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
    lines = [line for line in lines if line["event"] == "request.summary"]
    seen = sorted((line["querystring"]["n"], line["mine"], line["also"]) for line in lines)
    assert seen == [(str(n), str(n), str(n)) for n in range(8)]


def test_threads_do_not_share_bound_values():
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
    logger.warning("something", key="value")
    assert lines == [{"event": "something", "key": "value"}]
    loggers._default_renderer.clear()
    logger.warning("something", key="value")
    loggers.get_logger("cliquet").warning("%s else", "something")
    assert caplog.messages[-2] == "something key='value'"
    assert caplog.messages[-1] == "something else"


def test_renderer_gets_the_name_of_a_level(client):
    render = mock.Mock(return_value="line")
    loggers.set_default_renderer(render)
    for method in ("info", "warn", "warning", "error", "exception", "critical", "fatal"):
        getattr(logger, method)("something")
    names = [call.args[1] for call in render.call_args_list]
    assert names == ["info", "warning", "warning", "error", "error", "critical", "critical"]


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
    lines.clear()
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
    assert line == ("\"GET   /v1/é?a=é&b=b'\\xff'\" 200 (5 ms) request.summary lang=None uid=bob")
    assert event["event"] == "request.summary"


def test_classic_line_of_another_event_is_its_name_and_its_values():
    render = ClassicLogRenderer({})
    assert render(None, "info", {"event": "hello", "n": 1}) == "hello n=1"
    assert render(None, "info", {"path": "/"}) == '"?     /" ? (? ms)  '
    assert render(None, "info", {"event": "end", "code": 200, "t": 1, "n": 1}) == "end n=1"
    assert render(None, "info", {"event": "a\nb"}) == "a\\nb "


@pytest.mark.parametrize("logger", [structlog.PrintLogger(), mock.MagicMock()])
def test_loggers_can_be_of_any_class(logger):
    assert ClassicLogRenderer({})(logger, "info", {"event": "hello"}) == "hello "


def test_classic_line_is_one_line_whatever_clients_send():
    event = {"path": "/a\nb", "method": "GET", "agent": "x\x1b[2J", "exception": "a\nb"}
    line = ClassicLogRenderer({})(None, "info", event)
    assert line.startswith('"GET   /a\\nb" ? (? ms)')
    assert "agent=x\\x1b[2J" in line
    assert "exception=a\n  b" in line


@pytest.mark.parametrize(
    "event, line",
    [
        ({"event": "request.summary"}, '"GET   /a?b=1" 200 (3 ms)  nb_records=2'),
        (
            {"event": "request.summary", "errno": 107},
            '"GET   /a?b=1" 200 (3 ms)  errno=107 nb_records=2',
        ),
        ({"event": "subrequest.summary"}, '"GET   /a?b=1" 200 (3 ms) sub nb_records=2'),
        ({"event": "hello", "flavour": "x"}, "hello flavour=x nb_records=2"),
    ],
)
def test_short_line_omits_the_details_of_the_request(event, line):
    request = {"path": "/a", "method": "GET", "querystring": {"b": "1"}, "agent": "curl", "uid": 1}
    context = {"request_id": "a", "collection_id": "b", "nb_records": 2, "errno": None}
    outcome = {"code": 200, "t": 3, "time": "now"}
    rendered = ShortLogRenderer({})(None, "info", {**request, **context, **outcome, **event})
    assert rendered == line


def test_short_line_of_a_context_without_request_is_complete():
    event = {"event": "request.summary", "errno": None}
    assert ShortLogRenderer({})(None, "info", event) == "request.summary"


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
    values = {
        "n": (1, 1),
        "f": (1.5, 1.5),
        "b": (True, True),
        "none": (None, None),
        "text": ("é", "é"),
        "dict": ({"a": object}, '{"a":"<class \'object\'>"}'),
        "strings": (["a", "b"], ["a", "b"]),
        "pair": (("a", "b"), ["a", "b"]),
        "empty": ([], []),
        "numbers": ([1, 2], "[1,2]"),
        "mixed": ((1, "x"), '[1,"x"]'),
    }
    event = {"event": "e", **{key: value for key, (value, _) in values.items()}}
    line = json.loads(render(None, "warning", event))
    assert (line["Type"], line["Logger"], line["Severity"]) == ("e", "app", 4)
    assert line["EnvVersion"] == "2.0"
    assert line["Fields"] == {key: expected for key, (_, expected) in values.items()}
    assert {"Pid", "Hostname", "Timestamp"} <= set(line)
    assert event["event"] == "e"


@pytest.mark.parametrize(
    "name, severity",
    [("critical", 0), ("exception", 2), ("error", 2), ("warning", 4), ("warn", 4)]
    + [("info", 6), ("debug", 7), ("trace", 7)],
)
def test_heka_severities_are_those_of_cliquet_3_1(name, severity):
    render = MozillaHekaRenderer({"project_name": "app"})
    assert json.loads(render(None, name, {}))["Severity"] == severity


def test_heka_field_of_a_mapping_is_json_in_ascii():
    event = {"event": "e", "querystring": {"a": "é/"}, "numbers": [1]}
    line = json.loads(MozillaHekaRenderer({"project_name": "app"})(None, "info", event))
    assert line["Fields"] == {"querystring": '{"a":"\\u00e9\\/"}', "numbers": "[1]"}


def test_heka_line_keeps_given_values_of_the_envelope():
    given = {"Hostname": "h", "Timestamp": 1, "Logger": "l", "Severity": 1, "Pid": 2}
    line = json.loads(MozillaHekaRenderer({"project_name": "app"})(None, "info", given))
    assert line == {**given, "Type": "", "EnvVersion": "2.0", "Fields": {}}


# The application's own lines.


def test_own_line_of_the_application_has_the_fields_of_its_request(client, lines, alice):
    headers = {**alice, "User-Agent": "robot", "Accept-Language": "fr", "X-Request-Id": "abc"}
    client.get("/warn?a=%C3%A9", headers=headers)
    assert lines[0] == {
        "event": "careful",
        "agent": "robot",
        "path": "/v0/warn",
        "method": "GET",
        "querystring": {"a": "é"},
        "lang": "fr",
        "uid": None,  # the view hasn't asked for the user
        "authn_type": None,
        "errno": None,
        "request_id": "abc",
    }


def test_own_line_of_the_application_has_the_bare_user_id_once_it_is_known(serve, lines, alice):
    def view(request):
        user = request.prefixed_userid
        logger.info("known")
        return {"user": user}

    def setup(config):
        config.add_route("who", "/who")
        config.add_view(view, route_name="who", renderer="json")

    client = serve({"logging_renderer": "tests.test_logs.Collected"}, setup)
    user = client.get("/who", headers=alice).json["user"]
    _, known, summary = lines
    for line in (known, summary):
        assert (f"basicauth:{line['uid']}", line["authn_type"]) == (user, "basicauth")


@pytest.mark.parametrize("path, expected", [("/%C3%A9", "%C3%A9"), ("/a%0Ab", "a%0Ab")])
def test_path_of_a_line_is_quoted(client, lines, path, expected):
    client.get(path, status=404)
    assert lines[0]["path"] == f"/v0/{expected}"


def test_own_line_of_the_application_is_of_the_logger_of_its_module(client, caplog):
    client.get("/bind")
    (record,) = [record for record in caplog.records if record.getMessage() == "seen"]
    assert record.name == "tests.test_logs"


def test_own_line_of_the_application_obeys_the_level_of_its_module(client, lines, caplog):
    caplog.set_level(logging.ERROR, "tests.test_logs")
    client.get("/bind")
    client.get("/warn")
    assert [line["event"] for line in lines] == ["request.summary"] * 2


def test_new_context_drops_the_fields_of_the_request(serve, lines):
    def renew(request):
        logger.new(only="this")
        logger.info("after new")
        return {}

    serve_views(serve, renew).get("/renew")
    assert lines[1] == {"event": "after new", "only": "this"}
    assert (lines[2]["event"], lines[2]["code"], lines[2]["only"]) == (
        "request.summary",
        200,
        "this",
    )
    assert set(lines[2]) == {"event", "code", "t", "time", "only"}


# The toolkit's own lines.


@pytest.mark.parametrize("renderer", ["ClassicLogRenderer", "MozillaHekaRenderer"])
@pytest.mark.parametrize(
    "error, level, severity",
    [
        (ValueError("bug"), "ERROR", 2),
        (ValueError(), "ERROR", 2),
        (BackendError(message="down"), "CRITICAL", 0),
        (BackendError(original=OSError("down")), "CRITICAL", 0),
    ],
)
def test_failures_are_rendered_with_their_traceback(
    serve, write_to, caplog, renderer, error, level, severity
):
    def fail(request):
        raise error

    def setup(config):
        config.add_route("failing", "/failing")
        config.add_view(fail, route_name="failing", renderer="json")

    client, file = serve({"logging_renderer": f"cliquet.logs.{renderer}"}, setup), io.StringIO()
    write_to(file)
    client.get("/failing", status="5*")
    text = file.getvalue()
    assert text.count("Traceback (most recent call last)") == 1
    if renderer == "MozillaHekaRenderer":
        failure, summary = map(json.loads, text.splitlines())
        assert failure["Severity"] == severity
        assert failure["Type"] == (str(error) or "ValueError")
        assert failure["Fields"]["path"] == "/v0/failing"
        assert type(error).__name__ in failure["Fields"]["exception"]
    else:
        assert text.startswith('"GET   /v0/failing" ? (? ms) ')
        assert "exception=Traceback" in text


def test_traceback_is_still_sent_to_handlers_that_want_exceptions(client, lines, caplog):
    client.get("/fail/bug", status=500)
    (failure,) = [record for record in caplog.records if record.exc_info]
    assert failure.exc_info[0] is ValueError
    assert (failure.filename, failure.funcName) == ("errors.py", "_log")
    assert logging.Formatter("%(message)s").format(failure) == "bug"
    assert failure.exc_text is None


@pytest.mark.parametrize("exc_info", [None, False, True])
def test_toolkit_logger_takes_exc_info_as_the_standard_one(client, lines, caplog, exc_info):
    caplog.clear()
    try:
        raise ValueError("bug")
    except ValueError:
        loggers.get_logger("cliquet.x").warning("100%", exc_info=exc_info)
    loggers.get_logger("cliquet.x").debug("nothing")
    (record,) = caplog.records
    assert (record.getMessage(), bool(record.exc_info)) == ("100%", exc_info is True)
    assert ("exception" in lines[0]) is (exc_info is True)


def test_values_of_requests_cannot_begin_a_line(serve, write_to):
    def fail(request):
        raise ValueError("bug\n" + request.GET["a"])

    def setup(config):
        config.add_route("failing", "/failing")
        config.add_view(fail, route_name="failing", renderer="json")

    client, file = serve(setup=setup), io.StringIO()
    write_to(file)
    client.get("/failing?a=x%0Aforged", headers={"User-Agent": "a\x1b[2J"}, status=500)
    title = file.getvalue().partition(" exception=")[0]
    assert "\n" not in title and "\x1b" not in title
