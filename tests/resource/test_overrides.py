"""Resources and models whose methods applications override."""

import json

import colander
import pytest
from pyramid import httpexceptions

from cliquet.errors import http_error, raise_invalid
from cliquet.resource import (
    Model,
    ResourceSchema,
    ShareableModel,
    ShareableResource,
    UserResource,
    ViewSet,
)
from cliquet.storage import Filter, Sort
from cliquet.utils import COMPARISON
from tests.resource.apps import ENGINES, SERVED, AnyFields, Note

every_engine = pytest.mark.parametrize("engine", [*ENGINES, *SERVED])

NEW = "e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10"
OTHER = "5e7a0c94-16db-4d3f-9b82-f08c4d6e2a71"
JSON = {"Content-Type": "application/json"}


class Strict(ResourceSchema):
    n = colander.SchemaNode(colander.Integer(), missing=colander.drop)

    class Options:
        unique_fields = ("n",)


# One read of the record, through _get_record_or_404().


class Guarded:
    """Records marked as secret look as if they did not exist."""

    mapping = AnyFields()

    def _get_record_or_404(self, record_id):
        record = super()._get_record_or_404(record_id)
        if record.get("secret"):
            raise http_error(httpexceptions.HTTPNotFound(), message="secret")
        return record


class Guard(Guarded, UserResource):
    pass


class SharedGuard(Guarded, ShareableResource):
    pass


READABLE = {
    f"sharedguard_{name}_principals": "system.Authenticated" for name in ("create", "read", "write")
}


@every_engine
@pytest.mark.parametrize("path", ["/guards", "/sharedguards"])
@pytest.mark.parametrize(
    "method, refused",
    [("GET", 404), ("HEAD", 404), ("PATCH", 404), ("DELETE", 404), ("PUT", 404), ("POST", 404)],
)
def test_hidden_record_is_out_of_reach_for_every_method(build_once, path, method, refused):
    alice = build_once(Guard, SharedGuard, settings=READABLE).user("alice")
    secret = alice.create(path, {"secret": True, "n": 1})
    url = path if method == "POST" else f"{path}/{secret['id']}"
    data = {"n": 2, **({"id": secret["id"]} if method == "POST" else {})}
    body = {"data": data} if method in ("POST", "PUT", "PATCH") else None
    response = alice.send(method, url, body, status=refused)
    assert '"n"' not in response.text
    if method != "HEAD":
        request = {"method": method, "path": url, **({"body": body} if body else {})}
        (sub,) = alice.batch(request)
        assert sub["status"] == refused
    if path == "/guards":
        assert alice.list(path) == [secret]


@pytest.mark.parametrize("path", ["/guards", "/sharedguards"])
def test_other_records_are_within_reach(build_once, path):
    alice = build_once(Guard, SharedGuard, settings=READABLE).user("alice")
    url = f"{path}/{NEW}"
    alice.put(url, {"n": 1}, status=201)
    alice.put(url, {"n": 2}, status=200)
    alice.patch(url, {"n": 3}, status=200)
    assert alice.post(path, {"id": NEW}, status=200).json["data"]["n"] == 3
    alice.delete(url, status=200)
    alice.put(url, {"n": 4}, status=201)


@pytest.mark.parametrize("model", [Model, ShareableModel])
def test_every_method_reads_the_record_once(build, model):
    class Counted(model):
        def get_record(self, record_id, parent_id=None):
            calls.append(record_id)
            return super().get_record(record_id, parent_id)

    class Counter(ShareableResource if model is ShareableModel else UserResource):
        mapping = AnyFields()
        default_model = Counted

    principals = {
        f"counter_{name}_principals": "system.Authenticated" for name in ("create", "write")
    }
    alice = build(Counter, settings=principals).user("alice")
    alice.permission.add_principal_to_ace("/counters", "read", alice.id)
    for method, url, data in [
        ("PUT", f"/counters/{NEW}", {"n": 1}),
        ("PUT", f"/counters/{NEW}", {"n": 2}),
        ("PATCH", f"/counters/{NEW}", {"n": 3}),
        ("POST", "/counters", {"id": NEW}),
        ("DELETE", f"/counters/{NEW}", None),
    ]:
        calls = []
        alice.send(method, url, None if data is None else {"data": data})
        assert calls == [NEW]


