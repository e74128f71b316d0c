"""Policies of the application in the place of those of the settings, wherever they are set."""

import pytest
import webtest
from pyramid.authentication import CallbackAuthenticationPolicy
from pyramid.authorization import Authenticated, Everyone
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import IAuthorizationPolicy, ISecurityPolicy
from pyramid.security import NO_PERMISSION_REQUIRED, forget, remember
from pyramid_multiauth import MultiAuthenticationPolicy, MultiAuthPolicySelected

import cliquet
from cliquet import initialization
from cliquet.authentication import BasicAuthAuthenticationPolicy
from cliquet.authorization import DYNAMIC, PRIVATE, AuthorizationPolicy, RouteFactory
from cliquet.resource import register_resource
from tests.resource.apps import Note, Page
from tests.test_authentication import HeaderPolicy, basic

pytestmark = pytest.mark.filterwarnings(
    "ignore:Authentication and authorization policies", "ignore:The new security policy"
)

SETTINGS = {
    "project_name": "library",
    "userid_hmac_secret": "secret",
    "storage_backend": "cliquet.storage.memory",
    "permission_backend": "cliquet.permission.memory",
    "page_create_principals": Authenticated,
}
MAT = {"X-User": "mat"}
ALICE = basic("alice:secret")


class Token(HeaderPolicy):
    """An authentication policy of the application."""

    def remember(self, request, userid, **kw):
        return [("X-Remembered", f"{userid} {kw}")]

    def forget(self, request):
        return [("WWW-Authenticate", "Token")]


class Announced(Token):
    """Makes users known to the toolkit, as the policies of the settings are."""

    def authenticated_userid(self, request):
        userid = super().authenticated_userid(request)
        if userid is not None:
            request.registry.notify(MultiAuthPolicySelected(self, request, userid))
        return userid


class Strict(AuthorizationPolicy):
    """An authorization policy of the application: only reads are permitted."""

    def permits(self, context, principals, permission):
        assert isinstance(principals, list)
        return Authenticated in principals and permission == PRIVATE


def before(config, set_up):
    set_up(config)
    cliquet.initialize(config, version="1.0")


def committed_before(config, set_up):
    set_up(config)
    config.commit()
    cliquet.initialize(config, version="1.0")


def after(config, set_up):
    cliquet.initialize(config, version="1.0")
    set_up(config)


def in_a_package(config, set_up):
    cliquet.initialize(config, version="1.0")

    def package(config):
        set_up(config)

    config.include(package)


def in_a_package_of_the_settings(config, set_up):
    config.registry.set_up = set_up
    config.add_settings({"includes": __name__})
    cliquet.initialize(config, version="1.0")


def after_packages_that_commit(config, set_up):
    config.registry.set_up = lambda config: config.commit()
    config.add_settings({"includes": __name__})
    cliquet.initialize(config, version="1.0")
    set_up(config)


def includeme(config):
    config.registry.set_up(config)


SOURCES = (
    before,
    after,
    in_a_package,
    in_a_package_of_the_settings,
    after_packages_that_commit,
)
#: Pyramid refuses to commit one kind of policy without the other.
from_any_source = pytest.mark.parametrize("source", SOURCES)
from_any_source_or_commit = pytest.mark.parametrize("source", (*SOURCES, committed_before))


def who(request):
    return {
        "authenticated": request.authenticated_userid,
        "unauthenticated": request.unauthenticated_userid,
        "identified": request.identity is not None,
        "prefixed": request.prefixed_userid,
        "principals": sorted(request.effective_principals),
        "type": getattr(request, "authn_type", "unset"),
        "remember": remember(request, "mat", age=1),
        "forget": forget(request),
    }


def client_of(config):
    for path, permission in (
        ("who", NO_PERMISSION_REQUIRED),
        ("secret", PRIVATE),
        ("zork", "zork"),
    ):
        service = cliquet.Service(name=path, path=f"/{path}", factory=RouteFactory)
        service.get(permission=permission)(who)
        config.add_cornice_service(service)
    for resource in (Note, Page):
        for service in register_resource(resource, settings=config.get_settings()):
            config.add_cornice_service(service)
    return webtest.TestApp(config.make_wsgi_app())


def statuses(client, headers):
    return {
        path: client.get(f"/v1/{path}", headers=headers, status="*").status_int
        for path in ("", "who", "secret", "zork", "notes", "pages")
    }


def build(source, authn=None, authz=None, **settings):
    def set_up(config):
        if authz is not None:
            config.set_authorization_policy(authz)
        if authn is not None:
            config.set_authentication_policy(authn)

    config = Configurator(settings={**SETTINGS, **settings})
    source(config, set_up)
    return client_of(config)


UNKNOWN = {"": 200, "who": 200, "secret": 401, "zork": 401, "notes": 401, "pages": 401}


