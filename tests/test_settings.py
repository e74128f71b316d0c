import datetime
import os
import re
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyramid.config import Configurator

import cliquet
from cliquet.settings import (
    DEFAULT_SETTINGS,
    SETTINGS,
    add_resource_keys,
    load_default_settings,
    type_of,
)
from cliquet.settings import types as setting_types
from cliquet.settings.types import (
    ANY,
    BOOLEAN,
    DATE,
    JSON_FILE,
    MODULE,
    NAME,
    NAME_0,
    NAME_1,
    NAME_2,
    PACKAGES,
    SCHEME,
    TEXT,
    VERSION,
    WORDS,
    parse_date,
)
from cliquet.utils import env_name, native_value


def loaded(settings, defaults=None, *again, project="myapp"):
    settings = {"project_name": project, **settings}
    config = SimpleNamespace(registry=SimpleNamespace(), get_settings=lambda: settings)
    for default_settings in (defaults or {}, *again):
        load_default_settings(config, default_settings)
    return settings


def test_default_applies_when_no_form_of_the_key_is_set():
    assert loaded({}, {"paginate_by": 5})["paginate_by"] == 5


@pytest.mark.parametrize("form", ["paginate_by", "cliquet.paginate_by", "myapp.paginate_by"])
def test_any_form_of_a_key_sets_the_bare_one(form):
    assert loaded({form: "7"}, {"cliquet.paginate_by": 5})["paginate_by"] == 7


def test_default_can_be_prefixed_with_the_project():
    assert loaded({}, {"myapp.colour": None})["colour"] is None


def test_forms_with_different_values_are_in_conflict():
    with pytest.raises(ValueError, match=r"Settings 'backoff', 'cliquet.backoff' are in conflict"):
        loaded({"backoff": "1", "cliquet.backoff": "2"})


def test_prefixed_project_name_overrides_the_bare_one():
    config = Configurator(settings={"project_name": "one"})
    config.add_settings({"cliquet.project_name": "two"})
    cliquet.initialize(config, version="1.0")
    settings = config.get_settings()
    assert settings["project_name"] == "two"
    assert "cliquet.project_name" not in settings


def test_empty_version_in_the_file_does_not_conflict_with_the_application(serve):
    hello = serve({"cliquet.project_version": ""}, version="0.9").get("/").json
    assert hello["project_version"] == "0.9"


def test_name_of_the_project_can_have_dots_and_dashes(monkeypatch):
    settings = {"my.own-app.backoff": "1"}
    assert loaded(dict(settings), project="my.own-app")["backoff"] == 1
    monkeypatch.setenv("MY_OWN_APP_BACKOFF", "2")
    assert loaded(dict(settings), project="my.own-app")["backoff"] == 2


def test_forms_with_equal_values_do_not_conflict():
    assert loaded({"backoff": "1", "cliquet.backoff": 1})["backoff"] == 1


def test_environment_wins_and_the_toolkits_prefix_wins_over_the_others(monkeypatch):
    settings = {"cliquet.backoff": "1"}
    monkeypatch.setenv("BACKOFF", "2")
    assert loaded(dict(settings))["backoff"] == 2
    monkeypatch.setenv("MYAPP_BACKOFF", "3")
    assert loaded(dict(settings))["backoff"] == 3
    monkeypatch.setenv("CLIQUET_BACKOFF", "4")
    assert loaded(dict(settings))["backoff"] == 4


def test_dots_and_dashes_become_underscores_in_the_environment(monkeypatch):
    monkeypatch.setenv("CLIQUET_MULTIAUTH_POLICY_BASIC_AUTH_USE", "somewhere")
    key = "multiauth.policy.basic-auth.use"
    assert loaded({key: "here"})[key] == "somewhere"


def test_loading_twice_does_not_conflict_with_the_environment(monkeypatch):
    monkeypatch.setenv("CLIQUET_BACKOFF", "4")
    config = Configurator(settings={"project_name": "x", "cliquet.backoff": "1"})
    load_default_settings(config, {})
    load_default_settings(config, {"plugin.colour": "red"})
    assert config.get_settings()["backoff"] == 4
    assert config.get_settings()["plugin.colour"] == "red"


def test_project_named_as_the_toolkit_or_not_at_all_has_two_forms():
    assert loaded({"cliquet.backoff": "1"}, project="cliquet")["backoff"] == 1
    assert loaded({"cliquet.backoff": "1"}, project="")["backoff"] == 1