# Model methods.


def recorder(base):
    """A class of models that notes which methods write."""

    class Recorder(base):
        calls = []

        def create_record(self, record, parent_id=None, unique_fields=None):
            self.calls.append("create")
            return super().create_record(record, parent_id, unique_fields)

        def update_record(self, record, parent_id=None, unique_fields=None):
            self.calls.append("update")
            return super().update_record(record, parent_id, unique_fields)

    return Recorder


@every_engine
@pytest.mark.parametrize("is_shared", [False, True])
def test_creations_call_create_record_and_changes_update_record(build, is_shared):
    class Log(ShareableResource if is_shared else UserResource):
        mapping = Strict()
        default_model = recorder(ShareableModel if is_shared else Model)

    alice = build(Log, settings={"log_create_principals": "system.Authenticated"}).user("alice")
    url = f"/logs/{NEW}"
    alice.put(url, {"n": 1}, status=201)
    alice.put(url, {"n": 2}, status=200)
    alice.patch(url, {"n": 3}, status=200)
    alice.delete(url)
    alice.put(url, {"n": 4}, status=201)
    alice.post("/logs", {"n": 5}, status=201)
    alice.put(f"/logs/{OTHER}", {"n": 5}, status=409)
    assert Log.default_model.calls == [
        "create", "update", "update", "create", "create", "create",
    ]  # fmt: skip


def test_concurrent_creation_in_a_storage_without_locks_is_a_conflict(build):
    class Late(Model):
        """The record appears between the check and the write."""

        def create_record(self, record, parent_id=None, unique_fields=None):
            super().create_record({**record, "n": 0}, parent_id)
            return super().create_record(record, parent_id, unique_fields)

    class Race(UserResource):
        mapping = AnyFields()
        default_model = Late

    alice = build(Race).user("alice")
    error = alice.put(f"/races/{NEW}", {"n": 1}, status=409).json
    assert error["details"]["field"] == "id"
    assert error["details"]["existing"]["n"] == 0


class Pages(Model):
    """Notes what it is asked for, and hides odd numbers."""

    seen = []

    def get_records(
        self,
        filters=None,
        sorting=None,
        pagination_rules=None,
        limit=None,
        include_deleted=False,
        parent_id=None,
    ):
        self.seen.append((limit, pagination_rules + []))
        records, total = super().get_records(
            filters, sorting, pagination_rules, limit, include_deleted, parent_id
        )
        return [record for record in records if record.get("n", 0) % 2 == 0], total


class Even(UserResource):
    mapping = AnyFields()
    default_model = Pages


@every_engine
def test_overridden_get_records_gets_the_limit_and_a_list_of_rules(build):
    alice = build(Even).user("alice")
    alice.fill("even", [{"n": n} for n in range(4)])
    Pages.seen.clear()
    assert alice.values("/evens?_sort=n") == [0, 2]
    first = alice.get("/evens?_sort=n&_limit=2")
    assert [record["n"] for record in first.json["data"]] == [0]
    assert "Next-Page" not in first.headers
    assert Pages.seen == [(None, []), (2, [])]


@every_engine
def test_list_of_an_overridden_get_records_is_not_cut(build):
    class Prepended(Model):
        def get_records(self, *args, **kwargs):
            records, total = super().get_records(*args, **kwargs)
            return [{"id": "virtual", "last_modified": 1}, *records], total + 1

    class Spore(UserResource):
        mapping = AnyFields()
        default_model = Prepended

    alice = build(Spore).user("alice")
    alice.fill("spore", [{"n": n} for n in range(3)])
    response = alice.get("/spores?_sort=n&_limit=2")
    assert [record.get("n") for record in response.json["data"]] == [None, 0, 1]
    assert response.headers["Total-Records"] == "4"
    assert "Next-Page" not in response.headers


