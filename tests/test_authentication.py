import base64
import types
import warnings

import pytest
from pyramid.authentication import CallbackAuthenticationPolicy
from pyramid.authorization import Everyone

import cliquet
from cliquet.authentication import prefixed_userid
from cliquet.authorization import PRIVATE, AuthorizationPolicy, groupfinder


class HeaderPolicy(CallbackAuthenticationPolicy):
    """Trusts a header: a policy as other packages have them."""

    def __init__(self, header="X-User"):
        self.header = header
        self.callback = None

    def unauthenticated_userid(self, request):
        return request.headers.get(self.header)

    def effective_principals(self, request):
        return [*super().effective_principals(request), "ip:" + (request.remote_addr or "none")]

    def forget(self, request):
        return [("WWW-Authenticate", "Header")]


def groups_of(userid, request):
    return None if userid == "banned" else ["group:" + userid]


def groups_of_prefixed(userid, request):
    assert request.authenticated_userid == userid
    groups = ["group:" + request.prefixed_userid, *groupfinder(userid, request)]
    return None if userid == "banned" else groups


class OnlyBosses(AuthorizationPolicy):
    def permits(self, context, principals, permission):
        return "group:boss" in principals


HEADER = {
    "multiauth.policies": "Token basicauth",
    "multiauth.policy.Token.use": "tests.test_authentication.HeaderPolicy",
}


def basic(text, encoding="utf-8"):
    return {"Authorization": "Basic " + base64.b64encode(text.encode(encoding)).decode()}


def test_user_id_is_the_same_for_the_same_user_and_password_only(serve):
    client = serve()

    def userid(text):
        return client.get("/echo", headers=basic(text)).json["selected_userid"]

    assert userid("bob:a") == userid("bob:a")
    assert len({userid(text) for text in ("bob:a", "bob:b", "al:a", "bob:a:b", "bob:")}) == 5
    assert len(userid("bob:a")) == 64


def test_prefixed_userid_needs_no_more_than_the_user_that_was_selected():
    selected = types.SimpleNamespace(authn_type="basicauth", selected_userid="bob")
    assert prefixed_userid(selected) == "basicauth:bob"
    assert prefixed_userid(types.SimpleNamespace()) is None


def test_secret_changes_user_ids(serve):
    ids = {
        serve({"cliquet.userid_hmac_secret": secret})
        .get("/echo", headers=basic("a:b"))
        .json["prefixed_userid"]
        for secret in ("", "x", 12)
    }
    assert len(ids) == 3
    assert all(id_.startswith("basicauth:") for id_ in ids)


def test_credentials_in_latin_1_are_read_too(serve):
    client = serve()
    ids = [
        client.get("/echo", headers=basic("é:x", encoding)).json["selected_userid"]
        for encoding in ("utf-8", "latin-1")
    ]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic ", "Basic abc", "Basic é", "Basic bWF0", "Basic OnNlY3JldA==", "Bearer x"]
    + ["Basic " + "!" * 100_000],
)
def test_other_schemes_than_basic_auth_are_not_credentials(serve, header):
    headers = {"Authorization": header}
    echoed = serve().get("/echo", headers=headers).json
    assert echoed["prefixed_userid"] is None
    assert echoed["principals"] == [Everyone]


def test_scheme_is_read_in_any_case_and_a_long_password_is_fine(serve, alice):
    client = serve()
    value = alice["Authorization"].replace("Basic", "bAsIc ")
    assert client.get("/echo", headers={"Authorization": value}).json["prefixed_userid"]
    assert client.get("/echo", headers=basic("a:" + "x" * 100_000)).json["prefixed_userid"]


def test_policies_are_tried_in_order_and_prefix_the_user_id_in_lower_case(serve, alice):
    client = serve(HEADER)
    echoed = client.get("/echo", headers={"X-User": "mat", **alice}).json
    assert (echoed["authn_type"], echoed["prefixed_userid"]) == ("token", "token:mat")
    assert "ip:none" in echoed["principals"]
    assert client.get("/echo", headers=alice).json["authn_type"] == "basicauth"


def test_all_policies_send_challenges(serve):
    response = serve(HEADER).get("/mushrooms", status=401)
    assert set(response.headers.getall("WWW-Authenticate")) == {'Basic realm="Realm"', "Header"}