def test_every_setting_has_a_description_and_a_unique_key():
    assert all(setting.description.endswith(".") for setting in SETTINGS)
    assert len({setting.key for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    "setting", [each for each in SETTINGS if each.example], ids=lambda s: s.key
)
def test_example_of_a_setting_is_valid(setting):
    if not setting.example.startswith(("myapp", "/", "sqlalchemy")):  # names and files
        setting.type.parse(setting.type.read(setting.example))


def test_false_unsets_a_setting_that_is_not_a_boolean():
    types = [setting.type for setting in SETTINGS if setting.type is not BOOLEAN]
    assert {type_.read(False) for type_ in types} == {None}


def test_date_without_zone_is_utc():
    utc = datetime.UTC
    assert parse_date("2069-02-21") == datetime.datetime(2069, 2, 21, tzinfo=utc)
    assert parse_date("2069-02-21T10:00:00+02:00") == datetime.datetime(2069, 2, 21, 8, tzinfo=utc)


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("off", False), ("", None), (None, None), ("maybe", None)]
)
def test_empty_and_invalid_values_are_read_as_the_default(value, expected):
    assert BOOLEAN.get({"readonly": value}, "readonly") is expected
    assert BOOLEAN.get({}, "readonly", True) is True


def typed_reads():
    """Yield the types and keys in calls such as ``BOOLEAN.get(settings, "readonly")``."""
    for path in Path(cliquet.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        yield from re.findall(r'\b([A-Z_]+)\.get\(\s*[\w.]*settings, "([\w.]+)"', source)


def test_settings_are_read_with_the_type_in_the_table():
    reads = list(typed_reads())
    assert len(reads) > 10
    types = {setting.key: setting.type for setting in SETTINGS}
    wrong = [(name, key) for name, key in reads if getattr(setting_types, name) != types[key]]
    assert wrong == []


# Values mean the same wherever they come from.

WRITTEN = [
    "1.10",
    "off",
    "123",
    "None",
    "['a', 'b']",
    "'quoted'",
    "",
    "7",
    "-1",
    "0",
    "a text",
    "true",
]
OWN_KEYS = ["flag", "own.count", "own-list"]
FAMILY_KEYS = [
    "collection_mushroom_post_enabled",
    "mushroom_cache_expires_seconds",
    "mushroom_read_principals",
    "multiauth.policy.basicauth.realm",
    "event_listeners.mine.count",
]
#: Keys that are tried together. Families depend on lists of names, so their keys are tried alone.
#: The name of the project comes first: the forms of the other keys depend on it.
KEYS = (
    [setting.key for setting in SETTINGS][1:] + OWN_KEYS,
    *([key] for key in FAMILY_KEYS),
)
NEVER_CONVERTED = (TEXT, VERSION)
CONVERTED_IF_NONE = (NAME, NAME_0, NAME_1, NAME_2, MODULE, DATE, SCHEME, JSON_FILE)
CONVERTED_IF_LISTS = (PACKAGES, WORDS)


def values_from_all_sources(keys, text):
    """Yield the values that ``text`` has in the file, in the defaults and in the environment."""
    defaults = {**DEFAULT_SETTINGS, "event_listeners": "mine", **dict.fromkeys(OWN_KEYS, "x")}

    def values(settings, defaults):
        settings = loaded(settings, defaults)
        return {key: (type(settings[key]), settings[key]) for key in keys}

    for prefix in ("", "myapp.", "cliquet."):
        written = {f"{prefix}{key}": text for key in keys}
        yield values(written, defaults)
        yield values({}, {**defaults, **written})
        with mock.patch.dict(os.environ, {env_name(form): text for form in written}):
            yield values({}, defaults)
            yield values({f"cliquet.{key}": "other" for key in keys}, defaults)


def same_from_all_sources(keys, text):
    """Return the values that ``text`` has in every source."""
    first, *others = values_from_all_sources(keys, text)
    for other in others:
        assert other == first
    return {key: value for key, (_, value) in first.items()}


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: keys[0])
@pytest.mark.parametrize("text", WRITTEN)
def test_value_means_the_same_from_the_file_the_defaults_and_the_environment(keys, text):
    for key, value in same_from_all_sources(keys, text).items():
        kind = type_of(key)
        if kind in NEVER_CONVERTED:
            assert value == text, key
        elif kind in CONVERTED_IF_NONE and text not in ("", "None"):
            assert value == text, key
        elif kind in CONVERTED_IF_LISTS and text[:1] not in ("[", "N"):
            assert value == text, key
        elif kind in (ANY, BOOLEAN):
            assert value == native_value(text), key


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.sampled_from(KEYS))
def test_any_text_means_the_same_from_all_sources(text, keys):
    same_from_all_sources(keys, text)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("own.count", "3", 3),
        ("flag", "off", False),
        ("own-list", "['a', 'b']", ["a", "b"]),
        ("flag", "None", None),
        ("own-list", "'1.10'", "1.10"),
        ("batch_max_requests", "0", None),
        ("batch_max_requests", "", None),
        ("paginate_by", "0", None),
        ("paginate_by", "07", 7),
        ("storage_max_fetch_size", "", 10000),
        ("storage_pool_size", "", 25),
        ("cors_max_age_seconds", "0", None),
        ("heartbeat_timeout_seconds", "1.5", 1.5),
        ("cors_origins", "['http://a', 'http://b']", ["http://a", "http://b"]),
        ("project_version", "1.10", "1.10"),
        ("userid_hmac_secret", "off", "off"),
        ("cache_prefix", "1", "1"),
        ("storage_url", "123", "123"),
        ("storage_backend", "None", None),
        ("id_generator", "", "cliquet.storage.generators.UUID4"),
        ("event_listeners.mine.url", "1", "1"),
        ("event_listeners.mine.resources", "1", "1"),
        ("event_listeners.mine.actions", "['read']", ["read"]),
        ("multiauth.policy.basicauth.client_secret", "0", "0"),
        ("multiauth.policy.basicauth.debug", "true", True),
        ("collection_mushroom_post_enabled", "no", False),
        ("mushroom_read_principals", "1", "1"),
    ],
)
def test_strings_are_converted_by_the_type_of_the_setting(key, text, value):
    converted = same_from_all_sources([key], text)[key]
    assert (type(converted), converted) == (type(value), value)


