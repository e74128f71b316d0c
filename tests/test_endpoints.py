"""Services do what their Cornice definitions say, whoever chooses the view."""

import functools

import pytest
import webob
import webtest
from pyramid.config import Configurator
from pyramid.events import BeforeRender
from pyramid.exceptions import ConfigurationError
from pyramid.httpexceptions import HTTPNotModified
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED, Allowed, Denied

import cliquet
from cliquet.events import ACTIONS
from cliquet.testing import get_user_headers
from tests import testapp

ALICE = get_user_headers("alice")


def serve(*services, setup=None, **options):
    config = Configurator(settings=dict(testapp.SETTINGS), **options)
    cliquet.initialize(config, version="0.1")
    if setup is not None:
        setup(config)
    for service in services:
        config.add_cornice_service(service)
    client = webtest.TestApp(config.make_wsgi_app())
    client.RequestClass = cliquet.testing.get_request_class("v0")
    client.registry = client.app.registry
    return client


def same_view(view):
    """Return the view: with this decorator, Pyramid calls it and not the service's own view."""
    return view


@pytest.fixture(params=["toolkit", "pyramid"])
def service(request):
    """A function that makes services; the toolkit or Pyramid chooses the view."""
    options = {"decorator": same_view} if request.param == "pyramid" else {}

    def make(view, method="GET", **arguments):
        service = cliquet.Service(name="s", path="/s")
        arguments = {"permission": NO_PERMISSION_REQUIRED, **options, **arguments}
        service.add_view(method, view, **arguments)
        return service

    return make


class Shelf:
    """Views, validators and filters by their names."""

    def __init__(self, request, context=None):
        self.request = request
        self.context = context

    def show(self):
        return {"shelf": self.request.validated["shelf"]}

    def find(self, request, **kwargs):
        request.validated["shelf"] = 7

    def label(self, response, request):
        response.headers["Label"] = f"{type(self).__name__} {request.method}"
        return response


def label_response(response):
    response.headers["Label"] = "on it"
    return response


def label_both(response, request):
    response.headers["Label"] = request.method
    return response


def test_views_validators_and_filters_can_be_methods(service):
    arguments = {"klass": Shelf, "validators": ("find",), "filters": ("label",)}
    response = serve(service("show", **arguments)).get("/s")
    assert response.json == {"shelf": 7}
    assert response.headers["Label"] == "Shelf GET"


def test_class_can_be_that_of_the_whole_service():
    service = cliquet.Service(name="s", path="/s", klass=Shelf, validators=("find",))
    service.add_view("GET", "show", permission=NO_PERMISSION_REQUIRED)
    assert serve(service).get("/s").json == {"shelf": 7}


@pytest.mark.parametrize("filter_, label", [(label_response, "on it"), (label_both, "GET")])
def test_filters_take_the_response_and_can_take_the_request(service, filter_, label):
    response = serve(service(lambda request: {}, filters=(filter_,))).get("/s")
    assert response.headers["Label"] == label


def test_request_that_a_view_finds_wrong_is_refused(service):
    def refuse(request):
        request.errors.add("querystring", "size", "too large")

    response = serve(service(refuse)).get("/s", status=400)
    assert response.json["message"] == "size in querystring: too large"


def test_error_handler_of_the_definition_responds_to_errors(service):
    def refuse(request, **kwargs):
        request.errors.add("body", "n", "wrong")

    def handle(request):
        return Response(status=402, json_body=list(request.errors))

    with_handler = service(lambda request: {}, validators=(refuse,), error_handler=handle)
    assert serve(with_handler).get("/s", status=402).json[0]["name"] == "n"


def test_views_can_return_responses_of_webob_too(service):
    assert serve(service(lambda request: webob.Response(b"plain"))).get("/s").body == b"plain"


def test_views_can_return_responses(service):
    client = serve(service(lambda request: Response(b"plain")))
    response = client.get("/s", headers={"Origin": "x"})
    assert response.body == b"plain"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Backoff" in response.headers["Access-Control-Expose-Headers"]


def test_origin_that_is_not_allowed_is_refused(service):
    def setup(config):
        config.registry.settings["cors_origins"] = "http://friend.example"

    client = serve(service(lambda request: {}), setup=setup)
    assert client.get("/s", headers={"Origin": "http://friend.example"}).status_code == 200
    response = client.get("/s", headers={"Origin": "http://foe.example"}, status=400)
    assert "foe.example not allowed" in response.json["message"]


