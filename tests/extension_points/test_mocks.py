"""Unit tests of 2016 pass mocks of requests, and replace functions where 3.1 looked them up."""

import contextlib
import importlib
import json
from typing import ClassVar
from unittest import mock

import pytest
from pyramid import testing
from pyramid.httpexceptions import HTTPConflict, HTTPOk, HTTPPreconditionFailed
from pyramid.registry import Registry
from pyramid.request import Request

from cliquet import events, initialization, statsd
from cliquet.authentication import BasicAuthAuthenticationPolicy
from cliquet.authorization import RouteFactory, groupfinder
from cliquet.cache import memory as cache
from cliquet.listeners import ListenerBase
from cliquet.logs import MozillaHekaRenderer
from cliquet.resource import ViewSet, register_resource
from cliquet.scripts import cliquet as scripts
from cliquet.storage import memory as storage
from cliquet.storage.exceptions import BackendError, RecordNotFoundError
from cliquet.tests.support import DummyRequest
from cliquet.utils import build_request, current_service, follow_subrequest
from cliquet.views import errors
from cliquet.views.batch import post_batch
from tests.resource import apps
from tests.testapp import Spore

FUTURE = 4_000_000_000_000


def user_id():
    request = DummyRequest()
    request.headers["Authorization"] = "Basic YTpi"
    return BasicAuthAuthenticationPolicy().unauthenticated_userid(request)


def heka_time():
    line = MozillaHekaRenderer({"project_name": "x"})(None, "info", {"event": "e"})
    return json.loads(line)["Timestamp"]


def written_time():
    return storage.Storage().create("spore", "", {})["last_modified"]


def required_permission():
    return RouteFactory(DummyRequest(method="patch")).required_permission


@pytest.mark.parametrize(
    ("name", "replacement", "read", "expected"),
    [
        ("hmac_digest", "0123", user_id, "0123"),
        ("msec_time", 12, heka_time, 12_000_000),
        ("msec_time", FUTURE, written_time, FUTURE),
        ("current_service", None, required_permission, None),
    ],
)
def test_functions_of_utils_are_looked_up_at_each_call(name, replacement, read, expected):
    assert read() != expected
    with mock.patch(f"cliquet.utils.{name}", return_value=replacement):
        assert read() == expected


@pytest.mark.parametrize("module", ["cliquet.storage", "cliquet.cache"])
def test_random_numbers_of_heartbeats_can_be_replaced(module):
    backend = storage.Storage() if module == "cliquet.storage" else cache.Cache()
    ping = importlib.import_module(module).heartbeat(backend)
    request = DummyRequest()
    request.registry.settings["readonly"] = "false"
    for value in (0.1, 0.9):
        with mock.patch(f"{module}.random.random", return_value=value):
            assert ping(request) is True


def test_statsd_package_can_be_replaced():
    settings = {"statsd_url": "udp://example.com:8125", "statsd_prefix": "p", "project_name": ""}
    with (
        testing.testConfig(settings=settings) as config,
        mock.patch("cliquet.statsd.statsd_module") as m,
    ):
        statsd.load_from_config(config)
    m.StatsClient.assert_called_with("example.com", 8125, prefix="p")
    with mock.patch("cliquet.initialization.statsd.Client") as client:
        statsd.load_from_config(config)
    client.assert_called_with("example.com", 8125, "p")


def test_groupfinder_accepts_a_request_without_context_and_a_stub_of_the_registry():
    request = testing.DummyRequest(bound_data={}, prefixed_userid="basicauth:bob")
    request.registry = mock.Mock(spec=["permission"])
    request.registry.permission.user_principals.return_value = {"group:1"}
    for _ in range(2):
        assert groupfinder("bob", request) == {"group:1"}
    request.registry.permission.user_principals.assert_called_once_with("basicauth:bob")


@pytest.mark.parametrize("registry", [mock.MagicMock(), mock.Mock(spec=["storage", "settings"])])
def test_command_accepts_a_mock_of_the_application(registry):
    registry.settings = {}
    with mock.patch("cliquet.scripts.cliquet.bootstrap") as bootstrap:
        bootstrap.return_value = {"registry": registry}
        assert scripts.main(["--ini", "not_a_file.ini", "migrate"]) == 0
    bootstrap.assert_called_once_with("not_a_file.ini")
    registry.storage.initialize_schema.assert_called_once_with()


