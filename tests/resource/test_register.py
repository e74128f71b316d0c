"""Registration of resources, and their viewsets."""

import sys
import types

import colander
import pytest
import webtest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError

import cliquet
from cliquet import resource, schema
from cliquet.authorization import DYNAMIC, PRIVATE, RouteFactory
from cliquet.resource import (
    ShareableResource,
    ShareableViewSet,
    UserResource,
    ViewSet,
    register_resource,
)
from tests.resource.apps import SETTINGS, AnyFields, Book, Note, Page


@pytest.fixture
def module(monkeypatch):
    """An empty module, for applications to scan."""
    module = types.ModuleType("library_of_one_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def scanned(module, **settings):
    config = Configurator(settings={**SETTINGS, **settings})
    cliquet.initialize(config, version="1.0")
    config.scan(module)
    config.commit()
    return config


MEMORY = {"storage_backend": "cliquet.storage.memory"}


def declare(module, base="UserResource", registered="resource.register()"):
    """Do what an application's module does."""
    source = f"""
from cliquet import resource

@{registered}
class Thing(resource.{base}):
    pass
"""
    exec(source, module.__dict__)


def patterns(config):
    return {
        route["introspectable"]["pattern"].lstrip("/")
        for route in config.introspector.get_category("routes")
    }


def test_resource_is_registered_when_its_module_is_scanned(module):
    declare(module)
    assert {"v1/things", "v1/things/{id}"} <= patterns(scanned(module, **MEMORY))


def test_arguments_are_attributes_of_the_viewset(module):
    arguments = "name='object', collection_path='/all/{resource_name}s', record_path='/o/{{id}}'"
    declare(module, registered=f"resource.register({arguments})")
    assert {"v1/all/objects", "v1/o/{id}"} <= patterns(scanned(module, **MEMORY))


def test_class_can_be_registered_several_times(module):
    declare(module, registered="resource.register()\n@resource.register(name='other')")
    assert {"v1/things", "v1/others"} <= patterns(scanned(module, **MEMORY))


@pytest.mark.parametrize("prefix", ["", "CLIQUET_", "LIBRARY_"])
@pytest.mark.parametrize("name", ["doc", "my-doc", "my.doc"])
def test_environment_alone_decides_of_a_resource(module, monkeypatch, prefix, name):
    written = name.replace("-", "_").replace(".", "_").upper()
    for variable, value in {
        f"COLLECTION_{written}_POST_ENABLED": "false",
        f"{written}_READ_PRINCIPALS": "system.Everyone",
        f"{written}_CACHE_EXPIRES_SECONDS": "7",
    }.items():
        monkeypatch.setenv(prefix + variable, value)
    declare(module, "ShareableResource", f"resource.register(name={name!r})")
    config = scanned(module, **MEMORY, permission_backend="cliquet.permission.memory")
    client = webtest.TestApp(config.make_wsgi_app())
    client.post_json(f"/v1/{name}s", {"data": {}}, status=405)
    assert client.get(f"/v1/{name}s").headers["Cache-Control"] == "max-age=7"


@pytest.mark.parametrize("arguments", ["", ", name='object'", ", viewset=resource.ViewSet()"])
def test_resource_is_registered_without_a_decorator(module, arguments):
    declare(module, registered="(lambda cls: cls)")
    exec(f"resource.register_resource(Thing{arguments})", module.__dict__)
    name = "object" if "name" in arguments else "thing"
    assert {f"v1/{name}s", f"v1/{name}s/{{id}}"} <= patterns(scanned(module, **MEMORY))


def test_services_of_a_scanned_module_are_added_once(module):
    declare(module, registered="(lambda cls: cls)")
    exec("collection, record = resource.register_resource(Thing)", module.__dict__)
    routes = scanned(module, **MEMORY).introspector.get_category("routes")
    paths = [route["introspectable"]["pattern"].lstrip("/") for route in routes]
    assert (paths.count("v1/things"), paths.count("v1/things/{id}")) == (1, 1)


def test_resource_registered_without_a_decorator_needs_a_storage_too(module):
    declare(module, registered="(lambda cls: cls)")
    exec("resource.register_resource(Thing)", module.__dict__)
    with pytest.raises(ConfigurationError, match="storage_backend"):
        scanned(module)


def test_settings_disable_endpoints_of_a_resource_registered_without_a_decorator(module):
    declare(module, registered="(lambda cls: cls)")
    exec("resource.register_resource(Thing, name='object')", module.__dict__)
    config = scanned(module, collection_object_post_enabled="false", **MEMORY)
    app = webtest.TestApp(config.make_wsgi_app())
    app.post_json("/v1/objects", {}, status=405)


def test_name_of_the_class_names_the_urls(module):
    declare(module)
    module.Thing.name = "fungi"
    assert {"v1/fungis", "v1/fungis/{id}"} <= patterns(scanned(module, **MEMORY))


def test_resource_without_storage_is_an_error_with_the_setting(module):
    declare(module)
    with pytest.raises(ConfigurationError, match="storage_backend"):
        scanned(module)


def test_shareable_resource_without_permission_backend_is_an_error(module):
    declare(module, "ShareableResource")
    with pytest.raises(ConfigurationError, match="permission_backend"):
        scanned(module, **MEMORY)
    with pytest.raises(ConfigurationError, match="storage_backend"):
        scanned(module, permission_backend="cliquet.permission.memory")
    both = {"permission_backend": "cliquet.permission.memory", **MEMORY}
    assert "v1/things" in patterns(scanned(module, **both))


class TestRegisterResource:
    def test_services_have_their_viewset_and_resource(self):
        collection, record = register_resource(Book)
        assert (collection.type, record.type) == ("collection", "record")
        assert collection.name == "book-collection"
        assert record.name == "book-record"
        for service in (collection, record):
            assert service.resource is Book
            assert isinstance(service.viewset, ViewSet)
            assert service.collection_path == "/books"
            assert service.record_path == "/books/{id}"
        assert (collection.path, record.path) == ("/books", "/books/{id}")
        assert collection.defined_methods == ["GET", "HEAD", "POST", "DELETE"]
        assert record.defined_methods == ["GET", "HEAD", "PUT", "PATCH", "DELETE"]

    def test_viewset_can_be_given(self):
        viewset = ViewSet(collection_path="/them", record_path="/them/{{id}}")
        collection, record = register_resource(Book, viewset=viewset)
        assert collection.viewset is viewset
        assert (collection.path, record.path) == ("/them", "/them/{id}")

    def test_arguments_override_the_viewset_that_is_given(self):
        viewset = ViewSet(collection_path="/them", record_path="/them/{{id}}")
        collection, record = register_resource(Book, viewset=viewset, collection_path="/us")
        assert (collection.path, record.path) == ("/us", "/them/{id}")

    def test_class_can_have_its_own_viewset(self):
        class Views(ViewSet):
            record_methods = ("GET",)

        class Short(UserResource):
            default_viewset = Views

        _, record = register_resource(Short)
        assert record.defined_methods == ["GET", "HEAD"]

    def test_constructor_without_context_parameter_is_supported(self, build):
        class Old(UserResource):
            mapping = AnyFields()

            def __init__(self, request):
                super().__init__(request)
                self.seen = self.context

        alice = build(Old).user("alice")
        record = alice.create("/olds", {"n": 1})
        assert alice.put(f"/olds/{record['id']}", {"n": 2}, status=200).json["data"]["n"] == 2

    def test_class_whose_constructor_takes_anything_is_left_alone(self):
        class Any(UserResource):
            def __init__(self, request, **kwargs):
                super().__init__(request, **kwargs)

        assert [service.resource for service in register_resource(Any)] == [Any, Any]


class TestDisabledEndpoints:
    def test_methods_are_those_of_the_registration(self, build):
        methods = {"collection_methods": ("GET", "POST"), "record_methods": ("get", "put")}
        alice = build((Note, methods)).user("alice")
        note = alice.create("/notes")
        alice.delete("/notes", status=405)
        alice.get(f"/notes/{note['id']}")
        alice.put(f"/notes/{note['id']}", {})
        assert alice.delete(f"/notes/{note['id']}", status=405).json["errno"] == 115

    def test_settings_disable_endpoints(self, build):
        settings = {
            "collection_note_delete_enabled": "false",
            "record_note_patch_enabled": "no",
            "record_note_get_enabled": "true",
        }
        alice = build(Note, Book, settings=settings).user("alice")
        note = alice.create("/notes")
        alice.delete("/notes", status=405)
        alice.patch(f"/notes/{note['id']}", {}, status=405)
        alice.get(f"/notes/{note['id']}", status=200)
        alice.delete("/books", status=200)

    def test_settings_refer_to_resources_by_name(self, build):
        settings = {"collection_memo_delete_enabled": "false"}
        alice = build((Note, {"name": "memo"}), settings=settings).user("alice")
        alice.delete("/memos", status=405)

    @pytest.mark.parametrize("engine", ["memory", "sqlite"])
    def test_readonly_keeps_reading_methods(self, build, engine):
        build(Note, Page).user("alice").create("/notes")
        alice = build(Note, Page, settings={"readonly": "true"}).user("alice")
        listed = alice.get("/notes")
        assert listed.headers["ETag"]
        alice.head("/notes", status=200)
        alice.get("/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10", status="4*")
        for path, method in [
            ("/notes", "POST"),
            ("/notes", "DELETE"),
            ("/pages", "POST"),
            ("/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10", "PUT"),
            ("/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10", "PATCH"),
            ("/notes/e0e4f2d4-1f5e-4a1a-9b6a-0c1a6d3b7f10", "DELETE"),
        ]:
            body = {"data": {}} if method in ("POST", "PUT", "PATCH") else None
            alice.send(method, path, body, status=405)


class TestViewSet:
    def test_most_specific_arguments_win(self):
        viewset = ViewSet(
            default_arguments={"a": 1, "b": 1, "c": 1, "d": 1},
            default_get_arguments={"b": 2, "c": 2, "d": 2},
            default_collection_arguments={"c": 3, "d": 3},
            collection_get_arguments={"d": 4},
        )
        arguments = viewset.get_view_arguments("collection", Book, "GET")
        del arguments["schema"]
        assert arguments == {"a": 1, "b": 2, "c": 3, "d": 4}
        again = viewset.collection_arguments(Book, "GET")
        del again["schema"]
        assert again == arguments
        arguments = viewset.record_arguments(Book, "get")
        assert (arguments["c"], arguments["d"]) == (2, 2)

    def test_method_that_has_no_arguments_gets_the_default_ones(self):
        arguments = ViewSet().get_view_arguments("record", Book, "TRACE")
        del arguments["schema"]
        assert arguments == {"permission": PRIVATE, "accept": ["application/json"]}

    @pytest.mark.parametrize("viewset", [ViewSet, ShareableViewSet])
    @pytest.mark.parametrize("endpoint_type", ["collection", "record"])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "options"])
    def test_every_method_has_a_schema_and_a_list_of_types(self, viewset, endpoint_type, method):
        arguments = viewset().get_view_arguments(endpoint_type, Page, method)
        assert isinstance(arguments["schema"], colander.SchemaNode)
        assert isinstance(arguments["accept"], list)

    @pytest.mark.parametrize("place", ["default_arguments", "default_collection_arguments"])
    def test_schema_of_the_defaults_gives_way_to_that_of_the_resource(self, place):
        viewset = ViewSet(**{place: {"schema": colander.MappingSchema()}})
        node = viewset.collection_arguments(Book, "POST")["schema"]
        assert "title" in node["data"]

    def test_schema_of_the_arguments_is_kept(self):
        schema = colander.MappingSchema()
        viewset = ViewSet(collection_post_arguments={"schema": schema})
        assert viewset.collection_arguments(Book, "POST")["schema"] is schema

    def test_arguments_of_one_view_are_not_shared_with_another(self):
        viewset = ViewSet()
        viewset.collection_arguments(Book, "POST")["x"] = 1
        assert "x" not in viewset.collection_arguments(Note, "POST")
        assert "x" not in ViewSet.default_arguments

    def test_schema_of_the_resource_is_for_post_and_put(self):
        viewset = ViewSet()
        for method, unknown in [("POST", {"pages"}), ("put", {"pages"}), ("PATCH", set())]:
            data = viewset.get_record_schema(Book, method)["data"]
            assert {node.name for node in data} >= unknown
        assert list(viewset.get_record_schema(Book, "PATCH")["data"]) == []

    @pytest.mark.parametrize("viewset", [ViewSet, ShareableViewSet])
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_other_keys_are_refused_by_the_methods_that_are_validated(self, viewset, method):
        shared = type("SharedBook", (ShareableResource,), {"mapping": Book.mapping})
        body = {"data": {"title": "x", "pages": 1}, "other": 1}
        with pytest.raises(colander.Invalid):
            viewset().get_record_schema(shared, method).deserialize(body)
        lax = viewset(validate_schema_for=())
        assert lax.get_record_schema(shared, method).deserialize(body) == body

    @pytest.mark.parametrize("viewset", [ViewSet, ShareableViewSet])
    def test_changes_needn_t_be_whole_records(self, viewset):
        shared = type("SharedBook", (ShareableResource,), {"mapping": Book.mapping})
        schema = viewset().get_record_schema(shared, "PATCH")
        assert schema.deserialize({"data": {"pages": "x"}}) == {"data": {"pages": "x"}}

    @pytest.mark.parametrize("viewset", [ViewSet, ShareableViewSet])
    @pytest.mark.parametrize("method", ["GET", "head", "DELETE", "OPTIONS"])
    def test_schema_of_a_method_without_body_has_no_data(self, viewset, method):
        shared = type("SharedBook", (ShareableResource,), {"mapping": Book.mapping})
        schema = viewset().get_record_schema(shared, method)
        assert list(schema) == []
        assert schema.deserialize({"other": 1}) == {"other": 1}

    def test_methods_with_validated_data_can_be_chosen(self):
        viewset = ViewSet(validate_schema_for=("post",))
        assert list(viewset.get_record_schema(Book, "PUT")["data"]) == []

    def test_permission_is_private_or_depends_on_the_request(self):
        assert ViewSet().collection_arguments(Book, "GET")["permission"] == PRIVATE
        assert ShareableViewSet().collection_arguments(Page, "GET")["permission"] == DYNAMIC

    def test_names(self):
        viewset = ViewSet()
        assert viewset.get_view("collection", "GET") == "collection_get"
        assert viewset.get_view("record", "GET") == "get"
        assert viewset.get_name(Book) == "book"
        assert ViewSet(name="tome").get_name(Book) == "tome"

    @pytest.mark.parametrize("name, found", [("fungi", "fungi"), ("", "thing"), (None, "thing")])
    def test_name_can_be_an_attribute_of_the_resource(self, name, found):
        thing = type("Thing", (UserResource,), {"name": name})
        assert ViewSet().get_name(thing) == found
        assert ViewSet(name="tome").get_name(thing) == "tome"

    def test_name_of_the_resource_can_be_something_else(self):
        thing = type("Thing", (UserResource,), {"name": property(lambda self: "computed")})
        assert ViewSet().get_name(thing) == "thing"

    def test_services_have_the_names_of_the_resource(self):
        viewset = ViewSet()
        assert viewset.get_service_name("record", Book) == "book-record"
        assert ShareableViewSet().get_service_arguments()["factory"] is RouteFactory

    def test_name_can_be_an_attribute_of_a_class_of_viewsets(self):
        class Views(ViewSet):
            name = "tome"

        assert Views().get_name(Book) == "tome"

    def test_factory_can_be_another(self):
        class Factory(RouteFactory):
            pass

        assert ViewSet(factory=Factory).get_service_arguments()["factory"] is Factory

    def test_endpoints_are_enabled_unless_the_settings_say_otherwise(self):
        enabled = ViewSet().is_endpoint_enabled
        assert enabled("record", "book", "get", {})
        assert not enabled("record", "book", "get", {"record_book_get_enabled": "false"})
        for value in ("", None, False):  # set but empty
            assert not enabled("record", "book", "get", {"record_book_get_enabled": value})
        assert not enabled("record", "book", "put", {"readonly": True})
        for method in ("get", "HEAD", "options"):
            assert enabled("record", "book", method, {"readonly": True})
        assert enabled("record", "book", "put", {"readonly": "false"})

    def test_shareable_patch_needs_neither_data_nor_permissions(self):
        schema = ShareableViewSet().get_record_schema(Page, "PATCH")
        assert schema.deserialize({"permissions": {}}) == {"permissions": {}}
        assert schema.deserialize({}) == {}


NAMES = """
    ACTIONS ERRORS classname encode_header http_error logger native_value raise_invalid
    decode64 decode_header dict_subset encode64 send_alert
    COMPARISON Filter Sort ResourceSchema UserResource ShareableResource
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_names_of_other_modules_are_imported(name):
    assert hasattr(resource, name)


def test_schema_has_both_names_of_the_base():
    assert schema.NewResourceSchema is resource.ResourceSchema
    assert issubclass(schema.ResourceSchema, schema.NewResourceSchema)


def test_names_that_applications_import_are_there():
    assert resource.BaseResource is UserResource
    for name in resource.__all__:
        assert hasattr(resource, name)