def test_responses_are_rendered_by_the_renderer_of_the_definition(service):
    client = serve(service(lambda request: "text", renderer="string"))
    assert client.get("/s").body == b"text"


def test_values_that_are_not_objects_are_rendered_as_json(service):
    client = serve(service(lambda request: [1, "é"]))
    assert client.get("/s").body == '[1,"é"]'.encode()


def test_application_can_adapt_the_results_of_views_to_responses(service):
    def setup(config):
        config.add_response_adapter(lambda value: Response(f"{value.value}"), ACTIONS)

    assert serve(service(lambda request: ACTIONS.READ), setup=setup).get("/s").body == b"read"


def test_application_can_subscribe_to_rendering(service):
    seen = []

    def setup(config):
        config.add_subscriber(lambda event: seen.append(event.rendering_val), BeforeRender)

    assert serve(service(lambda request: {"n": 1}), setup=setup).get("/s").json == {"n": 1}
    assert seen == [{"n": 1}]


def test_request_can_override_the_renderer(service):
    def view(request):
        request.override_renderer = "string"
        return {"n": 1}

    assert serve(service(view)).get("/s").body == b"{'n': 1}"


def test_application_can_bring_its_own_json_renderer(service):
    def setup(config):
        config.add_renderer("json", "pyramid.renderers.json_renderer_factory")

    assert serve(service(lambda request: {"n": 1}), setup=setup).get("/s").body == b'{"n": 1}'


def test_not_modified_undoes_writes_and_has_the_usual_headers(service):
    def view(request):
        request.registry.storage.create("c", "p", {"id": "a"})
        raise HTTPNotModified()

    client = serve(service(view))
    response = client.get("/s", status=304)
    assert "Backoff" in response.headers["Access-Control-Expose-Headers"]
    assert client.registry.storage.get_all("c", "p") == ([], 0)


def test_not_modified_in_a_batch_leaves_the_others_alone(service):
    def view(request):
        raise HTTPNotModified()

    writing = cliquet.Service(name="w", path="/w")
    writing.add_view(
        "POST",
        lambda request: request.registry.storage.create("c", "p", {"id": "a"}),
        permission=NO_PERMISSION_REQUIRED,
    )
    client = serve(service(view), writing)
    items = [{"method": "POST", "path": "/w"}, {"path": "/s"}]
    responses = client.post_json("/batch", {"requests": items}).json["responses"]
    assert [response["status"] for response in responses] == [200, 304]
    assert client.registry.storage.get_all("c", "p")[1] == 1


def test_not_modified_without_transaction(service):
    def view(request):
        raise HTTPNotModified()

    def setup(config):
        config.registry.settings["tm.activate_hook"] = "tests.test_transactions.never"

    serve(service(view), setup=setup).get("/s", status=304)


def test_method_that_a_service_lacks_is_not_allowed(service):
    response = serve(service(lambda request: {})).put("/s", status=405)
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


class Policy:
    """Lets those in who have the permission in their ``X-Permissions``."""

    def permits(self, request, context, permission):
        held = permission in request.headers.get("X-Permissions", "").split()
        return Allowed("held") if held else Denied("not held")

    def authenticated_userid(self, request):
        return "somebody"

    def identity(self, request):
        return "somebody"


@pytest.mark.parametrize("permission, needed", [(None, "default"), ("own", "own")])
def test_permission_of_the_definition_is_needed_or_that_of_the_application(permission, needed):
    def setup(config):
        config.registry.settings["cliquet.project_name"] = "x"
        config.set_default_permission("default")
        config.commit()
        config.set_security_policy(Policy())

    service = cliquet.Service(name="s", path="/s")
    service.add_view("GET", lambda request: {}, permission=permission)
    client = serve(service, setup=setup)
    client.get("/s", headers={"X-Permissions": "other"}, status=403)
    assert client.get("/s", headers={"X-Permissions": needed}).json == {}


def add_header(view):
    def decorated(context, request):
        response = view(context, request)
        response.headers["X-Decorated"] = request.method
        return response

    return decorated


def test_views_can_have_the_options_of_pyramid():
    service = cliquet.Service(name="s", path="/s")
    options = {"decorator": add_header, "http_cache": 3600}
    service.add_view("GET", lambda request: {"v": 1}, request_param="v=1", **options)
    service.add_view("GET", lambda request: {"v": 2}, request_param="v=2", validators=(_note,))
    client = serve(service)
    response = client.get("/s?v=1")
    assert response.json == {"v": 1}
    assert response.headers["X-Decorated"] == "GET"
    assert response.headers["Cache-Control"] == "max-age=3600"
    response = client.get("/s?v=2", headers={"Origin": "x"})
    assert response.json == {"v": 2}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/s?v=3", status=404).json["errno"] == 111
    client.post("/s", status=405)