def test_registration_of_a_resource_accepts_a_mock_of_the_scan():
    context = mock.MagicMock()
    config = context.config.with_package.return_value
    config.registry.settings = {"record_spore_put_enabled": "false"}
    with mock.patch("cliquet.resource.Service") as service:
        register_resource(Spore, viewset=ViewSet(service_arguments={}))(context, "Spore", Spore)
    paths = {"spore-collection": "/spores", "spore-record": "/spores/{id}"}
    assert service.call_args_list == [mock.call(*each, depth=1) for each in paths.items()]
    views = [call.args for call in service.return_value.add_view.call_args_list]
    assert views == [
        ("GET", "collection_get"),
        ("POST", "collection_post"),
        ("DELETE", "collection_delete"),
        ("GET", "get"),
        ("PATCH", "patch"),
        ("DELETE", "delete"),
    ]
    assert config.add_cornice_service.call_args_list == [mock.call(service.return_value)] * 2


def test_new_relic_agent_can_be_replaced():
    settings = {"newrelic_config": "newrelic.ini", "newrelic_env": "test"}
    with mock.patch("cliquet.initialization.newrelic.agent") as agent:
        app = initialization.install_middlewares(mock.sentinel.app, settings)
        unchanged = initialization.install_middlewares(app, {"newrelic_config": False})
    agent.initialize.assert_called_once_with("newrelic.ini", "test")
    assert unchanged is app is agent.WSGIApplicationWrapper.return_value


@pytest.mark.parametrize("enabled", [True, False])
def test_profiler_can_be_replaced(tmp_path, enabled):
    settings = {"profiler_enabled": enabled, "profiler_dir": str(tmp_path)}
    with mock.patch("cliquet.initialization.ProfilerMiddleware") as profiler:
        app = initialization.install_middlewares(mock.sentinel.app, settings)
    assert profiler.called is enabled
    assert app is (profiler.return_value if enabled else mock.sentinel.app)
    if enabled:
        assert profiler.call_args.args == (mock.sentinel.app,)
        assert profiler.call_args.kwargs["profile_dir"] == str(tmp_path)


def test_profiler_is_none_if_it_is_not_installed():
    with mock.patch.dict("sys.modules", {"werkzeug.middleware.profiler": None}):
        assert initialization.ProfilerMiddleware is None


@pytest.mark.parametrize(
    "module",
    [
        "",
        *(".errors", ".events", ".initialization", ".logs", ".resource"),
        *(".cache", ".permission", ".storage", ".listeners.redis", ".storage.redis"),
        *(".cache.postgresql", ".permission.postgresql", ".storage.postgresql"),
        *(".storage.postgresql.client", ".views.batch", ".views.errors"),
    ],
)
def test_logger_of_a_module_can_be_replaced(module):
    with mock.patch(f"cliquet{module}.logger") as logger:
        assert importlib.import_module(f"cliquet{module}").logger is logger


class Outage(BackendError):
    outage = "Redis"


@pytest.mark.parametrize("name", ["logger", "logger.exception"])
@pytest.mark.parametrize("error", [BackendError(), Outage(), ValueError()])
@pytest.mark.parametrize("kind", ["storage", "cache", "permission"])
def test_failed_heartbeat_is_logged_as_an_exception(kind, error, name):
    methods = ("check_durability", "create", "set", "user_principals")
    backend = mock.Mock(**{f"{method}.side_effect": error for method in methods})
    ping = importlib.import_module(f"cliquet.{kind}").heartbeat(backend)
    with mock.patch(f"cliquet.{kind}.{name}") as replacement:
        assert ping(DummyRequest()) is False
    exception = replacement.exception if name == "logger" else replacement
    assert exception.called


def test_requests_of_a_batch_are_logged_by_the_logger_of_its_module(serve, caplog):
    caplog.set_level("INFO", "cliquet")
    body = {"requests": [{"path": "/"}, {"path": "/unknown"}]}
    with mock.patch("cliquet.views.batch.logger") as logger:
        serve().post_json("/batch", body)
    assert [call.args for call in logger.info.call_args_list] == [("subrequest.summary",)] * 2
    assert [call.kwargs["code"] for call in logger.info.call_args_list] == [200, 404]


def test_new_relic_is_none_if_it_is_not_installed():
    with mock.patch.dict("sys.modules", {"newrelic.agent": None}):
        assert initialization.newrelic is None
    with pytest.raises(AttributeError, match="'cliquet.initialization' has no attribute 'x'"):
        initialization.x  # noqa: B018


@pytest.mark.parametrize("method", ["put", "PUT"])
@pytest.mark.parametrize(
    ("found", "permission"),
    [({"return_value": {}}, "write"), ({"side_effect": RecordNotFoundError}, "create")],
)
def test_context_is_built_from_the_mock_of_a_service(method, found, permission):
    with mock.patch("cliquet.utils.current_service") as current_service:
        current_service().resource().model.get_record.configure_mock(**found)
        assert RouteFactory(DummyRequest(method=method)).required_permission == permission


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("x"), 500), (BackendError(), 503), (HTTPConflict(), 409)]
)
def test_error_views_accept_a_mock(error, status):
    assert errors.error(error, DummyRequest()).status_code == status