@every_engine
@pytest.mark.parametrize("query", ["", "&_since=1"])
def test_pages_of_an_overridden_get_records_have_each_record_once(build, query):
    class Same(Model):
        def get_records(self, *args, **kwargs):
            return super().get_records(*args, **kwargs)

    class Spore(UserResource):
        mapping = AnyFields()
        default_model = Same

    alice = build(Spore).user("alice")
    records = alice.fill("spore", [{"n": n} for n in range(5)])
    alice.delete(f"/spores/{records[2]['id']}")
    pages = alice.walk(f"/spores?_sort=last_modified&_limit=2{query}")
    numbers = [record.get("n") for page in pages for record in page]
    assert numbers == ([0, 1, 3, 4, None] if query else [0, 1, 3, 4])


@every_engine
@pytest.mark.parametrize("limit", ["", "&_limit=9"])
def test_list_of_an_overridden_get_records_is_whole_whatever_is_fetched(build, limit):
    class Same(Model):
        def get_records(self, *args, **kwargs):
            return super().get_records(*args, **kwargs)

    class Spore(UserResource):
        mapping = AnyFields()
        default_model = Same

    alice = build(Spore, settings={"storage_max_fetch_size": 2}).user("alice")
    alice.fill("spore", [{"n": n} for n in range(5)])
    pages = alice.walk(f"/spores?_sort=n{limit}")
    assert [record["n"] for page in pages for record in page] == [0, 1, 2, 3, 4]


def test_overridden_timestamp_of_a_model_is_that_of_the_list(build):
    class Fixed(Model):
        def timestamp(self, parent_id=None):
            return 1234567890123

    class Clock(UserResource):
        mapping = AnyFields()
        default_model = Fixed

    alice = build(Clock).user("alice")
    assert alice.get("/clocks").headers["ETag"] == '"1234567890123"'


def test_timestamp_of_all_models_can_be_replaced(build, monkeypatch):
    alice = build(Note).user("alice")
    monkeypatch.setattr(Model, "timestamp", lambda self, parent_id=None: 1234567890123)
    assert alice.get("/notes").headers["ETag"] == '"1234567890123"'


def test_get_records_of_all_models_can_be_replaced(build, monkeypatch):
    alice = build(Note).user("alice")
    alice.fill("note", [{"n": n} for n in range(5)])
    get_records, limits = Model.get_records, []

    def recorded(self, *args, limit=None, **kwargs):
        limits.append(limit)
        return get_records(self, *args, limit=limit, **kwargs)

    monkeypatch.setattr(Model, "get_records", recorded)
    pages = alice.walk("/notes?_sort=n&_limit=2")
    assert [record["n"] for page in pages for record in page] == [0, 1, 2, 3, 4]
    assert limits == [2, 2, 2]


# Steps of the endpoints.


def test_timestamp_can_be_assigned(build):
    class Clock(UserResource):
        mapping = AnyFields()

        def __init__(self, request, context=None):
            super().__init__(request, context)
            self.timestamp = 1234567890123

    alice = build(Clock).user("alice")
    response = alice.get("/clocks")
    assert response.headers["ETag"] == '"1234567890123"'
    alice.get("/clocks", {"If-None-Match": '"1234567890123"'}, status=304)


def test_next_page_url_can_be_overridden(build):
    class Linked(UserResource):
        mapping = AnyFields()

        def _next_page_url(self, sorting, limit, last_record, offset):
            seen.append((sorting, limit, last_record["n"], offset))
            return super()._next_page_url(sorting, limit, last_record, offset)

    seen = []
    alice = build(Linked).user("alice")
    alice.fill("linked", [{"n": n} for n in range(5)])
    assert len(alice.walk("/linkeds?_sort=n&_limit=2")) == 3
    sorting = [Sort("n", 1), Sort("last_modified", -1)]
    assert seen == [(sorting, 2, 1, 2), (sorting, 2, 3, 4)]


