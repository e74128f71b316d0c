import base64
import importlib
import sys
import traceback
from decimal import Decimal
from pathlib import Path

import colander
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyramid.httpexceptions import HTTPNotFound

from cliquet import utils
from cliquet.utils import json, without_password
from cliquet.utils.text import query_value

SAME_IN_SETTINGS_AND_QUERY_STRINGS = [
    ("true", True),
    ("Yes", True),
    ("ON", True),
    ("false", False),
    ("no", False),
    ("off", False),
    ("12", 12),
    ("-3", -3),
    ("1.5", 1.5),
    ("1e3", 1000.0),
    ("01", "01"),
    ("9" * 4000, int("9" * 4000)),
    ("9" * 5000, "9" * 5000),
    ('"12"', "12"),
    ('"a"b"', '"a"b"'),
    ('"', '"'),
    ("null", "null"),
    ("", ""),
    ("text", "text"),
    ("http://a.b/c", "http://a.b/c"),
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *SAME_IN_SETTINGS_AND_QUERY_STRINGS,
        ("None", None),
        ("['a', 1]", ["a", 1]),
        ("{'a': (1,)}", {"a": (1,)}),
        ("'12'", "12"),
        ("1e999", float("inf")),
        ("{[]}", "{[]}"),
        ("[1", "[1"),
        ("[" * 100_000, "[" * 100_000),
        ("\0", "\0"),
        ("__import__('os')", "__import__('os')"),
        (None, None),
        (4, 4),
    ],
)
def test_native_value_evaluates_booleans_and_literals(text, value):
    assert utils.native_value(text) == value
    assert type(utils.native_value(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *SAME_IN_SETTINGS_AND_QUERY_STRINGS,
        *((text, text) for text in ("None", "[1]", "{'a': 1}", "'12'", "1e999", "1_0", "...")),
    ],
)
def test_query_value_is_a_boolean_a_json_number_or_a_string(text, value):
    assert query_value(text) == value
    assert type(query_value(text)) is type(value)


def test_read_env_converts_the_variable_or_else_the_value(monkeypatch):
    monkeypatch.setenv("A_B_C", "5")
    monkeypatch.setenv("EMPTY", "")
    assert utils.read_env("a.b-c", "1") == 5
    assert utils.read_env("empty", "x") == ""
    assert utils.read_env("zork", "on") is True
    assert utils.read_env("zork", None) is None


def test_merge_adds_missing_keys_at_any_depth():
    into = {"a": 1, "b": {"c": 2}, "d": 3}
    utils.merge_dicts(into, {"a": 9, "b": {"c": 9, "e": 4}, "d": {"x": 1}, "f": {"g": 5}})
    assert into == {"a": 1, "b": {"c": 2, "e": 4}, "d": 3, "f": {"g": 5}}


def test_subset_reads_nested_keys_and_omits_missing_ones():
    record = {"a": {"b": 1, "c": {"d": 2, "f": 4}}, "t": "x", "a.b": 3, "e": {}}
    keys = ["a.c.d", "t.deeper", "nothing", "no.thing", "e.f"]
    assert utils.dict_subset(record, keys) == {"a": {"c": {"d": 2}}, "t": "x", "e": {}}
    assert utils.dict_subset(record, ["a.b"]) == {"a": {"b": 1}}
    assert utils.dict_subset(record, ["a.b", "a.c"]) == {"a": record["a"]}
    assert utils.dict_subset(record, ["a.c.d", "a.c.f"]) == {"a": {"c": {"f": 4}}}
    assert utils.dict_subset({"a.b": 3}, ["a.b", "c.d"]) == {"a.b": 3}
    assert record == {"a": {"b": 1, "c": {"d": 2, "f": 4}}, "t": "x", "a.b": 3, "e": {}}


def test_small_helpers():
    assert utils.strip_whitespace(" \r\n\ta\x0b ") == "a\x0b"
    assert utils.strip_whitespace(colander.null) is colander.null
    assert utils.classname(HTTPNotFound()) == "httpnotfound"
    assert len(utils.random_bytes_hex(16)) == 32
    assert utils.decode64(utils.encode64("é")) == "é"
    assert utils.encode64("é") == base64.b64encode("é".encode()).decode()
    assert utils.decode_header(b"\xc3\xa9") == utils.encode_header("é") == "é"
    assert utils.json_serializer({"a": "é/"}, default=None) == '{"a":"é/"}'
    assert utils.setting_list(None) == []
    assert utils.setting_list(" a b\nc ") == ["a", "b", "c"]


def test_hmac_is_sha_256_in_hexadecimal():
    expected = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    phrase = "The quick brown fox jumps over the lazy dog"
    assert utils.hmac_digest("key", phrase) == utils.hmac_digest(b"key", phrase) == expected


@pytest.mark.parametrize(
    ("path", "stripped"),
    [
        ("/v1/a/b/", "/a/b/"),
        ("/v10", ""),
        ("/v1/", "/"),
        ("/v1//a", "//a"),
        ("/a", "/a"),
        ("/v2things", "things"),
        ("/v1.0/a", ".0/a"),
        ("/", "/"),
        (None, "None"),
    ],
)
def test_version_prefix_is_stripped(path, stripped):
    assert utils.strip_uri_prefix(path) == stripped


def test_comparisons_of_3_1_have_the_same_values():
    values = {
        "LT": "<",
        "MIN": ">=",
        "MAX": "<=",
        "NOT": "!=",
        "EQ": "==",
        "GT": ">",
        "IN": "in",
        "EXCLUDE": "exclude",
    }
    assert {name: utils.COMPARISON[name].value for name in values} == values