@pytest.mark.parametrize(("userid", "status"), [(None, 401), ("bob", 403)])
def test_forbidden_view_accepts_a_mock(userid, status):
    request = DummyRequest()
    request.authenticated_userid = userid
    assert errors.authorization_required(request).status_code == status


@pytest.mark.parametrize("path", ["/", "/v0/"])
def test_batch_accepts_a_mock(path):
    request = DummyRequest()
    request.headers = {"Authorization": b"Basic YTpi"}
    request.validated = {"requests": [{"path": path, "headers": {"If-Match": '"1"'}}]}
    request.invoke_subrequest.return_value = HTTPOk(json_body={"a": 1})
    (response,) = post_batch(request)["responses"]
    assert (response["path"], response["status"], response["body"]) == ("/v0/", 200, {"a": 1})
    (sent,), _ = request.invoke_subrequest.call_args
    assert (sent.headers["Authorization"], sent.headers["If-Match"]) == ("Basic YTpi", '"1"')
    assert sent.parent is request
    assert sent.bound_data is request.bound_data


class NotJSON:
    headers: ClassVar = {}
    status_code = 200

    def __init__(self, body):
        self.body = body

    @property
    def json(self):
        raise ValueError("not JSON")


def test_batch_needs_no_response_of_a_mocked_request():
    request = DummyRequest()
    request.validated = {"requests": [{"path": "/"}, {"path": "/spores", "method": "POST"}]}
    responses = post_batch(request)["responses"]
    assert [(each["path"], each["status"]) for each in responses] == [
        ("/v0/", 200),
        ("/v0/spores", 200),
    ]
    assert request.invoke_subrequest.call_count == 2


@pytest.mark.parametrize("body", [None, "text", b"{}", mock.sentinel.body])
def test_response_of_a_mocked_request_can_have_any_body(body):
    request = DummyRequest()
    request.validated = {"requests": [{"path": "/"}, {"path": "/a"}]}
    response = mock.MagicMock(body=body, json={"a": 1})
    request.invoke_subrequest.side_effect = [response, NotJSON(body)]
    json_, other = post_batch(request)["responses"]
    assert (json_["status"], json_["body"]) == (response.status_code, {"a": 1})
    assert (other["path"], other["body"]) == ("/v0/a", body)


def test_error_of_a_mocked_request_is_a_response_of_the_batch():
    request = DummyRequest()
    request.validated = {"requests": [{"path": "/"}]}
    request.invoke_subrequest.side_effect = HTTPConflict()
    (response,) = post_batch(request)["responses"]
    assert response["status"] == response["body"]["code"] == 409


def test_unexpected_error_without_an_application_is_raised():
    request = mock.Mock()
    request.invoke_subrequest.side_effect = ValueError("x")
    with pytest.raises(ValueError, match="x"):
        follow_subrequest(request, Request.blank("/"))


def test_response_of_a_mocked_request_is_returned():
    request, subrequest = DummyRequest(), Request.blank("/")
    response = request.invoke_subrequest.return_value = mock.Mock()
    assert follow_subrequest(request, subrequest, use_tweens=False) == (response, subrequest)
    request.invoke_subrequest.assert_called_once_with(subrequest, use_tweens=False)


@pytest.mark.parametrize(("pattern", "service"), [("/spores", mock.sentinel.spores), ("/", None)])
def test_service_is_found_by_the_mock_of_a_route(pattern, service):
    request = mock.Mock()
    request.matched_route.pattern = pattern
    request.registry.cornice_services = {"/spores": mock.sentinel.spores}
    assert current_service(request) is service


def test_timer_can_be_replaced_by_one_that_returns_the_method():
    client = statsd.Client("localhost", 8125, "p")
    backend = storage.Storage()
    with mock.patch.object(client, "timer", return_value=lambda method: method) as timer:
        client.watch_execution_time(backend, prefix="storage")
    timer.assert_any_call("storage.storage.create")
    assert backend.create("spore", "p", {"n": 1})["n"] == 1


def test_requests_are_built_on_behalf_of_a_mock():
    built = build_request(DummyRequest(), {"path": "/a?b=é", "method": "put", "body": {"c": 1}})
    assert (built.method, built.path, built.GET["b"], built.json) == ("PUT", "/v0/a", "é", {"c": 1})


