"""Services do what their Cornice definitions say, whoever serves them: the toolkit or Cornice."""

import pytest
import webob
import webtest
from pyramid.config import Configurator
from pyramid.events import BeforeRender
from pyramid.httpexceptions import HTTPNotModified
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED, Allowed, Denied

import cliquet
from cliquet import endpoints
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


@pytest.fixture(params=["toolkit", "cornice"])
def service(request, monkeypatch):
    """A function that makes services, which the toolkit serves, or leaves to Cornice."""
    if request.param == "cornice":
        monkeypatch.setattr("cliquet.service.is_understood", lambda service: False)

    def make(view, method="GET", **arguments):
        service = cliquet.Service(name="s", path="/s")
        service.add_view(method, view, **{"permission": NO_PERMISSION_REQUIRED, **arguments})
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


def test_views_validators_and_filters_may_be_methods(service):
    arguments = {"klass": Shelf, "validators": ("find",), "filters": ("label",)}
    response = serve(service("show", **arguments)).get("/s")
    assert response.json == {"shelf": 7}
    assert response.headers["Label"] == "Shelf GET"


def test_class_may_be_that_of_the_whole_service():
    service = cliquet.Service(name="s", path="/s", klass=Shelf, validators=("find",))
    service.add_view("GET", "show", permission=NO_PERMISSION_REQUIRED)
    assert serve(service).get("/s").json == {"shelf": 7}


@pytest.mark.parametrize("filter_, label", [(label_response, "on it"), (label_both, "GET")])
def test_filters_take_the_response_and_may_take_the_request(service, filter_, label):
    response = serve(service(lambda request: {}, filters=(filter_,))).get("/s")
    assert response.headers["Label"] == label


def test_request_that_a_view_finds_wrong_is_refused(service):
    def refuse(request):
        request.errors.add("querystring", "size", "too large")

    response = serve(service(refuse)).get("/s", status=400)
    assert response.json["message"] == "size in querystring: too large"


def test_errors_are_told_by_the_handler_of_the_definition(service):
    def refuse(request, **kwargs):
        request.errors.add("body", "n", "wrong")

    def tell(request):
        return Response(status=402, json_body=list(request.errors))

    with_handler = service(lambda request: {}, validators=(refuse,), error_handler=tell)
    assert serve(with_handler).get("/s", status=402).json[0]["name"] == "n"


def test_views_may_return_responses_of_webob_too(service):
    assert serve(service(lambda request: webob.Response(b"plain"))).get("/s").body == b"plain"


def test_views_may_return_responses(service):
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


def test_answers_are_rendered_as_the_definition_says(service):
    client = serve(service(lambda request: "text", renderer="string"))
    assert client.get("/s").body == b"text"


def test_values_that_are_no_objects_are_json_too(service):
    client = serve(service(lambda request: [1, "é"]))
    assert client.get("/s").body == '[1,"é"]'.encode()


def test_application_may_have_a_response_made_of_what_views_return(service):
    def setup(config):
        config.add_response_adapter(lambda value: Response(f"{value.value}"), ACTIONS)

    assert serve(service(lambda request: ACTIONS.READ), setup=setup).get("/s").body == b"read"


def test_application_may_listen_to_what_is_rendered(service):
    seen = []

    def setup(config):
        config.add_subscriber(lambda event: seen.append(event.rendering_val), BeforeRender)

    assert serve(service(lambda request: {"n": 1}), setup=setup).get("/s").json == {"n": 1}
    assert seen == [{"n": 1}]


def test_request_may_override_the_renderer(service):
    def view(request):
        request.override_renderer = "string"
        return {"n": 1}

    assert serve(service(view)).get("/s").body == b"{'n': 1}"


def test_application_may_bring_its_own_json_renderer(service):
    def setup(config):
        config.add_renderer("json", "pyramid.renderers.json_renderer_factory")

    assert serve(service(lambda request: {"n": 1}), setup=setup).get("/s").body == b'{"n": 1}'


def test_not_modified_undoes_what_the_view_did_and_has_the_headers_of_others(service):
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
    answers = client.post_json("/batch", {"requests": items}).json["responses"]
    assert [answer["status"] for answer in answers] == [200, 304]
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


def test_services_that_ask_for_more_are_left_to_cornice():
    service = cliquet.Service(name="s", path="/s")
    service.add_view("GET", lambda request: {"v": 1}, request_param="v=1")
    service.add_view("GET", lambda request: {"v": 2}, request_param="v=2", validators=(_note,))
    assert not endpoints.is_understood(service)
    client = serve(service)
    assert client.get("/s?v=1").json == {"v": 1}
    response = client.get("/s?v=2", headers={"Origin": "x"})
    assert response.json == {"v": 2}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def _note(request, **kwargs):
    request.info["seen"] = True


def test_services_that_come_after_the_configuration_was_committed_may_be_cornices_too():
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


def test_errors_are_translated_where_the_application_has_languages():
    def view(request):
        request.errors.add("body", "n", "wrong")
        return {"localized": request.errors.localizer is not None}

    service = cliquet.Service(name="s", path="/s", error_handler=lambda request: Response("told"))
    service.add_view("GET", view)
    config = Configurator(settings={**testapp.SETTINGS, "available_languages": "en fr"})
    cliquet.initialize(config, version="0.1")
    config.add_cornice_service(service)
    assert webtest.TestApp(config.make_wsgi_app()).get("/v0/s").body == b"told"