def assert_asks_token_only(client):
    known = client.get("/v1/who", headers=MAT).json
    assert known["authenticated"] == known["unauthenticated"] == "mat"
    assert known["identified"]
    assert known["principals"] == sorted([Everyone, Authenticated, "ip:none", "mat"])
    assert (known["prefixed"], known["type"]) == (None, "unset")
    assert known["remember"] == [["X-Remembered", "mat {'age': 1}"]]
    assert known["forget"] == [["WWW-Authenticate", "Token"]]
    assert client.get("/v1/", headers=MAT).json["user"] == {"id": None}
    for headers in (ALICE, {}):
        unknown = client.get("/v1/who", headers=headers).json
        assert (unknown["authenticated"], unknown["identified"]) == (None, False)
        assert unknown["principals"] == sorted([Everyone, "ip:none"])
        assert "user" not in client.get("/v1/", headers=headers).json
        assert statuses(client, headers) == UNKNOWN
        refusal = client.get("/v1/notes", headers=headers, status=401)
        assert refusal.headers["WWW-Authenticate"] == "Token"


@from_any_source
def test_own_authentication_policy_replaces_those_of_the_settings(source):
    client = build(source, Token())
    assert_asks_token_only(client)
    permitted = {"": 200, "who": 200, "secret": 200, "zork": 403, "notes": 200, "pages": 403}
    assert statuses(client, MAT) == permitted
    client.post_json("/v1/pages", {"data": {}}, headers=MAT, status=201)
    client.post_json("/v1/pages", {"data": {}}, headers=ALICE, status=401)


@from_any_source_or_commit
def test_own_authentication_and_authorization_policies_replace_both(source):
    client = build(source, Token(), Strict())
    assert_asks_token_only(client)
    permitted = {"": 200, "who": 200, "secret": 200, "zork": 403, "notes": 200, "pages": 403}
    assert statuses(client, MAT) == permitted
    client.post_json("/v1/pages", {"data": {}}, headers=MAT, status=403)


@from_any_source
def test_own_authorization_policy_alone_decides_for_the_users_of_the_settings(source):
    client = build(source, authz=Strict())
    permitted = {"": 200, "who": 200, "secret": 200, "zork": 403, "notes": 200, "pages": 403}
    assert statuses(client, ALICE) == permitted
    assert statuses(client, MAT) == statuses(client, {}) == UNKNOWN
    client.post_json("/v1/pages", {"data": {}}, headers=ALICE, status=403)
    assert client.get("/v1/who", headers=ALICE).json["prefixed"].startswith("basicauth:")
    assert type(client.app.registry.getUtility(IAuthorizationPolicy)) is Strict


@pytest.mark.parametrize("with_authorization", [False, True])
def test_policies_of_the_constructor_replace_those_of_the_settings(with_authorization):
    policies = {"authentication_policy": Token()}
    if with_authorization:
        policies["authorization_policy"] = AuthorizationPolicy()
    config = Configurator(settings=SETTINGS, **policies)
    cliquet.initialize(config, version="1.0")
    client = client_of(config)
    assert_asks_token_only(client)
    # Pyramid's default beside an authentication policy is its ACLAuthorizationPolicy.
    status = 201 if with_authorization else 403
    client.post_json("/v1/pages", {"data": {}}, headers=MAT, status=status)


def test_authorization_policy_of_the_constructor_can_be_alone():
    config = Configurator(settings=SETTINGS, authorization_policy=Strict())
    cliquet.initialize(config, version="1.0")
    client = client_of(config)
    assert client.get("/v1/notes", headers=ALICE).json == {"data": []}
    client.post_json("/v1/pages", {"data": {}}, headers=ALICE, status=403)


@pytest.mark.parametrize("is_own_alone", [False, True])
def test_policies_of_an_autocommitting_configurator_are_kept(is_own_alone):
    config = Configurator(settings=SETTINGS, autocommit=True)
    config.set_authorization_policy(Strict())
    if not is_own_alone:
        config.set_authentication_policy(Token())
    cliquet.initialize(config, version="1.0")
    client = client_of(config)
    client.post_json("/v1/pages", {"data": {}}, headers={**MAT, **ALICE}, status=403)
    if is_own_alone:
        client.get("/v1/notes", headers=ALICE)
    else:
        assert_asks_token_only(client)


def test_policy_of_the_application_wins_over_that_of_a_package():
    config = Configurator(settings=SETTINGS)
    cliquet.initialize(config, version="1.0")

    def package(config):
        config.set_authentication_policy(CallbackAuthenticationPolicy())

    config.include(package)
    config.set_authentication_policy(Token())
    assert_asks_token_only(client_of(config))


@from_any_source
def test_own_policy_can_say_that_it_was_selected(source):
    client = build(source, Announced())
    known = client.get("/v1/who", headers=MAT).json
    assert (known["prefixed"], known["type"]) == ("announced:mat", "announced")
    created = client.post_json("/v1/pages", {"data": {}}, headers=MAT, status=201)
    assert created.json["permissions"] == {"write": ["announced:mat"]}
    client.patch_json(f"/v1/pages/{created.json['data']['id']}", {"data": {}}, headers=MAT)


