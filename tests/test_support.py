"""The helpers of 3.1 for the tests of applications and plugins, used as these did."""

from unittest import mock

import pytest
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest, HTTPNotModified, HTTPPreconditionFailed

from cliquet import testing
from cliquet.errors import raise_invalid
from cliquet.permission.memory import Permission
from cliquet.storage.exceptions import BackendError
from cliquet.storage.memory import Storage
from cliquet.tests.support import (
    USER_PRINCIPAL,
    AllowAuthorizationPolicy,
    BaseWebTest,
    DummyRequest,
    FormattedErrorMixin,
    ThreadMixin,
    authorize,
    get_request_class,
    get_user_headers,
    skip_if_no_postgresql,
    skip_if_travis,
    unittest,
)
from tests.testapp import Psilo, Spore

ID = "3e6a3a0c-2c0c-4d4e-8a5f-5d1d8ad0a3a1"


class Mushrooms(ThreadMixin, FormattedErrorMixin, BaseWebTest, unittest.TestCase):
    def setUp(self):
        super().setUp()
        body = {"data": {"name": "Boletus"}}
        self.record = self.app.post_json(self.collection_url, body, headers=self.headers).json[
            "data"
        ]

    def test_client_is_that_of_a_user(self):
        assert self.app.get("/", headers=self.headers).json["user"]["id"] == self.principal
        assert self.principal == USER_PRINCIPAL
        assert self.app.get(self.get_item_url(), headers=self.headers).json["data"] == self.record
        response = self.app.get(self.get_item_url("x"), headers=self.headers, status=400)
        self.assertFormattedError(response, 400, 107, "Invalid parameters", "Invalid record id")
        self.app.get(self.collection_url, status=401)

    def test_heartbeat_reports_a_backend_that_just_failed(self):
        self.app.get("/__heartbeat__")
        with mock.patch.object(self.storage, "create", side_effect=BackendError):
            assert self.app.get("/__heartbeat__", status=503).json["storage"] is False
        self.app.get("/__heartbeat__")

    @skip_if_travis
    @skip_if_no_postgresql
    def test_threads_are_joined(self):
        thread = self._create_thread(target=lambda: None)
        thread.start()
        super().tearDown()
        assert not thread.is_alive()


class Own(AllowAuthorizationPolicy):
    def permits(self, context, principals, permission):
        return False


def test_policy_can_refuse():
    mushrooms = Mushrooms("test_client_is_that_of_a_user")

    @authorize(permits=False)
    def request():
        mushrooms.app.get(mushrooms.collection_url, headers=mushrooms.headers, status=403)

    request()
    mushrooms.app.get(mushrooms.collection_url, headers=mushrooms.headers)


def test_policy_can_be_replaced():
    policy = Own()

    @authorize(authz_class=f"{__name__}.Own")
    def permits():
        return policy.permits(None, [], "read")

    assert permits() is True
    assert policy.permits(None, [], "read") is False


class Settings(BaseWebTest, unittest.TestCase):
    api_prefix = "v3"

    def get_app_settings(self, additional_settings=None):
        settings = super().get_app_settings({"http_api_version": "3.2"})
        return {**settings, **(additional_settings or {})}

    def test_settings_and_version_can_be_others(self):
        assert self.app.get("/").json["http_api_version"] == "3.2"
        app = self.make_app({"project_docs": "http://docs"})
        assert app.get("/").json["project_docs"] == "http://docs"

    def test_application_can_be_configured_before(self):
        config = Configurator(settings=self.get_app_settings())
        config.add_route("own", "/own")
        config.add_view(lambda request: {}, route_name="own", renderer="json")
        config.commit()
        app = self.make_app(config=config)
        app.RequestClass = get_request_class("")
        app.get("/own")


def test_client_needs_webtest(monkeypatch):
    monkeypatch.setattr("cliquet.tests.support.webtest", None)
    with pytest.raises(ImportError, match="pip install webtest"):
        Settings("test_settings_and_version_can_be_others")


def test_policy_allows_all_except_private_records_of_anonymous_users():
    policy = AllowAuthorizationPolicy()
    assert policy.permits(None, ["system.Everyone"], "write")
    assert not policy.permits(None, ["system.Everyone"], "private")
    assert policy.permits(None, ["system.Authenticated"], "private")