def test_groups_of_the_permission_backend_are_principals(serve, alice):
    client = serve()
    userid = client.get("/echo", headers=alice).json["prefixed_userid"]
    client.registry.permission.add_user_principal(userid, "group:cooks")
    principals = client.get("/echo", headers=alice).json["principals"]
    assert {"group:cooks", "system.Authenticated", Everyone} <= set(principals)


def test_groups_are_not_read_if_irrelevant(serve, alice, monkeypatch):
    client = serve()
    monkeypatch.setattr(client.registry.permission, "user_principals", None)
    assert client.get("/mushrooms", headers=alice).json == {"data": []}


def test_users_have_no_groups_without_a_permission_backend(serve, alice):
    from pyramid.config import Configurator
    from pyramid.security import NO_PERMISSION_REQUIRED
    from webtest import TestApp

    service = cliquet.Service(name="who", path="/who")
    service.add_view(
        "get",
        lambda request: request.effective_principals,
        permission=NO_PERMISSION_REQUIRED,
    )
    config = Configurator(settings={"project_name": "x"})
    cliquet.initialize(config, version="1.0")
    config.add_cornice_service(service)
    principals = TestApp(config.make_wsgi_app()).get("/v1/who", headers=alice).json
    assert len(principals) == 3


def test_groupfinder_of_the_settings_can_refuse_a_user(serve):
    settings = {**HEADER, "multiauth.groupfinder": "tests.test_authentication.groups_of"}
    client = serve(settings)
    echoed = client.get("/echo", headers={"X-User": "mat"}).json
    assert "group:mat" in echoed["principals"]
    client.get("/mushrooms", headers={"X-User": "mat"})
    client.get("/mushrooms", headers={"X-User": "banned"}, status=401)


def test_groupfinder_of_the_settings_can_read_the_user_id(serve):
    settings = {**HEADER, "multiauth.groupfinder": "tests.test_authentication.groups_of_prefixed"}
    client = serve(settings)
    client.registry.permission.add_user_principal("token:mat", "/teams/1")
    echoed = client.get("/echo", headers={"X-User": "mat"}).json
    assert {"group:token:mat", "/teams/1"} <= set(echoed["principals"])
    refused = client.get("/echo", headers={"X-User": "banned"}).json
    assert refused["prefixed_userid"] is None
    client.get("/mushrooms", headers={"X-User": "banned"}, status=401)


def teams_of_the_day(userid, request):
    """Return the groups that a request has joined so far."""
    request.calls = getattr(request, "calls", 0) + 1
    return request.environ.setdefault("joined", [])


def test_groupfinder_of_the_settings_is_called_for_each_access(serve, alice):
    service = cliquet.Service(name="team", path="/team")

    @service.get(permission=PRIVATE)
    def join(request):
        request.environ["joined"].append("/teams/1")
        calls = [request.calls]
        for name in ("prefixed_userid", "authenticated_userid", "effective_principals"):
            value = getattr(request, name)
            calls.append(request.calls)
        return {"calls": calls, "principals": list(value)}

    def add_service(config):
        config.add_cornice_service(service)

    settings = {"multiauth.groupfinder": "tests.test_authentication.teams_of_the_day"}
    body = serve(settings, add_service).get("/team", headers=alice).json
    assert body["calls"] == [1, 1, 2, 3]
    assert "/teams/1" in body["principals"]


def test_authorization_policy_of_the_settings_decides(serve):
    settings = {
        **HEADER,
        "multiauth.groupfinder": "tests.test_authentication.groups_of",
        "multiauth.authorization_policy": "tests.test_authentication.OnlyBosses",
    }
    client = serve(settings)
    client.get("/mushrooms", headers={"X-User": "mat"}, status=403)
    client.get("/mushrooms", headers={"X-User": "boss"})


def test_own_authorization_policy_decides_on_private_records_too(serve):
    policy = "tests.test_authentication.OnlyBosses"
    client = serve({**HEADER, "multiauth.authorization_policy": policy})
    client.get("/mushrooms", headers={"X-User": "boss"}, status=403)


def test_policies_of_modules_are_tried(serve):
    client = serve({"multiauth.policies": "tests.test_authentication"})
    assert client.get("/", headers={"X-User": "mat"}).json["user"]["id"].endswith(":mat")


def includeme(config):
    """Be a package that ``multiauth.policies`` may name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        config.set_authentication_policy(HeaderPolicy())