@pytest.fixture
def spores():
    backend = storage.Storage()

    def make(query=None, **headers):
        request = DummyRequest(method="GET")
        request.registry.storage = backend
        request.GET.update(query or {})
        request.headers.update((name.replace("_", "-"), value) for name, value in headers.items())
        return Spore(request, mock.MagicMock())

    return make


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"size": 3}, 1),
        ({"min_size": 1}, 3),
        ({"flag": True}, 2),
        ({"name": None}, 0),
        ({"name": "b"}, 1),
        ({"_limit": 2}, 2),
        ({"_since": 0}, 4),
        ({"_before": 1}, 0),
    ],
)
def test_query_can_have_native_values(spores, query, count):
    for size, name in enumerate("abcd"):
        spores().model.create_record({"size": size, "name": name, "flag": size > 1})
    assert len(spores(query).collection_get()["data"]) == count


def test_conditional_headers_can_be_bytes(spores):
    spores().model.create_record({})
    with pytest.raises(HTTPPreconditionFailed):
        spores(If_Match=b'"1"').collection_get()


@pytest.mark.parametrize("userid", [None, "basicauth:bob"])
def test_caching_is_set_on_a_mock(spores, userid):
    resource = spores()
    request, response = resource.request, mock.MagicMock(headers={})
    request.prefixed_userid, request.current_resource_name = userid, "spore"
    request.registry.settings["spore_cache_expires_seconds"] = "3"
    resource._add_cache_header(response)
    assert response.headers["Cache-Control"] == ("no-cache" if userid else "max-age=3")
    expected = [] if userid else [mock.call(seconds=3)]
    assert response.cache_expires.call_args_list == expected


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({}, None),
        ({"_fields": ""}, None),
        ({"_fields": ","}, None),
        ({"_fields": "size"}, ["size", "id", "last_modified", "deleted"]),
    ],
)
def test_fields_are_none_unless_the_query_selects_them(spores, query, fields):
    assert spores(query)._extract_partial_fields() == fields


def test_sort_orders_can_be_tuples(spores):
    record = {"a": 1, "last_modified": 5}
    orders = [("a", 1), ("last_modified", -1)]
    token = spores()._build_pagination_token(orders, record, 42)
    resource = spores({"_token": token, "_limit": 1})
    assert resource._extract_pagination_rules_from_token(1, orders) is not None


def test_listeners_can_be_set_up_alone():
    calls = []

    class Listener(ListenerBase):
        def __call__(self, event):
            calls.append(event.payload["action"])

    module = mock.Mock(load_from_config=lambda config, prefix: Listener())
    settings = {"event_listeners": "ear", "event_listeners.ear.use": "ear_module"}
    with (
        mock.patch.dict("sys.modules", ear_module=module),
        testing.testConfig(settings=settings) as config,
    ):
        config.add_subscriber_predicate("for_actions", initialization.EventActionFilter)
        config.add_subscriber_predicate("for_resources", initialization.EventResourceFilter)
        initialization.setup_listeners(config)
        config.commit()
        config.registry.notify(
            events.ResourceChanged(events.ACTIONS.CREATE, 123, [], DummyRequest())
        )
    assert calls == ["create"]


@pytest.mark.parametrize("replaced_in", ["instance", "class"])
def test_replaced_notify_gets_events_without_subscribers(replaced_in):
    alice = apps.build(apps.Note, settings=apps.backends("memory", "")).user("alice")
    owner = alice.registry if replaced_in == "instance" else Registry
    with mock.patch.object(owner, "notify") as notify:
        alice.post("/notes", {})
        alice.get("/notes")
    sent = [type(call.args[-1]) for call in notify.call_args_list]
    assert [kind.__name__ for kind in sent if kind.__module__ == "cliquet.events"] == [
        "ResourceChanged",
        "AfterResourceChanged",
        "ResourceRead",
        "AfterResourceRead",
    ]


class Stopped(storage.Storage):
    def _bump_timestamp(self, collection_id, parent_id, record, modified_field, last_modified):
        assert (collection_id, parent_id, modified_field) == ("spore", "p", "last_modified")
        return record.get("wanted", 5)


@pytest.mark.parametrize("how", ["replaced", "overridden"])
def test_timestamps_of_a_storage_can_be_chosen(how):
    backend = Stopped() if how == "overridden" else storage.Storage()
    with contextlib.ExitStack() as stack:
        if how == "replaced":
            bump = Stopped()._bump_timestamp
            stack.enter_context(mock.patch.object(backend, "_bump_timestamp", side_effect=bump))
        record = backend.create("spore", "p", {})
        assert record["last_modified"] == 5
        changed = backend.update("spore", "p", record["id"], {"wanted": 7})
        assert changed["last_modified"] == 7