@pytest.fixture(params=["mock", "response only"])
def make_request(request):
    """A function that makes requests whose response is a mock."""
    storage, permission = Storage(), Permission()

    def make(body=None, **matchdict):
        if request.param == "mock":
            made = DummyRequest()
            made.json = made.validated = body or {}
        else:
            response = DummyRequest().response
            made = testing.DummyRequest(response=response, json=body, validated=body or {})
        made.matchdict = matchdict
        made.registry.storage, made.registry.permission = storage, permission
        return made

    return make


@pytest.mark.parametrize("class_", [Spore, Psilo])
def test_resource_works_with_the_mock_of_a_response(make_request, class_):
    request = make_request({"data": {"name": "n"}})
    record = class_(request=request).collection_post()["data"]
    etag = f'"{record["last_modified"]}"'

    request = make_request()
    request.GET = {"_limit": "1"}
    assert class_(request=request).collection_get()["data"] == [record]
    assert request.response.headers["Total-Records"] == "1"
    assert request.response.headers["ETag"] == etag
    assert request.response.headers["Last-Modified"].endswith("GMT")

    request = make_request(id=record["id"])
    assert class_(request=request).get()["data"] == record
    assert request.response.headers["ETag"] == etag

    request = make_request({"data": {"name": "m"}}, id=record["id"])
    assert class_(request=request).patch()["data"]["name"] == "m"
    assert class_(request=make_request({"data": {"a": 1}}, id=ID)).put()["data"]["a"] == 1
    assert class_(request=make_request(id=ID)).delete()["data"]["deleted"] is True
    assert len(class_(request=make_request()).collection_delete()["data"]) == 1


@pytest.mark.parametrize("class_", [Spore, Psilo])
def test_resource_reads_and_writes_with_the_mock_of_a_context(make_request, class_):
    def make(body=None, **matchdict):
        resource = class_(make_request(body, **matchdict), context=mock.MagicMock())
        resource.model.get_permission_object_id = lambda record_id: f"/records/{record_id}"
        return resource

    record = make({"data": {"name": "n"}}).collection_post()["data"]
    assert make(id=record["id"]).get()["data"] == record
    assert make({"data": {"name": "m"}}, id=record["id"]).patch()["data"]["name"] == "m"
    assert make({"data": {"name": "o"}}, id=record["id"]).put()["data"]["name"] == "o"
    assert make({"data": {"name": "o"}}, id=ID).put()["data"]["id"] == ID
    assert make(id=record["id"]).delete()["data"]["deleted"] is True


@pytest.mark.parametrize("class_", [Spore, Psilo])
def test_patch_needs_only_the_json_of_a_mock(make_request, class_):
    record = class_(request=make_request({"data": {"name": "n"}})).collection_post()["data"]
    request = make_request(id=record["id"])
    request.json = {"data": {"name": "m"}}
    assert class_(request=request).patch()["data"]["name"] == "m"


def test_preconditions_and_pages_work_with_mocks(make_request):
    for _ in range(2):
        latest = Spore(request=make_request({"data": {}})).collection_post()["data"]
    request = make_request()
    request.GET = {"_limit": "1"}
    Spore(request=request).collection_get()
    assert "_token=" in request.response.headers["Next-Page"]
    request = make_request({"data": {}}, id=latest["id"])
    request.method = "PUT"
    resource = Spore(request=request)
    assert resource.get()["data"] == latest
    headers = request.headers
    headers["If-None-Match"] = f'"{latest["last_modified"]}"'
    with pytest.raises(HTTPNotModified):
        resource.get()
    with pytest.raises(HTTPNotModified):
        resource.collection_get()
    headers["If-None-Match"] = "*"
    with pytest.raises(HTTPPreconditionFailed):
        resource.put()
    del headers["If-None-Match"]
    headers["If-Match"] = '"1234567890123"'
    for endpoint in (resource.put, resource.collection_delete):
        with pytest.raises(HTTPPreconditionFailed):
            endpoint()


def test_dummy_request_is_a_mock_with_errors():
    request = DummyRequest(method="PUT")
    assert request.method == "PUT"
    assert request.anything.at.all() is not None
    with pytest.raises(HTTPBadRequest):
        raise_invalid(request, "body", "n", "wrong")
    assert request.errors[0]["name"] == "n"
    assert request.route_url("route", _query={"a": 1}) == "?a=1"


def test_headers_of_users_are_of_basic_auth():
    assert get_user_headers("mat") == {"Authorization": "Basic bWF0OnNlY3JldA=="}
