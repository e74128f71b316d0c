"""Models: records and permissions, without HTTP."""

import pytest

from cliquet import schema
from cliquet.permission import PermissionBase
from cliquet.resource import Filter, Model, ProtectedResource, ResourceSchema, ShareableModel, Sort
from cliquet.resource.model import ProtectedModel
from cliquet.resource.viewset import ProtectedViewSet
from cliquet.storage import StorageBase
from cliquet.storage.exceptions import RecordNotFoundError, UnicityError
from cliquet.utils import COMPARISON
from tests.resource.apps import ENGINES, AnyFields, Note

every_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture
def registry(build):
    return build(Note).registry


@pytest.fixture
def model(registry):
    return Model(registry.storage, collection_id="note", parent_id="alice")


@every_engine
class TestModel:
    def test_records_are_created_read_modified_and_deleted(self, model):
        record = model.create_record({"n": 1})
        assert model.get_record(record["id"]) == record
        modified = model.update_record({**record, "n": 2})
        assert model.get_record(record["id"]) == modified
        assert model.timestamp() == modified["last_modified"]
        tombstone = model.delete_record(modified)
        assert tombstone["deleted"] is True
        assert model.timestamp() == tombstone["last_modified"]
        with pytest.raises(RecordNotFoundError):
            model.get_record(record["id"])
        with pytest.raises(RecordNotFoundError):
            model.delete_record(record)
        assert model.get_records(include_deleted=True) == ([tombstone], 0)

    def test_deletion_can_be_at_a_given_time(self, model):
        record = model.create_record({})
        tombstone = model.delete_record(record, last_modified=4_000_000_000_000)
        assert tombstone["last_modified"] == 4_000_000_000_000

    def test_lists_are_filtered_sorted_and_limited(self, model):
        for n in range(5):
            model.create_record({"n": n})
        records, total = model.get_records(
            filters=[Filter("n", 1, COMPARISON.MIN)],
            sorting=[Sort("n", 1)],
            pagination_rules=[[Filter("n", 1, COMPARISON.GT)]],
            limit=2,
        )
        assert [record["n"] for record in records] == [2, 3]
        assert total == 4

    def test_records_that_match_are_deleted(self, model):
        for n in range(3):
            model.create_record({"n": n})
        assert len(model.delete_records(filters=[Filter("n", 0, COMPARISON.GT)])) == 2
        assert model.get_records()[1] == 1
        assert len(model.delete_records()) == 1

    def test_another_parent_can_be_passed(self, model):
        record = model.create_record({"n": 1}, parent_id="bob")
        assert model.get_records() == ([], 0)
        assert model.get_record(record["id"], parent_id="bob") == record
        assert model.get_records(parent_id="bob") == ([record], 1)
        assert model.timestamp(parent_id="bob") == record["last_modified"]
        record = model.update_record({**record, "n": 2}, parent_id="bob")
        assert model.delete_records(parent_id="alice") == []
        assert model.delete_record(record, parent_id="bob")["id"] == record["id"]
        assert model.delete_records(parent_id="bob") == []

    def test_unique_fields_are_those_passed(self, model):
        first = model.create_record({"n": 1}, unique_fields=("n",))
        with pytest.raises(UnicityError) as caught:
            model.create_record({"n": 1}, unique_fields=("n",))
        assert caught.value.field == "n"
        assert caught.value.record == first
        second = model.create_record({"n": 1})
        with pytest.raises(UnicityError):
            model.update_record(second, unique_fields=("n",))

    def test_generator_creates_the_ids(self, registry):
        model = Model(registry.storage, lambda: "made", "note", "alice")
        assert model.create_record({})["id"] == "made"
        with pytest.raises(UnicityError):
            model.create_record({})

    def test_locking_outside_of_a_request_is_nothing_to_wait_for(self, model):
        model.locking = True
        record = model.create_record({})
        assert model.get_record(record["id"]) == record
        assert model.timestamp() == record["last_modified"]