@from_any_source
def test_own_policy_is_described_and_timed(source):
    settings = {"statsd_url": "udp://127.0.0.1:9", "openapi_enabled": "true"}
    client = build(source, Token(), **settings)
    schemes = client.get("/v1/__api__").json["components"]["securitySchemes"]
    assert schemes == {"token": {"type": "http", "scheme": "token"}}


@pytest.mark.filterwarnings("ignore:MultiAuthenticationPolicy is deprecated")
@from_any_source
def test_own_stack_of_policies_can_be_used(source):
    def find_groups(userid, request):
        return None if userid == "banned" else ["group:" + userid]

    stack = MultiAuthenticationPolicy([Token(), BasicAuthAuthenticationPolicy()], find_groups)
    client = build(source, stack, openapi_enabled="true")
    known = client.get("/v1/who", headers=MAT).json
    assert (known["prefixed"], known["type"]) == ("token:mat", "token")
    assert {Authenticated, "mat", "group:mat"} < set(known["principals"])
    assert client.get("/v1/notes", headers=ALICE).json == {"data": []}
    client.get("/v1/notes", headers={"X-User": "banned"}, status=401)
    schemes = client.get("/v1/__api__").json["components"]["securitySchemes"]
    assert set(schemes) == {"token", "basicauthauthenticationpolicy"}


@from_any_source_or_commit
def test_own_security_policy_is_not_replaced(source):
    class Closed:
        def identity(self, request):
            return None

        def authenticated_userid(self, request):
            return None

        def permits(self, request, context, permission):
            return False

        def remember(self, request, userid, **kw):
            return []

        def forget(self, request, **kw):
            return []

    config = Configurator(settings=SETTINGS)
    source(config, lambda config: config.set_security_policy(Closed()))
    client = client_of(config)
    assert type(client.app.registry.getUtility(ISecurityPolicy)) is Closed
    client.get("/v1/notes", headers=ALICE, status=401)


def test_authentication_policy_next_to_a_custom_security_policy_is_refused():
    config = Configurator(settings=SETTINGS)
    cliquet.initialize(config, version="1.0")
    config.set_security_policy(object())
    config.set_authentication_policy(Token())
    with pytest.raises(ConfigurationError, match="security policy"):
        config.make_wsgi_app()


SEQUENCE = [
    f"cliquet.initialization.{name}"
    for name in vars(initialization)
    if name.startswith("setup_") and name != "setup_authentication"
]


@from_any_source_or_commit
def test_own_policies_are_used_without_the_step_of_authentication(source):
    client = build(source, Token(), Strict(), initialization_sequence=" ".join(SEQUENCE))
    assert_asks_token_only(client)


def test_application_without_the_authentication_step_has_no_users():
    settings = {"initialization_sequence": " ".join(SEQUENCE), "openapi_enabled": "true"}
    config = Configurator(settings={**SETTINGS, **settings})
    cliquet.initialize(config, version="1.0")
    client = webtest.TestApp(config.make_wsgi_app())
    assert "user" not in client.get("/v1/", headers=ALICE).json
    assert not client.get("/v1/__api__").json["components"].get("securitySchemes")


class Acl:
    """The root of an application with access control lists."""

    __acl__ = [("Allow", Authenticated, PRIVATE), ("Allow", "group:1", DYNAMIC)]

    def __init__(self, request):
        pass


def test_root_factory_is_the_context_of_private_resources():
    acl = "pyramid.authorization.ACLAuthorizationPolicy"
    settings = {**SETTINGS, "multiauth.authorization_policy": acl}
    config = Configurator(settings=settings, root_factory=Acl)
    cliquet.initialize(config, version="1.0")
    client = client_of(config)
    note = client.post_json("/v1/notes", {"data": {}}, headers=ALICE, status=201).json["data"]
    url = f"/v1/notes/{note['id']}"
    assert client.get("/v1/notes", headers=ALICE).json["data"] == [note]
    client.get(url, headers=ALICE)
    client.put_json(url, {"data": {"n": 1}}, headers=ALICE)
    client.patch_json(url, {"data": {"n": 2}}, headers=ALICE)
    client.delete(url, headers=ALICE)
    client.delete("/v1/notes", headers=ALICE)
    client.get("/v1/notes", status=401)
    # Shareable resources have contexts of their own, without a list.
    client.get("/v1/pages", headers=ALICE, status=403)


@pytest.mark.parametrize("policies", [None, "None", False, "", []])
def test_service_without_policies_knows_no_user(serve, policies):
    client = serve({"multiauth.policies": policies})
    assert "user" not in client.get("/", headers=ALICE).json


@pytest.mark.parametrize("policies", [["basicauth"], '["basicauth"]', "\nbasicauth\n"])
def test_policies_can_be_a_list(serve, policies):
    assert "user" in serve({"multiauth.policies": policies}).get("/", headers=ALICE).json