def _note(request, **kwargs):
    request.info["seen"] = True


def test_options_for_routes_are_not_for_views():
    service = cliquet.Service(name="s", path="/s/{a}", traverse="/", decorator=add_header)
    service.add_view("GET", lambda request: {}, permission=NO_PERMISSION_REQUIRED)
    assert serve(service).get("/s/b").headers["X-Decorated"] == "GET"


def test_services_that_come_after_the_configuration_was_committed_can_have_these_too():
    first, second = (cliquet.Service(name=name, path=f"/{name}") for name in "ab")
    for service in (first, second):
        service.add_view("GET", lambda request: {}, request_param="x", filters=(label_response,))

    def setup(config):
        config.commit()
        config.add_cornice_service(first)
        config.commit()

    client = serve(second, setup=setup)
    for name in "ab":
        assert client.get(f"/{name}?x").headers["Label"] == "on it"


JSON, CSV, PLAIN = "application/json", "text/csv", "text/plain"


def named(name):
    return lambda request: {"view": name}


@pytest.fixture(params=["toolkit", "pyramid"])
def types(request):
    """A client of a service with a view for each type accepted, and for each type of body."""
    service = cliquet.Service(name="s", path="/s", permission=NO_PERMISSION_REQUIRED)
    service.add_view("GET", named("plain"), accept=PLAIN)
    service.add_view("GET", named("csv"), accept=[CSV, "text/tab-separated-values"])
    service.add_view("GET", named("json"), accept=JSON)
    service.add_view("GET", named("own"), accept=lambda request: request.GET.getall("type"))
    service.add_view("POST", named("csv"), content_type=CSV)
    service.add_view("POST", named("json"), content_type=(JSON, "application/merge-patch+json"))
    service.add_view("PUT", named("any"))
    service.add_view("PUT", named("csv"), accept=CSV)
    if request.param == "pyramid":
        service.add_view("GET", named("param"), request_param="never")
        service.add_view("DELETE", named("any"), request_param="never")
    return serve(service)


@pytest.mark.parametrize(
    ("accept", "view"),
    [
        (None, "json"),
        ("*/*", "json"),
        ("application/*, text/plain;q=0.5", "json"),
        ("text/*", "plain"),
        ("text/csv", "csv"),
        ("application/json;q=0.1, text/csv;q=0.2", "csv"),
        ("application/json; charset=utf-8", "json"),
        ("text/csv; header=present; q=0.5, application/json;q=0.1", "csv"),
        ("application/json;v=2;q=0, text/csv", "csv"),
        ("application/json;charset=utf-8;q=0.3, text/plain;format=flowed;q=0.2", "json"),
        ("not a type", "json"),
        ("text/x-own", "own"),
    ],
)
def test_view_is_chosen_by_the_types_that_the_client_accepts(types, accept, view):
    headers = {} if accept is None else {"Accept": accept}
    assert types.get("/s?type=text/x-own", headers=headers).json == {"view": view}


@pytest.mark.parametrize(
    ("content_type", "view"),
    [
        ("text/csv", "csv"),
        ("TEXT/CSV ; header=absent", "csv"),
        ("application/json ;charset=utf-8", "json"),
        ("application/merge-patch+json", "json"),
        ("", "csv"),
    ],
)
def test_view_is_chosen_by_the_type_of_the_body(types, content_type, view):
    assert types.post("/s", b"", headers={"Content-Type": content_type}).json == {"view": view}


def test_view_without_types_gets_the_remaining_requests(types):
    assert types.put("/s", headers={"Accept": "text/csv"}).json == {"view": "csv"}
    assert types.put("/s", headers={"Accept": "text/html"}).json == {"view": "any"}


@pytest.mark.parametrize(
    ("method", "headers", "status", "name"),
    [
        ("GET", {"Accept": "text/html"}, 406, "Accept"),
        ("GET", {"Accept": "application/json;q=0"}, 406, "Accept"),
        ("POST", {"Content-Type": "text/html"}, 415, "Content-Type"),
    ],
)
def test_types_that_no_view_has_are_refused(types, method, headers, status, name):
    headers = {**headers, "Origin": "http://page.example"}
    response = types.request("/s", method=method, headers=headers, status=status)
    assert response.json["details"][0]["name"] == name
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_indistinguishable_views_are_refused_at_start():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("GET", named("one"), accept=JSON)
    service.add_view("GET", named("other"), accept=[JSON])
    with pytest.raises(ConfigurationError, match="GET s has two views for the same requests"):
        serve(service)