@every_engine
class TestShareableModel:
    @pytest.fixture
    def model(self, registry):
        model = ShareableModel(registry.storage, collection_id="note")
        model.permission = registry.permission
        model.get_permission_object_id = "/notes/{}".format
        model.current_principal = "alice"
        return model

    def test_records_come_with_their_permissions(self, model):
        record = model.create_record({"__permissions__": {"read": ["c", "b"]}})
        assert record["__permissions__"] == {"read": {"b", "c"}, "write": {"alice"}}
        assert model.get_record(record["id"]) == record
        assert "__permissions__" not in model.get_records()[0][0]

    def test_backend_can_be_a_proxy_with_the_methods_of_3_1(self, model):
        class Proxy:
            object_permissions = model.permission.object_permissions
            add_principal_to_ace = model.permission.add_principal_to_ace

        model.permission, model.locking = Proxy(), True
        record = model.create_record({})
        assert model.get_record(record["id"])["__permissions__"] == {"write": {"alice"}}
        assert model.update_record({"id": record["id"]})["__permissions__"] == {"write": {"alice"}}

    def test_permissions_are_not_stored_with_the_record(self, model, registry):
        record = model.create_record({"__permissions__": {"read": ["b"]}})
        assert "__permissions__" not in registry.storage.get("note", "", record["id"])

    def test_update_replaces_the_permissions_that_are_named(self, model):
        record = model.create_record({"__permissions__": {"read": ["b"], "list": ["c"]}})
        model.current_principal = "bob"
        updated = model.update_record({"id": record["id"], "__permissions__": {"read": []}})
        assert updated["__permissions__"] == {"list": {"c"}, "write": {"alice", "bob"}}

    def test_no_principal_is_added_for_anonymous_users(self, model):
        model.current_principal = None
        assert model.create_record({})["__permissions__"] == {}

    def test_arguments_are_not_modified(self, model):
        given = {"n": 1, "__permissions__": {"read": ["b"]}}
        model.create_record(given)
        assert given == {"n": 1, "__permissions__": {"read": ["b"]}}

    def test_deletion_deletes_the_permissions(self, model):
        records = [model.create_record({"n": n}) for n in range(3)]
        model.delete_record(records[0])
        model.delete_records([Filter("n", 1, COMPARISON.EQ)])
        left = [bool(model.permission.object_permissions(f"/notes/{r['id']}")) for r in records]
        assert left == [False, False, True]

    def test_another_parent_can_be_passed(self, model):
        record = model.create_record({}, parent_id="p")
        assert model.get_record(record["id"], parent_id="p") == record
        assert model.delete_records(parent_id="p")[0]["id"] == record["id"]

    def test_conflict_grants_nothing(self, model):
        record = model.create_record({"n": 1}, unique_fields=("n",))
        model.current_principal = "bob"
        with pytest.raises(UnicityError):
            model.create_record({"n": 1, "id": "x"}, unique_fields=("n",))
        assert model.get_record(record["id"])["__permissions__"] == {"write": {"alice"}}
        assert model.permission.object_permissions("/notes/x") == {}


class TestDeprecatedNames:
    def test_model_warns(self, registry):
        with pytest.warns(DeprecationWarning, match="ProtectedModel .* use ShareableModel"):
            old = type("Old", (ProtectedModel,), {})
        assert isinstance(old(registry.storage), ShareableModel)

    def test_viewset_warns(self):
        with pytest.warns(DeprecationWarning, match="ProtectedViewSet .* use ShareableViewSet"):
            old = type("Old", (ProtectedViewSet,), {})
        assert old(name="x").name == "x"

    def test_schema_warns_under_its_old_name(self):
        class Old(schema.ResourceSchema):
            url = schema.URL()

        with pytest.warns(DeprecationWarning, match="cliquet.resource"):
            old = Old()
        assert isinstance(old, ResourceSchema)
        assert old.deserialize({"url": " http://www.example.com "}) == {
            "url": "http://www.example.com"
        }

    def test_resource_works_and_warns(self, build):
        with pytest.warns(DeprecationWarning, match="ProtectedResource .* use ShareableResource"):

            class Old(ProtectedResource):
                mapping = AnyFields()

        alice = build(Old, settings={"old_create_principals": "system.Authenticated"}).user("alice")
        response = alice.post("/olds", {"n": 1}, status=201)
        assert response.json["permissions"] == {"write": [alice.id]}


def test_external_backend_only_needs_permission_principals():
    class Backend(PermissionBase):
        def object_permission_authorized_principals(self, *args):
            return {"a"}

    assert Backend().check_permission("/x", "read", ["a"])
    assert not Backend().check_permission("/x", "read", ["b"])


@pytest.mark.parametrize("locking", [False, True])
def test_storages_are_called_by_keywords(locking):
    calls = []

    class Recorder(StorageBase):
        """A storage that records the calls of the methods that 3.1 had."""

        def __getattribute__(self, name):
            def method(**parameters):
                calls.append((name, parameters))
                return ([], 0) if name == "get_all" else {"id": "a"}

            return method if name in expected else super().__getattribute__(name)

    place = {"collection_id": "note", "parent_id": "alice"}
    one = {**place, "object_id": "a"}
    expected = {
        "collection_timestamp": place,
        "get": one,
        "get_all": place,
        "create": {**place, "record": {"id": "a"}},
        "update": {**one, "record": {"id": "a"}},
        "delete": one,
        "delete_all": place,
    }
    model = Model(Recorder(), collection_id="note", parent_id="alice")
    model.locking = locking
    model.timestamp()
    model.get_record("a")
    model.get_records()
    model.create_record({"id": "a"})
    model.update_record({"id": "a"})
    model.delete_record({"id": "a"})
    model.delete_records()
    assert {name for name, _ in calls} == set(expected)
    for name, parameters in calls:
        assert parameters.items() >= expected[name].items()
