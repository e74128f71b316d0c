"""Schemas of resources."""

import time

import colander
import pytest

from cliquet import schema as old_name
from cliquet.resource import schema
from cliquet.utils.schemas import deserialize
from tests.resource.apps import BookSchema


def messages(node, value):
    with pytest.raises(colander.Invalid) as caught:
        node.deserialize(value)
    return caught.value.asdict()


class TestResourceSchema:
    def test_missing_options_have_defaults(self):
        class Strange(schema.ResourceSchema):
            class Options:
                pass

        assert Strange().get_option("unique_fields") == ()
        assert Strange().get_option("readonly_fields") == ()
        assert Strange().get_option("preserve_unknown") is False

    def test_options_can_extend_those_of_another_schema(self):
        class More(BookSchema):
            class Options:
                readonly_fields = (*BookSchema.Options.readonly_fields, "pages")

        assert More().get_option("readonly_fields") == ("code", "pages")
        assert More().is_readonly("pages")
        assert not More().is_readonly("title")

    def test_unknown_fields_are_dropped_or_kept(self):
        class Keep(schema.ResourceSchema):
            class Options:
                preserve_unknown = True

        assert Keep().deserialize({"a": 1}) == {"a": 1}
        assert schema.ResourceSchema().deserialize({"a": 1}) == {}

    def test_schema_can_have_its_own_type(self):
        class Strict(schema.ResourceSchema):
            def schema_type(self):
                return colander.Mapping(unknown="raise")

        with pytest.raises(colander.Invalid):
            Strict().deserialize({"a": 1})

    def test_fields_can_prepare_their_values(self):
        class Stripped(colander.SchemaNode):
            schema_type = colander.String
            missing = None

            def preparer(self, value):
                return value.strip() if value else value

        class Strips(schema.ResourceSchema):
            a = Stripped()
            b = Stripped(missing=colander.drop)

        assert Strips().deserialize({"a": " x "}) == {"a": "x"}
        assert Strips().deserialize({}) == {"a": None}


class TestTimeStamp:
    def test_alone_it_is_now(self):
        assert abs(schema.TimeStamp().deserialize() - time.time() * 1000) < 60_000
        assert isinstance(schema.TimeStamp().deserialize(colander.null), int)

    def test_value_is_taken(self):
        assert schema.TimeStamp().deserialize(12) == 12
        assert schema.TimeStamp().deserialize("12") == 12

    def test_without_auto_now_the_missing_value_is(self):
        assert schema.TimeStamp(auto_now=False).deserialize() is None
        assert schema.TimeStamp(auto_now=False, missing=-1).deserialize() == -1
        node = schema.TimeStamp(auto_now=False, missing=colander.required)
        with pytest.raises(colander.Invalid):
            node.deserialize()

    def test_values_that_are_not_integers_are_invalid(self):
        assert messages(schema.TimeStamp(name="t"), "abc") == {"t": '"abc" is not a number'}

    def test_title_is_descriptive(self):
        assert schema.TimeStamp().title == "Epoch timestamp"


class TestBooleans:
    class Switches(schema.ResourceSchema):
        on = colander.SchemaNode(colander.Boolean())
        off = colander.SchemaNode(colander.Boolean(), missing=colander.drop)
        own = colander.SchemaNode(colander.Boolean(("nope",), ("yep",)), missing=colander.drop)
        no = colander.SchemaNode(colander.Boolean(("nope",)), missing=colander.drop)
        many = colander.SchemaNode(
            colander.Sequence(), colander.SchemaNode(colander.Boolean()), missing=colander.drop
        )

    TRUE = [True, 1, "true", "TRUE", "yes", "on", "1", 2, -1, 1.5, 1.0, 1e20, 10**20]
    FALSE = [False, 0, 0.0, "false", "False", "no", "off", "0"]
    NEITHER = ["maybe", "", " ", "2", "1.5", "y", [], [True], [1], {}, {"a": 1}]

    @pytest.mark.parametrize("value", TRUE)
    def test_words_of_truth_and_numbers_are_true(self, value):
        assert self.Switches().deserialize({"on": value}) == {"on": True}

    @pytest.mark.parametrize("value", FALSE)
    def test_words_of_falsehood_and_zero_are_false(self, value):
        assert self.Switches().deserialize({"on": value}) == {"on": False}

    @pytest.mark.parametrize("value", NEITHER)
    def test_anything_else_is_invalid(self, value):
        for changes in ({"on": value}, {"off": value}, {"many": [value]}, {"own": value}):
            with pytest.raises(colander.Invalid):
                deserialize(self.Switches(), {"on": True, **changes})

    def test_null_is_missing(self):
        assert messages(self.Switches(), {"on": None}) == {"on": "Required"}
        assert self.Switches().deserialize({"on": True, "off": None}) == {"on": True}

    def test_choices_of_the_schema_are_kept(self):
        read = self.Switches().deserialize
        assert read({"on": 1, "own": "yep", "no": "nope"}) == {"on": True, "own": True, "no": False}
        assert "own" in messages(self.Switches(), {"on": 1, "own": "true"})

    def test_clones_and_other_types_are_left(self):
        class Own(colander.Boolean):
            pass

        class Mixed(schema.ResourceSchema):
            own = colander.SchemaNode(Own())
            strict = colander.SchemaNode(colander.Boolean())

        clone = Mixed().clone().bind()
        assert type(clone["own"].typ) is Own
        assert type(clone["strict"].typ) is schema.StrictBoolean