def test_pagination_steps_can_be_overridden(build):
    """Tokens that are plain numbers, and pages that start at a number."""

    class Numbered(UserResource):
        mapping = AnyFields()

        def _build_pagination_token(self, sorting, last_record, offset):
            return str(last_record["n"])

        def _extract_pagination_rules_from_token(self, limit, sorting):
            token = self.request.GET.get("_token")
            rules = self._build_pagination_rules(sorting, {"n": int(token)}) if token else []
            return rules, 0

        def _build_pagination_rules(self, sorting, last_record, rules=None):
            return [[Filter("n", last_record["n"], COMPARISON.GT)]]

    alice = build(Numbered).user("alice")
    alice.fill("numbered", [{"n": n} for n in range(5)])
    assert "_token=1" in alice.get("/numbereds?_sort=n&_limit=2").headers["Next-Page"]
    assert alice.values("/numbereds?_sort=n&_token=3") == [4]


def test_rules_are_added_to_the_given_ones(build):
    class Ruled(UserResource):
        mapping = AnyFields()

        def _build_pagination_rules(self, sorting, last_record, rules=None):
            given = [[Filter("n", 0, COMPARISON.EQ)]]
            return super()._build_pagination_rules(sorting, last_record, rules=given)

    alice = build(Ruled).user("alice")
    alice.fill("ruled", [{"n": n} for n in range(3)])
    second = alice.get("/ruleds?_sort=n&_limit=2").headers["Next-Page"]
    assert alice.values(second) == [0, 2]


@pytest.mark.parametrize("default", [None, 2])
def test_extracted_limit_is_none_without_a_limit(build, default):
    class Limited(UserResource):
        mapping = AnyFields()

        def _extract_limit(self):
            seen.append(super()._extract_limit())
            return seen[-1] if seen[-1] else default

        def _extract_sorting(self, limit):
            assert limit == (seen[-1] or default)
            return super()._extract_sorting(limit)

    seen = []
    alice = build(Limited).user("alice")
    alice.fill("limited", [{"n": n} for n in range(4)])
    assert len(alice.list("/limiteds")) == (default or 4)
    assert len(alice.list("/limiteds?_limit=3")) == 3
    assert len(alice.list("/limiteds?_limit=0")) == (default or 4)
    assert seen == [None, 3, None]


def test_known_fields_can_be_overridden(build):
    class Known(UserResource):
        mapping = Strict()

        def _get_known_fields(self):
            return [*super()._get_known_fields(), "virtual"]

    alice = build(Known).user("alice")
    alice.get("/knowns?virtual=1&_sort=n,id,last_modified,deleted", status=200)
    alice.get("/knowns?other=1", status=400)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_check_of_the_id_can_be_overridden(build, method):
    class Free(UserResource):
        mapping = AnyFields()

        def _raise_400_if_id_mismatch(self, new_id, record_id):
            if new_id != record_id:
                raise_invalid(self.request, name="id", description=f"{new_id} isn't {record_id}")

    alice = build(Free).user("alice")
    alice.put(f"/frees/{NEW}", {})
    error = alice.send(method, f"/frees/{NEW}", {"data": {"id": OTHER}}, status=400).json
    assert error["details"][0]["description"] == f"{OTHER} isn't {NEW}"


def test_record_id_can_be_an_alias(build):
    class Person(UserResource):
        mapping = AnyFields()

        def __init__(self, request, context=None):
            super().__init__(request, context)
            if self.record_id == "self":
                self.record_id = NEW

    alice = build(Person).user("alice")
    assert alice.put("/persons/self", {"n": 1}, status=201).json["data"]["id"] == NEW
    assert alice.get("/persons/self").json["data"]["n"] == 1


# process_record() and postprocess().


def test_process_record_sees_a_post_of_an_existing_id(build):
    class Even(UserResource):
        mapping = Strict()

        def process_record(self, new, old=None):
            if new.get("n", 0) % 2:
                raise_invalid(self.request, name="n", description="odd")
            return super().process_record(new, old)

    alice = build(Even).user("alice")
    alice.put(f"/evens/{NEW}", {"n": 2})
    alice.post("/evens", {"id": NEW, "n": 3}, status=400)
    assert alice.post("/evens", {"id": NEW, "n": 4}, status=200).json["data"]["n"] == 2


