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


def test_records_beyond_the_quota_are_refused_and_not_stored(app):
    create(app, 201)
    last = create(app, 201)["data"]
    refused = create(app, 403)
    assert refused["message"] == "There may be 2 records."
    assert len(app.get("/notes").json["data"]) == 2
    app.delete(f"/notes/{last['id']}")
    create(app, 201)


def test_batch_beyond_the_quota_is_refused_as_a_whole(app):
    requests = [{"method": "POST", "path": "/notes", "body": {"data": {}}}] * 3
    app.post_json("/batch", {"requests": requests}, status=403)
    assert app.get("/notes").json["data"] == []


def test_users_are_told_what_they_have_used(app):
    create(app, 201)
    assert app.get("/quotas/note").json == {"used": 1, "max_records": 2}
    bob = get_user_headers("bob")
    assert app.get("/quotas/note", headers=bob).json["used"] == 0
    app.extra_environ = {}
    app.get("/quotas/note", status=401)


def test_quotas_are_a_capability_of_the_service(app):
    capability = app.get("/").json["capabilities"]["quotas"]
    assert (capability["max_records"], capability["resources"]) == (2, ["note"])


def test_settings_come_from_the_environment_too(monkeypatch):
    monkeypatch.setenv("QUOTAS_MAX_RECORDS", "3")
    assert make_app().get("/").json["capabilities"]["quotas"]["max_records"] == 3


@pytest.mark.parametrize("wrong", ["none", "0", "-1"])
def test_wrong_setting_is_told_at_start_up(wrong):
    with pytest.raises(ConfigurationError, match="quotas.max_records"):
        make_app(**{"quotas.max_records": wrong})