def test_numbers_given_for_text_settings_become_strings():
    settings = loaded({"project_version": 1.5, "cache_prefix": 7})
    assert (settings["project_version"], settings["cache_prefix"]) == ("1.5", "7")


@pytest.mark.parametrize("source", ["file", "environment", "argument"])
def test_name_secret_and_version_of_the_application_remain_strings(monkeypatch, source):
    texts = {"project_name": "123", "project_version": "1.10", "userid_hmac_secret": "off"}
    if source == "environment":
        for key, text in texts.items():
            monkeypatch.setenv(env_name(f"cliquet.{key}"), text)
    prefixed = {f"cliquet.{key}": text for key, text in texts.items()}
    config = Configurator(settings=prefixed if source == "file" else {})
    secret = {"userid_hmac_secret": "off"} if source == "argument" else {}
    cliquet.initialize(config, "1.10", "123", default_settings=secret)
    settings = config.get_settings()
    assert {key: settings[key] for key in texts} == texts
    assert settings["http_api_version"] == "1.10"


def test_prefixed_key_remains_as_it_was_written_unless_its_value_is_another(monkeypatch):
    written = {"cliquet.backoff": "1", "myapp.flag": "off"}
    settings = loaded(dict(written))
    assert {key: settings[key] for key in written} == written
    monkeypatch.setenv("BACKOFF", "2")
    assert loaded(dict(written))["cliquet.backoff"] == 2


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: keys[0])
@pytest.mark.parametrize("text", ["", "off", "3", "None"])
def test_loading_converted_values_again_does_not_conflict(keys, text):
    written = {f"cliquet.{key}": text for key in keys}
    once = loaded(dict(written), DEFAULT_SETTINGS)
    twice = loaded(dict(written), DEFAULT_SETTINGS, {"plugin.colour": "red"})
    assert twice == {**once, "plugin.colour": "red"}


# Settings that only the environment has.

