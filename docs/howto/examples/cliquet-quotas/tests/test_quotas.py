import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from webtest import TestApp

import cliquet
from cliquet.resource import ResourceSchema, UserResource, register_resource
from cliquet.testing import get_request_class, get_user_headers


class Schema(ResourceSchema):
    class Options:
        preserve_unknown = True


class Note(UserResource):
    mapping = Schema()


def make_app(**settings):
    config = Configurator(
        settings={
            "cliquet.project_name": "tests",
            "cliquet.userid_hmac_secret": "secret",
            "cliquet.storage_backend": "cliquet.storage.memory",
            "cliquet.includes": "cliquet_quotas",
            "quotas.max_records": "2",
            "quotas.resources": "note",
            **settings,
        }
    )
    cliquet.initialize(config, version="1.0")
    for service in register_resource(Note):
        config.add_cornice_service(service)
    app = TestApp(config.make_wsgi_app())
    app.RequestClass = get_request_class("v1")
    return app


@pytest.fixture
def app():
    app = make_app()
    app.extra_environ = {"HTTP_AUTHORIZATION": get_user_headers("alice")["Authorization"]}
    return app


def create(app, status):
    return app.post_json("/notes", {"data": {}}, status=status).json


def test_record_above_the_quota_is_rejected(app):
    create(app, 201)
    last = create(app, 201)["data"]
    error = create(app, 403)
    assert error["message"] == "You can store at most 2 records."
    assert len(app.get("/notes").json["data"]) == 2
    app.delete(f"/notes/{last['id']}")
    create(app, 201)


def test_batch_above_the_quota_is_rejected_as_a_whole(app):
    requests = [{"method": "POST", "path": "/notes", "body": {"data": {}}}] * 3
    app.post_json("/batch", {"requests": requests}, status=403)
    assert app.get("/notes").json["data"] == []


def test_users_see_how_many_records_they_have(app):
    create(app, 201)
    assert app.get("/quotas/note").json == {"used": 1, "max_records": 2}
    bob = get_user_headers("bob")
    assert app.get("/quotas/note", headers=bob).json["used"] == 0
    app.extra_environ = {}
    app.get("/quotas/note", status=401)


def test_hello_view_lists_the_capability(app):
    capability = app.get("/").json["capabilities"]["quotas"]
    assert (capability["max_records"], capability["resources"]) == (2, ["note"])


def test_environment_overrides_the_settings(monkeypatch):
    monkeypatch.setenv("QUOTAS_MAX_RECORDS", "3")
    assert make_app().get("/").json["capabilities"]["quotas"]["max_records"] == 3


@pytest.mark.parametrize("wrong", ["none", "0", "-1"])
def test_invalid_setting_stops_the_application(wrong):
    with pytest.raises(ConfigurationError, match="quotas.max_records"):
        make_app(**{"quotas.max_records": wrong})