@every_engine
def test_process_record_gets_the_tombstone_that_is_replaced(build):
    class Replaced(UserResource):
        mapping = Strict()

        def process_record(self, new, old=None):
            olds.append(old)
            return super().process_record(new, old)

    olds = []
    alice = build(Replaced).user("alice")
    url = f"/replaceds/{NEW}"
    first = alice.put(url, {"n": 1}, status=201).json["data"]
    tombstone = alice.delete(url).json["data"]
    alice.put(url, {"n": 2}, status=201)
    assert first["n"] == 1
    assert olds == [None, tombstone]


@every_engine
def test_process_record_can_drop_the_id_of_a_new_record(build):
    class Anonymous(UserResource):
        mapping = Strict()

        def process_record(self, new, old=None):
            new = super().process_record(new, old)
            return {key: value for key, value in new.items() if key != "id"}

    alice = build(Anonymous).user("alice")
    created = alice.put(f"/anonymous/{NEW}".replace("us/", "uss/"), {"n": 1}, status=201)
    record = created.json["data"]
    assert record["id"] != NEW
    url = f"/anonymouss/{record['id']}"
    assert alice.put(url, {"n": 2}, status=200).json["data"]["id"] == record["id"]
    assert alice.patch(url, {"n": 3}, status=200).json["data"]["id"] == record["id"]
    assert alice.list("/anonymouss") == [alice.get(url).json["data"]]


@every_engine
def test_permissions_are_sets_to_hooks_and_lists_to_clients(build):
    class Doc(ShareableResource):
        mapping = AnyFields()

        def process_record(self, new, old=None):
            if old is not None:
                old["__permissions__"]["write"].add("anybody")
            return super().process_record(new, old)

        def postprocess(self, result, *args, **kwargs):
            result["__permissions__"]["write"].add("somebody")
            return super().postprocess(result, *args, **kwargs)

    alice = build(Doc, settings={"doc_create_principals": "system.Authenticated"}).user("alice")
    url = f"/docs/{NEW}"
    for method in ("PUT", "PUT", "PATCH"):
        permissions = alice.send(method, url, {"data": {"n": 1}}).json["permissions"]
        assert permissions == {"write": sorted([alice.id, "somebody"])}
    stored = alice.permission.object_permissions(url)
    assert {name: set(principals) for name, principals in stored.items()} == {"write": {alice.id}}


@every_engine
def test_process_record_can_copy_the_permissions_of_the_old_record(build):
    class Doc(ShareableResource):
        mapping = AnyFields()

        def process_record(self, new, old=None):
            new = super().process_record(new, old)
            if old is not None:
                new["__permissions__"] = old["__permissions__"]
            return new

    alice = build(Doc, settings={"doc_create_principals": "system.Authenticated"}).user("alice")
    body = {"data": {}, "permissions": {"read": ["b", "a"]}}
    alice.send("PUT", f"/docs/{NEW}", body, status=201)
    response = alice.send("PUT", f"/docs/{NEW}", {"permissions": {"read": []}}, status=200)
    assert response.json["permissions"] == {"read": ["a", "b"], "write": [alice.id]}


# PATCH.


@every_engine
@pytest.mark.parametrize("mapping", [AnyFields, Strict])
def test_null_for_a_missing_field_is_not_a_change(build, mapping):
    class Note(UserResource):
        pass

    Note.mapping = mapping()
    alice = build(Note).user("alice")
    note = alice.create("/notes", {"n": 1})
    url = f"/notes/{note['id']}"
    patched = alice.patch(url, {"missing": None}).json["data"]
    assert patched["last_modified"] == note["last_modified"]
    assert alice.get(url).json["data"] == note


@every_engine
def test_null_that_drops_a_field_is_a_change(build):
    class Note(UserResource):
        mapping = Strict()

    alice = build(Note).user("alice")
    note = alice.create("/notes", {"n": 1})
    patched = alice.patch(f"/notes/{note['id']}", {"n": None}).json["data"]
    assert patched["last_modified"] > note["last_modified"]
    assert "n" not in patched


