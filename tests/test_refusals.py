"""Explanations of 403 responses: in the log, and in the response if the settings ask for it."""

import logging

import pytest
from pyramid.authorization import Allow
from pyramid.httpexceptions import HTTPForbidden

import cliquet
from cliquet.authorization import DYNAMIC, RouteFactory
from tests.resource import apps
from tests.resource.apps import Page

ID = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"
INHERITING = "cliquet.authorization.InheritingAuthorizationPolicy"
HINT = f"cliquet.multiauth.authorization_policy = {INHERITING}"


class Chapter(apps.ShareableResource):
    mapping = apps.AnyFields()


NESTED = (
    Chapter,
    {
        "collection_path": "/pages/{{page}}/chapters",
        "record_path": "/pages/{{page}}/chapters/{{id}}",
    },
)


@pytest.fixture
def build(tmp_path):
    def build(setup=None, **settings):
        defaults = {**apps.backends("memory", tmp_path), "page_create_principals": ""}
        client = apps.build(Page, NESTED, settings={**defaults, **settings}, setup=setup)
        client.storage.create("page", "", {"id": ID})
        return client.user("alice")

    return build


def keys(*names):
    return [f"cliquet.{name}_principals" for name in names]


#: The method, the URL, the permission, its object and the settings that can grant it.
REFUSED = [
    ("GET", f"/pages/{ID}", "read", f"/pages/{ID}", keys("page_read")),
    ("PATCH", f"/pages/{ID}", "write", f"/pages/{ID}", keys("page_write")),
    ("PUT", f"/pages/{ID}", "write", f"/pages/{ID}", keys("page_write")),
    ("DELETE", f"/pages/{ID}", "write", f"/pages/{ID}", keys("page_write")),
    ("PUT", f"/pages/{ID[:-1]}1", "create", "/pages", keys("page_create")),
    ("POST", "/pages", "create", "/pages", keys("page_create")),
    ("GET", "/pages", "read", "/pages", keys("page_read")),
    ("DELETE", "/pages", "write", "/pages", keys("page_write")),
]

#: The same for the policy that implies and inherits permissions.
INHERITED = [
    ("GET", f"/pages/{ID}", "read", f"/pages/{ID}", keys("page_read", "page_write")),
    ("POST", "/pages", "create", "/pages", keys("page_create", "page_write")),
    (
        "GET",
        f"/pages/{ID}/chapters/{ID}",
        "read",
        f"/pages/{ID}/chapters/{ID}",
        keys("chapter_read", "chapter_write", "page_read", "page_write"),
    ),
]


def explanation(user, permission, object_id, settings):
    principals = [
        *("system.Authenticated", "system.Everyone"),
        *(user.id, user.id.replace(":", "_")),
    ]
    return {
        "permission": permission,
        "object": object_id,
        "principals": sorted(principals),
        "settings": settings,
    }


@pytest.mark.parametrize("policy, table", [("", REFUSED), (INHERITING, INHERITED)])
def test_refusals_are_explained_in_the_response_if_the_settings_ask_for_it(build, policy, table):
    settings = {"multiauth.authorization_policy": policy} if policy else {}
    alice = build(error_details="true", **settings)
    for method, path, *expected in table:
        body = {"data": {}} if method in ("PATCH", "PUT", "POST") else None
        error = alice.send(method, path, body, status=403).json
        assert error["details"] == explanation(alice, *expected), (method, path)
        assert error["message"] == "This user cannot access this resource."


def test_responses_do_not_explain_by_default(build, caplog):
    alice = build()
    with caplog.at_level(logging.DEBUG, "cliquet.refusals"):
        assert "details" not in alice.get("/pages", status=403).json
    (record,) = caplog.records
    assert f'Permission "read" on /pages refused to {alice.id}, ' in record.getMessage()
    assert "Settings that can grant it: cliquet.page_read_principals" in record.getMessage()


def test_nothing_is_computed_without_the_level_and_the_setting(build, monkeypatch):
    alice = build()
    monkeypatch.delattr("cliquet.refusals.entry_principals")
    alice.get("/pages", status=403)


def test_writers_who_cannot_read_are_shown_the_policy(build):
    alice = build(error_details="true")
    alice.permission.add_principal_to_ace(f"/pages/{ID}", "write", alice.id)
    error = alice.get(f"/pages/{ID}", status=403).json
    assert error["details"]["settings"] == [*keys("page_read"), HINT]


def test_hidden_records_are_named_in_the_log_only(build, caplog):
    alice = build(error_details="true", page_create_principals="system.Authenticated")
    with caplog.at_level(logging.DEBUG, "cliquet.refusals"):
        response = alice.post("/pages", {"id": ID}, status=403)
    assert "details" not in response.json
    assert f'Permission "read" on /pages/{ID} refused' in caplog.records[0].getMessage()


def test_sub_requests_of_a_batch_are_explained(build):
    alice = build(error_details="true")
    (response,) = alice.batch({"path": "/pages"})
    assert response["body"]["details"]["permission"] == "read"


class Root:
    __acl__ = ((Allow, "basicauth:x", "view"),)

    def __init__(self, request):
        pass


def test_views_of_applications_are_explained_without_an_object(build, caplog):
    def setup(config):
        for name, factory, permission in (
            ("acl", Root, "view"),
            ("dynamic", RouteFactory, DYNAMIC),
        ):
            service = cliquet.Service(name=name, path=f"/{name}", factory=factory)
            service.get(permission=permission)(lambda request: {})
            config.add_cornice_service(service)

    policy = {"multiauth.authorization_policy": "pyramid.authorization.ACLAuthorizationPolicy"}
    alice = build(setup, error_details="true", **policy)
    expected = explanation(alice, "view", None, [])
    with caplog.at_level(logging.DEBUG, "cliquet.refusals"):
        assert alice.get("/acl", status=403).json["details"] == expected
    assert '"view" on the view refused' in caplog.records[0].getMessage()
    alice = build(setup, error_details="true")
    assert alice.get("/dynamic", status=403).json["details"]["permission"] == DYNAMIC


def test_refusals_by_the_application_are_not_explained(build):
    def setup(config):
        service = cliquet.Service(name="refuse", path="/refuse")
        service.get()(refuse)
        config.add_cornice_service(service)

    def refuse(request):
        raise HTTPForbidden()

    alice = build(setup, error_details="true")
    assert "details" not in alice.get("/refuse", status=403).json


def test_anonymous_requests_return_401(build):
    client = build(error_details="true")
    client._headers = {}
    assert "details" not in client.get("/pages", status=401).json