BOTH_LISTED = {"multiauth.policies": "basicauth fx a.b.fx-a", "event_listeners": "one x.y.my-own"}
VARIABLES = {
    "COLLECTION_DOC_POST_ENABLED": ("false", "collection_doc_post_enabled", False),
    "RECORD_DOC_DELETE_ENABLED": ("0", "record_doc_delete_enabled", 0),
    "DOC_READ_PRINCIPALS": ("a b", "doc_read_principals", "a b"),
    "DOC_GROUP:CREATE_PRINCIPALS": ("a", "doc_group:create_principals", "a"),
    "DOC_CACHE_EXPIRES_SECONDS": ("5", "doc_cache_expires_seconds", 5),
    "MULTIAUTH_POLICIES": ("x y", "multiauth.policies", "x y"),
    "MULTIAUTH_POLICY_BASICAUTH_USE": ("x.y", "multiauth.policy.basicauth.use", "x.y"),
    "MULTIAUTH_POLICY_FX_CACHE_TTL": ("5", "multiauth.policy.fx.cache_ttl", 5),
    "MULTIAUTH_POLICY_FX_A_CLIENT_SECRET": ("5", "multiauth.policy.fx-a.client_secret", "5"),
    "EVENT_LISTENERS_ONE_USE": ("x.y", "event_listeners.one.use", "x.y"),
    "EVENT_LISTENERS_MY_OWN_ACTIONS": ("read", "event_listeners.my-own.actions", "read"),
    "TM_ANNOTATE_USER": ("yes", "tm.annotate_user", True),
}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("prefix", ["", "CLIQUET_", "MY_APP_"])
def test_every_setting_can_come_from_the_environment_alone(monkeypatch, variable, prefix):
    text, key, value = VARIABLES[variable]
    without = loaded(dict(BOTH_LISTED), DEFAULT_SETTINGS, project="my-app")
    monkeypatch.setenv(prefix + variable, text)
    settings = loaded(dict(BOTH_LISTED), DEFAULT_SETTINGS, {"plugin": 1}, project="my-app")
    assert settings == {**without, key: value, "plugin": 1}


def test_listeners_and_policies_can_be_listed_and_configured_by_the_environment(monkeypatch):
    monkeypatch.setenv("CLIQUET_EVENT_LISTENERS", "redis")
    monkeypatch.setenv("CLIQUET_EVENT_LISTENERS_REDIS_POOL_SIZE", "5")
    monkeypatch.setenv("MULTIAUTH_POLICIES", "basicauth fxa")
    monkeypatch.setenv("MULTIAUTH_POLICY_FXA_USE", "somewhere")
    settings = loaded({}, DEFAULT_SETTINGS)
    assert settings["event_listeners.redis.pool_size"] == 5
    assert settings["multiauth.policy.fxa.use"] == "somewhere"


def test_variables_win_over_the_file_for_keys_with_dashes(monkeypatch):
    monkeypatch.setenv("COLLECTION_MY_DOC_GET_ENABLED", "false")
    key = "collection_my-doc_get_enabled"
    settings = loaded({f"cliquet.{key}": "true"})
    assert settings[key] is False
    assert "collection_my_doc_get_enabled" not in settings


def test_variable_can_begin_with_a_resource_that_is_named_as_the_project(monkeypatch):
    monkeypatch.setenv("DOC_READ_PRINCIPALS", "a")
    assert loaded({}, project="doc")["doc_read_principals"] == "a"


@pytest.mark.parametrize(
    "variable",
    ["doc_read_principals", "PRINCIPALS", "MULTIAUTH_POLICY_OTHER_USE", "EVENT_LISTENERS_ONE_"],
)
def test_other_variables_are_left_alone(monkeypatch, variable):
    without = loaded(dict(BOTH_LISTED), DEFAULT_SETTINGS)
    monkeypatch.setenv(variable, "x")
    assert loaded(dict(BOTH_LISTED), DEFAULT_SETTINGS) == without


@pytest.mark.parametrize("name", ["doc", "my-doc", "my.doc", "MyDoc"])
def test_keys_of_a_resource_whose_name_no_variable_can_have_are_added(monkeypatch, name):
    written = env_name(name)
    for form in (f"COLLECTION_{written}_GET_ENABLED", f"CLIQUET_{written}_READ_PRINCIPALS"):
        monkeypatch.setenv(form, "no")
    settings = loaded({f"{name}_write_principals": "x"})
    add_resource_keys(settings, name)
    assert settings[f"collection_{name}_get_enabled"] is False
    assert settings[f"{name}_read_principals"] == "no"
    assert settings[f"{name}_write_principals"] == "x"