class TestURL:
    VALID = [
        "http://a.example",
        "https://a.example/b?c=d#e",
        "http://a.example/" + "b" * 2000,
        "HTTP://A.EXAMPLE/",
        "http://a.example:80",
        "https://myserver:9999/x",
        "https://u:p@example.com/x",
        "http://intranet/page",
        "http://localhost",
        "http://a",
        "http://a_b.org/",
        "http://1.2.3.4/",
        "http://[::1]/",
        "http://a.example/é",
        "http://é.example/",
        "http://a.example/a b",
        "http://a.example/(b)",
        "http://a.example/b_(c(d)e)",
        "http://" + "a" * 100 + ".com",
        "ws://a.example",
        "ftp://ftp.example/file",
        "about:blank",
        "about:config?filter=a",
        "chrome://settings",
        "chrome-extension://abcdef/page.html",
        "moz-extension://0a1b2c/page.html",
        "file:///etc/hosts",
        "file:///C:/a.txt",
        "data:text/plain,x",
        "data:image/png;base64,iVBORw0KGgo=",
        "mailto:you@example.com",
        "tel:0123456",
        "javascript:alert(1)",
        "urn:isbn:0451450523",
        "www.example.com",
        "www2.example.com/x",
        "example.com/page",
    ]
    INVALID = [
        "",
        "  ",
        "not a url",
        "a",
        "1",
        "example.com",
        "example.com/",
        "example/page",
        "//a.example",
        "/page",
        "?a=b",
        "you@example.com",
        "10:00",
        "2016-01-01T10:00:00",
        "http:",
        "http://",
        "http:// a.example",
        "http://(",
        "x:abc",
        "://a.example",
        "http//a.example",
        "http://a.example/" + "b" * 2048,
        None,
        colander.null,
    ]

    @pytest.mark.parametrize("url", VALID)
    def test_urls_are_valid(self, url):
        assert schema.URL().deserialize(url) == url

    @pytest.mark.parametrize("bad", INVALID)
    def test_others_are_not(self, bad):
        with pytest.raises(colander.Invalid):
            schema.URL().deserialize(bad)

    @pytest.mark.parametrize(
        "text",
        [
            "http://(" + "a" * 50_000,
            "http:" + "(a" * 20_000,
            "a." * 50_000,
            "http:/" + "." * 50_000,
        ],
    )
    def test_long_strings_are_refused_fast(self, text):
        start = time.perf_counter()
        with pytest.raises(colander.Invalid):
            schema.URL().deserialize(text)
        assert time.perf_counter() - start < 1

    def test_length_is_at_most_2048(self):
        url = "http://a.example/"
        longest = url + "b" * (2048 - len(url))
        assert schema.URL().deserialize(longest) == longest
        with pytest.raises(colander.Invalid):
            schema.URL().deserialize(longest + "b")

    def test_white_space_is_stripped(self):
        assert schema.URL().deserialize("  http://a.example\n") == "http://a.example"

    def test_it_can_be_missing(self):
        assert schema.URL(missing="").deserialize(colander.null) == ""


class TestPermissionsSchema:
    def test_any_permission_is_known_by_default(self):
        given = {"read": ["a", "b"], "x": []}
        assert schema.PermissionsSchema().deserialize(given) == given

    def test_permission_that_is_not_known_is_invalid(self):
        node = schema.PermissionsSchema(name="permissions", permissions=("read", "write"))
        assert node.deserialize({"read": ["a"]}) == {"read": ["a"]}
        assert messages(node, {"reed": []}) == {"permissions": '"reed" is not one of read, write'}

    @pytest.mark.parametrize("bad", [1, "abc", None, {"a": 1}, True])
    def test_principals_that_are_not_a_list_are_invalid(self, bad):
        errors = messages(schema.PermissionsSchema(name="permissions"), {"read": bad})
        assert errors == {"permissions.read": f'"{bad}" is not iterable'}

    @pytest.mark.parametrize("bad", [1, None, [], {}, True, "", "a" * 2000])
    def test_principals_that_are_not_strings_are_reported_by_position(self, bad):
        errors = messages(schema.PermissionsSchema(name="permissions"), {"read": ["a", bad]})
        assert list(errors) == ["permissions.read.1"]

    @pytest.mark.parametrize("good", [("a", "b"), ["a", "b"]])
    def test_principals_are_lists(self, good):
        assert schema.PermissionsSchema().deserialize({"read": good}) == {"read": ["a", "b"]}

    @pytest.mark.parametrize("bad", [[], "x", 1])
    def test_permissions_that_are_not_an_object_are_invalid(self, bad):
        with pytest.raises(colander.Invalid):
            schema.PermissionsSchema().deserialize(bad)

    def test_they_can_be_missing(self):
        assert schema.PermissionsSchema(missing=colander.drop).deserialize() is colander.drop
        assert schema.PermissionsSchema(missing=colander.null).deserialize() is colander.null
        assert schema.PermissionsSchema(missing=None).deserialize() is None


@pytest.mark.parametrize("name", ["PermissionsSchema", "TimeStamp", "URL"])
def test_old_module_has_the_same_names(name):
    assert getattr(old_name, name) is getattr(schema, name)
    assert name in old_name.__all__


@pytest.mark.parametrize("body", [None, [], "text", 5, colander.null])
def test_body_that_is_not_an_object_is_invalid(body):
    payload = schema.PayloadSchema(colander.SchemaNode(colander.Mapping(), name="data"))
    assert messages(payload, body)