def test_sqlalchemy_is_an_attribute_that_is_none_when_it_is_not_installed(monkeypatch):
    assert utils.sqlalchemy is importlib.import_module("sqlalchemy")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    assert utils.sqlalchemy is None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        utils.nothing  # noqa: B018


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda values: st.lists(values) | st.dictionaries(st.text("ab"), values),
)


@given(JSON_VALUES)
def test_json_round_trip_is_lossless(value):
    assert json.loads(json.dumps(value)) == value
    assert json.same(value, json.loads(json.dumps_bytes(value)))


@pytest.mark.parametrize(
    "text",
    ["[1e400]", "NaN", "[" * 3000, '["\\ud800"]', "", "{"]
    + ["[NaN,1234567890123456789]", "[1e400,1234567890123456789]", "1" * 5000]
    + ['["\\ud800",1234567890123456789]', "[" * 100_000 + "1" * 20 + "]" * 100_000],
)
def test_json_refuses_values_that_cannot_be_stored(text):
    with pytest.raises(ValueError):
        json.loads(text)


@pytest.mark.parametrize("value", [None, 5, 1.5, [], {}, True, object()])
def test_json_reads_strings_and_bytes_only(value):
    with pytest.raises(TypeError, match=f"not {type(value).__name__}"):
        json.loads(value)


def test_json_writes_decimals_as_numbers():
    values = [Decimal("1.5"), Decimal("2")]
    assert json.dumps(values) == utils.json_serializer(values) == "[1.5,2.0]"


@pytest.mark.parametrize("value", [{1}, b"x", Decimal("NaN"), Decimal("1E-400")])
def test_json_refuses_values_that_it_does_not_know(value):
    with pytest.raises(TypeError, match=r"is not JSON serializable"):
        json.dumps({"a": value})


def test_json_writes_values_that_orjson_cannot():
    assert json.dumps([2**80, "é", "\ud800"]) == f'[{2**80},"é","\\ud800"]'
    assert json.dumps({1: {1, 2}}, default=sorted) == '{"1":[1,2]}'
    assert json.dumps({"b": {1}, "a": "é"}, default=sorted, sort_keys=True, ensure_ascii=True) == (
        '{"a": "\\u00e9", "b": [1]}'
    )


def test_same_json_is_of_the_same_types():
    assert json.same({"a": 1, "b": [True]}, {"b": [True], "a": 1})
    assert not json.same(1, True)
    assert not json.same([1], [1.0])
    assert not json.same(1, 2)


def nested(depth):
    value = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\0", "null character"),
        ({"a\0": 1}, "null character"),
        (["\ud800"], "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        (float("nan"), "finite"),
        ([float("inf")], "finite"),
        (nested(101), "deeper than 100"),
    ],
)
def test_reason_is_returned_for_values_that_cannot_be_stored(value, reason):
    assert reason in json.unstorable(value)


@pytest.mark.parametrize("value", ["é", 1, 1.5, None, True, [], {}, nested(100), {"a": ["b"]}])
def test_values_that_can_be_stored_are_not_refused(value):
    assert json.unstorable(value) is None


def test_bottom_of_the_deepest_value_is_looked_at():
    value = "\0"
    for _ in range(100):
        value = [value]
    assert "null character" in json.unstorable(value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://alice:secret@host/base", "postgresql://alice:***@host/base"),
        ("redis://:sec@ret:x@host:6379/0", "redis://:***@host:6379/0"),
        (
            "postgresql://host/base?user=a&password=secret&x=1",
            "postgresql://host/base?user=a&password=***&x=1",
        ),
        ("postgresql://host?PASSWORD=secret", "postgresql://host?PASSWORD=***"),
        ("host=a password='sec ret' user=b", "host=a password=*** user=b"),
        ("postgresql://alice@host:5432/base", "postgresql://alice@host:5432/base"),
        ("sqlite:////srv/a:b/file.sqlite", "sqlite:////srv/a:b/file.sqlite"),
        ("", ""),
    ],
)
def test_password_of_a_url_is_not_shown(url, shown):
    assert without_password(url) == shown


def test_variables_of_calls_that_failed_are_forgotten_with_those_of_their_causes():
    def connect(password):
        raise OSError(password[:0])

    def view(headers):
        try:
            connect("hunter2")
        except OSError as error:
            raise ValueError(len(headers)) from error

    try:
        view({"Cookie": "c00kie"})
    except ValueError as error:
        utils.forget_variables(error)
        calls = {
            frame.f_code.co_name: frame.f_locals
            for failure in (error, error.__cause__)
            for frame, _ in traceback.walk_tb(failure.__traceback__)
        }
    assert (calls["view"], calls["connect"]) == ({}, {})


def test_variables_are_forgotten_though_an_exception_is_its_own_cause():
    try:
        error = ValueError()
        raise error from error
    except ValueError as caught:
        utils.forget_variables(caught)


@pytest.mark.parametrize("piece", ["//a:", "//", "password=", "password='", "://x:y@", "@"])
def test_passwords_are_found_in_long_strings_in_linear_time(piece):
    text = piece * 300_000
    assert without_password(text).startswith(piece[:2])


def test_deprecation_names_the_replacement_and_the_version_that_removes_the_name():
    def old():
        utils.warn_deprecated("old", "new")

    message = r"^old is deprecated and will be removed in Cliquet 4\.0: use new$"
    with pytest.warns(DeprecationWarning, match=message) as caught:
        old()
    assert caught[0].filename == __file__


def test_every_deprecated_name_warns_in_the_same_way():
    modules = Path(utils.__file__).parents[1].rglob("*.py")
    warning = [path for path in modules if "DeprecationWarning" in path.read_text()]
    assert warning == [Path(utils.__file__)]