def test_changes_are_those_of_the_body(build):
    class Rewritten(UserResource):
        mapping = AnyFields()

        def patch(self):
            self.request.validated["data"] = {"n": 41}
            self.request.body = json.dumps({"data": {"n": 42}}).encode()
            return super().patch()

    alice = build(Rewritten).user("alice")
    alice.put(f"/rewrittens/{NEW}", {"n": 1})
    assert alice.patch(f"/rewrittens/{NEW}", {"n": 2}).json["data"]["n"] == 42


@pytest.mark.parametrize("behavior", ["light", "diff", "full"])
def test_permissions_are_absent_from_a_partial_response(build, behavior):
    class Doc(ShareableResource):
        mapping = AnyFields()

    alice = build(Doc, settings={"doc_create_principals": "system.Authenticated"}).user("alice")
    doc = alice.create("/docs", {"n": 1})
    headers = {"Response-Behavior": behavior}
    response = alice.patch(f"/docs/{doc['id']}", {"n": 2}, headers).json
    assert ("permissions" in response) == (behavior == "full")


# Viewsets.


def test_schema_of_a_method_without_body_reads_the_query_string_alone(build):
    class Views(ViewSet):
        def get_record_schema(self, resource_cls, method):
            schema = super().get_record_schema(resource_cls, method)
            schema.add(colander.SchemaNode(colander.String(), name="label"))
            schema.add(
                colander.SchemaNode(
                    colander.Integer(), name="page", location="querystring", missing=colander.drop
                )
            )
            return schema

    class Viewed(UserResource):
        mapping = AnyFields()
        default_viewset = Views

    alice = build(Viewed).user("alice")
    assert alice.get("/vieweds?page=x", status=400).json["details"][0]["name"] == "page"
    alice.send("POST", "/vieweds", {"data": {}}, status=400)
    alice.send("POST", "/vieweds", {"data": {}, "label": "a"}, status=201)
    alice.raw("DELETE", "/vieweds", b"{", status=400, **JSON)


def test_schema_class_of_a_method_without_body_is_accepted(build):
    class Body(colander.MappingSchema):
        label = colander.SchemaNode(colander.String())

    class Viewed(UserResource):
        mapping = AnyFields()

    arguments = {"collection_get_arguments": {"schema": Body}}
    alice = build((Viewed, arguments)).user("alice")
    assert alice.list("/vieweds") == []


def test_view_can_have_no_schema(build):
    class Viewed(UserResource):
        mapping = AnyFields()

    alice = build((Viewed, {"collection_get_arguments": {"schema": None}})).user("alice")
    assert alice.list("/vieweds") == []


@pytest.mark.parametrize("methods", [(), ("POST",), ("POST", "PUT", "PATCH")])
def test_merged_record_is_validated_whatever_the_viewset_validates(build, methods):
    class Checked(UserResource):
        mapping = Strict()

    alice = build((Checked, {"validate_schema_for": methods})).user("alice")
    record = alice.create("/checkeds", {"n": 1})
    error = alice.patch(f"/checkeds/{record['id']}", {"n": "x"}, status=400).json
    assert error["details"][0]["name"] == "data.n"
    assert alice.patch(f"/checkeds/{record['id']}", {"n": 2}).json["data"]["n"] == 2
    status = 400 if "PUT" in methods else 200
    body = {"data": {"n": 3}, "other": 1}
    alice.send("PUT", f"/checkeds/{record['id']}", body, status=status)


def test_right_to_write_can_be_given_to_others(build):
    class Committee(ShareableModel):
        def _allow_write(self, perm_object_id):
            super()._allow_write(perm_object_id)
            self.permission.add_principal_to_ace(perm_object_id, "write", "committee")

    class Doc(ShareableResource):
        mapping = AnyFields()
        default_model = Committee

    alice = build(Doc, settings={"doc_create_principals": "system.Authenticated"}).user("alice")
    response = alice.post("/docs", {"n": 1}).json
    assert response["permissions"] == {"write": sorted([alice.id, "committee"])}