@pytest.mark.parametrize("header", ["application/json; charset=utf-8", "application/json;v=1;q=.5"])
def test_parameters_of_accepted_types_are_ignored(header):
    alice = {**ALICE, "Accept": header}
    assert serve(setup=with_resources).get("/mushrooms", headers=alice).json == {"data": []}


@pytest.mark.parametrize(
    "header",
    ["application/json ;charset=utf-8", "Application/JSON ; charset=UTF-8", " application/json "],
)
def test_type_of_a_body_can_be_written_in_any_way(header):
    headers = {**ALICE, "Content-Type": header}
    client = serve(setup=with_resources)
    body = b'{"data": {"name": "n"}}'
    assert client.post("/mushrooms", body, headers=headers).json["data"]["name"] == "n"


def with_resources(config):
    config.scan(testapp)


class Callbacks:
    """Validators and filters of every kind, by their names."""

    def __init__(self, request, context=None):
        self.request = request
        self.late = lambda response: label_response(response)

    def short(self, request):
        request.validated["short"] = True

    def optional(self, request, strict=True):
        request.validated["optional"] = strict

    def long(self, request, **kwargs):
        request.validated["long"] = "validators" in kwargs

    @staticmethod
    def static(request):
        request.validated["static"] = True

    @classmethod
    def of_class(cls, request):
        request.validated["of_class"] = cls is Callbacks

    def get(self):
        return self.request.validated

    def one(self, response):
        return label_response(response)

    def both(self, response, request):
        return label_both(response, request)

    @staticmethod
    def static_filter(response):
        return label_response(response)


def test_every_kind_of_validator_is_called_as_it_is_declared(service):
    names = ("short", "optional", "long", "static", "of_class")
    functions = (Callbacks.static, functools.partial(Callbacks.long, None))
    response = serve(service("get", klass=Callbacks, validators=names + functions)).get("/s")
    assert response.json == dict.fromkeys(names, True)


@pytest.mark.parametrize(
    ("filter_", "label"),
    [("one", "on it"), ("both", "GET"), ("static_filter", "on it"), ("late", "on it")],
)
def test_every_kind_of_filter_is_called_as_it_is_declared(service, filter_, label):
    response = serve(service("get", klass=Callbacks, filters=filter_)).get("/s")
    assert response.headers["Label"] == label


def test_function_whose_signature_is_unknown_is_called_with_everything(service):
    class Unknown:
        __signature__ = "unknown"
        calls = []

        def __call__(self, *args, **kwargs):
            self.calls.append((len(args), sorted(kwargs)[:1]))
            return args[0]

    unknown = Unknown()
    serve(service(lambda request: {}, validators=(unknown,), filters=(unknown,))).get("/s")
    assert unknown.calls == [(1, ["cors_headers"]), (2, [])]


@pytest.mark.parametrize("takes_request", [True, False])
def test_type_error_of_a_filter_is_its_own(service, takes_request, caplog):
    def with_request(response, request):
        raise TypeError("mine")

    def without(response):
        raise TypeError("mine")

    filter_ = with_request if takes_request else without
    serve(service(lambda request: {}, filters=filter_)).get("/s", status=500)
    assert "TypeError: mine" in caplog.text
    assert "missing 1 required" not in caplog.text


def test_signatures_are_read_when_the_service_is_added(service, monkeypatch):
    names = {"validators": ("short",), "filters": ("one",)}
    client = serve(service("get", klass=Callbacks, **names))
    monkeypatch.setattr("inspect.signature", lambda function: pytest.fail("too late"))
    assert client.get("/s").headers["Label"] == "on it"


def test_errors_are_translated_where_the_application_has_languages():
    def view(request):
        request.errors.add("body", "n", "wrong")
        return {"localized": request.errors.localizer is not None}

    service = cliquet.Service(
        name="s", path="/s", error_handler=lambda request: Response("handled")
    )
    service.add_view("GET", view)
    config = Configurator(settings={**testapp.SETTINGS, "available_languages": "en fr"})
    cliquet.initialize(config, version="0.1")
    config.add_cornice_service(service)
    assert webtest.TestApp(config.make_wsgi_app()).get("/v0/s").body == b"handled"
