"""Errors in the settings are all reported when the application starts."""

import functools
import logging
import os
import re
import subprocess
import sys
import textwrap

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.paster import get_app

import cliquet
from cliquet.authentication import BasicAuthAuthenticationPolicy
from cliquet.settings import DEFAULT_SETTINGS, SETTINGS, load_default_settings, type_of
from cliquet.settings import validation as checks
from cliquet.settings.types import (
    HEADER_NAMES,
    LIMIT,
    TEXT,
    TIME_LIMIT,
    VERSION,
    WORDS,
    called_with,
)
from cliquet.state import state_of
from cliquet.utils import env_name
from cliquet.utils.installation import install_command
from tests import postgresql_server, processes, redis_server
from tests.scripts.myapp import application_with_resources


def refused(settings, **options):
    """The lines that report errors in the settings."""
    config = Configurator(settings={"userid_hmac_secret": "x", **settings})
    with pytest.raises(ConfigurationError) as raised:
        cliquet.initialize(config, **{"version": "1.0", "project_name": "myapp", **options})
    lines = str(raised.value).splitlines()
    return lines if len(lines) == 1 else [line.strip() for line in lines[1:]]


def started(settings, *includes, **options):
    config = Configurator(settings={"userid_hmac_secret": "x", **settings})
    cliquet.initialize(config, **{"version": "1.0", "project_name": "myapp", **options})
    for include in includes:
        config.include(include)
    return config.make_wsgi_app()


def make_app(global_config, **settings):
    """Be the application of a configuration file."""
    return started(settings)


WRONG = {
    "batch_max_requests": ("lots", "an integer, 0 or more"),
    "backoff": ("-1", "an integer, 0 or more"),
    "eos": ("never", "a date (ISO 8601)"),
    "readonly": ("perhaps", "true or false"),
    "retry_after_seconds": (1.5, "an integer, 0 or more"),
    "http_api_version": ("one", "a version such as 1.0"),
    "storage_max_overflow": ("some", "an integer"),
    "id_generator": ("no.such.class", "the dotted name of a class or function: No module named"),
    "includes": ("json no.such", "a list of dotted names of importable objects: No module"),
    "initialization_sequence": ("json.loads json", "a list of dotted names of functions"),
    "logging_renderer": ("cliquet.logs:Nothing", "the dotted name of a class or function"),
    "multiauth.authorization_policy": (".relative", "the dotted name of a class or function"),
    "multiauth.groupfinder": ("json", "the dotted name of a class or function"),
    "statsd_backend": ("json", "a module with load_from_config"),
    "batch_timeout_seconds": (10**400, "a number of seconds above 0"),
    "vary": ("Origin Acc\x00ept", "a list of header names"),
    "http_scheme": ("htps", "http or https"),
    "mushroom_cache_expires_seconds": ("soon", "an integer, 0 or more"),
    "collection_mushroom_get_enabled": ("maybe", "true or false"),
}


#: Functions that can't be called with the arguments that the toolkit passes.
UNCALLABLE = {
    "id_generator": "os.getcwd",
    "initialization_sequence": "cliquet.initialization.setup_cache os.path.samefile",
    "logging_renderer": "os.path.samefile",
    "multiauth.authorization_policy": "os.path.exists",
    "multiauth.groupfinder": "os.path.exists",
    "tm.manager_hook": "os.path.samefile",
}


def test_functions_with_wrong_parameters_are_reported():
    lines = refused(UNCALLABLE)
    assert len(lines) == len(UNCALLABLE)
    for key, value in UNCALLABLE.items():
        expected = f"{type_of(key).expected}: it has the wrong parameters: "
        start = f"{key} = {value!r} (from the configuration): expected {expected}"
        assert [line for line in lines if line.startswith(start)], key


# Objects that a file can't contain, but the code of an application can pass.
@pytest.mark.parametrize("value", [[1], {1: 2}, (1,), b"x", object()])
def test_objects_that_are_not_strings_are_reported(value):
    types = (TEXT, VERSION, WORDS, HEADER_NAMES)
    keys = {setting.key for setting in SETTINGS if setting.type in types} - {"project_name"}
    lines = refused(dict.fromkeys(keys, value))
    assert len(lines) == len(keys)
    for key in keys:
        start = f"{key} = {value!r} (from the configuration): expected {type_of(key).expected}"
        assert start in lines
    (line,) = refused({}, project_name=value)
    assert line == f"project_name = {value!r}: expected a string"


@pytest.mark.parametrize("key", ["multiauth.policies", "event_listeners", "cors_origins"])
def test_numbers_in_a_list_of_words_are_reported(key):
    (line,) = refused({key: "[1, 2]"})
    assert line == f"{key} = [1, 2] (from the configuration): expected a list of words"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("json", "'json' has no function includeme"), ("nowhere", "No module named 'nowhere'")],
)
def test_policies_that_cannot_be_included_are_reported(name, reason):
    (line,) = refused({"multiauth.policies": name})
    assert line == (
        f"multiauth.policies = {name!r} (from the configuration): expected policy names, each with "
        f"a class: multiauth.policy.{name}.use is not set: {reason}"
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"use": "os.path.samefile"}, "missing a required argument: 'f1'"),
        ({"use": "tests.test_checks.Policy", "relm": "x"}, "unexpected keyword argument 'relm'"),
    ],
)
def test_options_that_a_policy_does_not_have_are_reported(options, reason):
    key = "multiauth.policy.a.use"
    settings = {f"multiauth.policy.a.{name}": value for name, value in options.items()}
    (line,) = refused({"multiauth.policies": "a", **settings})
    assert line.startswith(
        f"{key} = {options['use']!r} (from the configuration): expected the dotted"
    )
    assert line.endswith(reason)


class Policy(BasicAuthAuthenticationPolicy):
    def __init__(self, realm=""):
        super().__init__(realm=realm)


def test_functions_with_unknown_parameters_are_accepted():
    assert called_with()("builtins.dict") is dict


def test_function_can_wrap_one_with_other_parameters():
    assert started({"initialization_sequence": "tests.test_checks.set_up"}).registry.is_set_up


def with_registry(function):
    @functools.wraps(function)
    def step(config):
        function(config, config.registry)

    return step


@with_registry
def set_up(config, registry):
    registry.is_set_up = True


def test_all_invalid_values_are_reported_together():
    lines = refused({key: value for key, (value, _) in WRONG.items()})
    assert len(lines) == len(WRONG)
    for key, (value, expected) in WRONG.items():
        start = f"{key} = {value!r} (from the configuration): expected {expected}"
        assert [line for line in lines if line.startswith(start)], key


@pytest.mark.parametrize("error", [AttributeError, ImportError, KeyError, OSError, ValueError])
def test_error_that_a_module_raises_is_reported(tmp_path, monkeypatch, error):
    (tmp_path / "broken.py").write_text(f"raise {error.__name__}('no such thing')")
    monkeypatch.syspath_prepend(tmp_path)
    names = {"includes": "broken", "storage_backend": "broken", "id_generator": "broken.Generator"}
    lines = refused(names)
    assert len(lines) == len(names)
    assert all("no such thing" in line for line in lines)


def numbers():
    """Return the settings that are numbers, and whether 0 is valid."""
    for setting in SETTINGS:
        expected = setting.type.expected
        if expected.startswith(("an integer", "a number")):
            yield setting.key, "0 or more" in expected or "-1 or more" in expected


#: The settings for which 0 makes no sense.
NEVER_0 = {
    "batch_timeout_seconds",
    "heartbeat_timeout_seconds",
    "live_interval_seconds",
    "live_permissions_seconds",
    "max_digits",
    "max_nesting",
    "storage_max_fetch_size",
    "retry.attempts",
    *(f"{kind}_pool_size" for kind in ("storage", "permission", "cache")),
}


def test_numbers_of_the_table_that_must_not_be_0():
    assert {key for key, accepts_0 in numbers() if not accepts_0} == NEVER_0


#: The number settings, and whether 0 is valid.
NUMBERS = {**dict(numbers()), "mushroom_cache_expires_seconds": True}
SOURCES = pytest.mark.parametrize("source", ["file", "defaults", "environment"])


def given(source, settings, monkeypatch):
    """Return the arguments of an application that reads settings from a source."""
    if source == "environment":
        for key, value in settings.items():
            monkeypatch.setenv(env_name(key), value)
        return {"settings": {}}
    settings = {f"cliquet.{key}": value for key, value in settings.items()}
    return (
        {"settings": {}, "default_settings": settings}
        if source == "defaults"
        else {"settings": settings}
    )


@SOURCES
@pytest.mark.parametrize("wrong", ["many", "-2", "1.5.5", "true", "[1]", "0"])
def test_wrong_numbers_are_refused_at_start(monkeypatch, wrong, source):
    keys = NEVER_0 if wrong == "0" else NUMBERS
    lines = refused(**given(source, dict.fromkeys(keys, wrong), monkeypatch))
    assert len(lines) == len(keys)
    for key in keys:
        form = key if source != "file" else f"cliquet.{key}"
        (line,) = (line for line in lines if line.startswith(f"{form} = '{wrong}' (from "))
        assert re.search(
            r": expected (an integer, -?\d or more|an integer from 1 to \d+|"
            r"a number of seconds above 0)$",
            line,
        )


@SOURCES
@pytest.mark.parametrize("right", ["", "None", "3", "0"])
def test_valid_numbers_are_read_at_start(monkeypatch, right, source):
    keys = {key for key, accepts_0 in NUMBERS.items() if accepts_0 or right != "0"}
    app = started(**given(source, dict.fromkeys(keys, right), monkeypatch))
    for key in keys:
        no_limit = type_of(key) in (LIMIT, TIME_LIMIT)
        if right == "3" or (right == "0" and not no_limit):
            expected = int(right)
        else:
            expected = None if no_limit else DEFAULT_SETTINGS.get(key)
        assert app.registry.settings[key] == expected, key


def test_errors_of_any_kind_are_reported_together():
    lines = refused(
        {
            "cliquet.batch_max_requests": "lots",
            "myapp.storage_backend": "cliquet.storage.redis",
            "storage_url": "postgresql://me:secret@db/x",
            "permission_backend": "no.such",
            "statsd_url": "http://localhost:8125",
            "event_listeners": "one two",
            "event_listeners.one.use": "json",
            "event_listeners.two.use": "tests.not_a_listener",
            "multiauth.policies": "basicauth fxa",
        },
        version=None,
    )
    assert sorted(line.partition(": expected")[0] for line in lines) == [
        "No version. Pass it to cliquet.initialize() or set project_version.",
        "cliquet.batch_max_requests = 'lots' (from the configuration)",
        "cliquet.storage_url = 'postgresql://me:***@db/x' (from the configuration)",
        "event_listeners.one.use = 'json' (from the configuration)",
        "event_listeners.two.use = 'tests.not_a_listener' (from the configuration)",
        "multiauth.policies = 'basicauth fxa' (from the configuration)",
        "permission_backend = 'no.such' (from the configuration)",
        "statsd_url = 'http://localhost:8125' (from the configuration)",
    ]


def test_policy_named_twice_is_refused():
    assert refused({"multiauth.policies": "basicauth basicauth"}) == [
        "multiauth.policies = 'basicauth basicauth' (from the configuration): "
        "expected each policy once"
    ]


@pytest.mark.parametrize("value", [5, True])
@pytest.mark.parametrize("key", ["multiauth.policies", "event_listeners"])
def test_value_of_another_type_than_a_list_is_one_name(key, value):
    (line,) = refused({key: value})
    assert key in line and repr(str(value)) in line


def test_errors_in_files_and_variables_are_reported_with_their_source(tmp_path, monkeypatch):
    ini = tmp_path / "app.ini"
    ini.write_text(
        "[app:main]\nuse = call:tests.test_checks:make_app\n"
        "cliquet.batch_max_requests = lots\ncliquet.eos = 2069-01-01\nmyapp.backoff = soon\n"
    )
    monkeypatch.setenv("CLIQUET_EOS", "never")
    monkeypatch.setenv("READONLY", "perhaps")
    monkeypatch.setenv("MYAPP_CACHE_BACKEND", "cliquet.cache.nowhere")
    with pytest.raises(ConfigurationError) as raised:
        get_app(str(ini))
    assert sorted(line.partition(": expected")[0] for line in str(raised.value).splitlines()) == [
        "  cache_backend = 'cliquet.cache.nowhere' "
        "(from the environment variable MYAPP_CACHE_BACKEND)",
        "  cliquet.batch_max_requests = 'lots' (from the configuration)",
        "  eos = 'never' (from the environment variable CLIQUET_EOS)",
        "  myapp.backoff = 'soon' (from the configuration)",
        "  readonly = 'perhaps' (from the environment variable READONLY)",
        "Invalid settings:",
    ]


def test_one_error_is_reported_in_one_line():
    (line,) = refused({"paginate_by": "many"})
    assert line.startswith("paginate_by = 'many'")


def test_origins_that_browsers_do_not_send_are_valid():
    started({"cors_origins": "client.example https://*.example null\n*"})


def test_consequences_of_an_error_are_not_reported():
    (line,) = refused({"paginate_by": "x", "initialization_sequence": "tests.test_checks.broken"})
    assert line.startswith("paginate_by")


def test_failure_of_a_step_without_other_errors_is_raised():
    config = Configurator(settings={"initialization_sequence": "tests.test_checks.broken"})
    with pytest.raises(ZeroDivisionError):
        cliquet.initialize(config, version="1.0", project_name="x")


def broken(config):
    """Be a step that fails."""
    return 1 / 0


def test_empty_values_and_the_defaults_are_right():
    started(dict.fromkeys((key for key in WRONG if key != "initialization_sequence"), ""))
    started(dict(DEFAULT_SETTINGS, userid_hmac_secret="x"))


@pytest.mark.parametrize("kind", ["storage", "permission", "cache"])
@pytest.mark.parametrize("module", ["no.such", "cliquet.nothing", "json", "cliquet.utils:json"])
def test_invalid_backend_is_reported(kind, module):
    (line,) = refused({f"cliquet.{kind}_backend": module})
    assert line.startswith(
        f"cliquet.{kind}_backend = '{module}' (from the configuration): "
        "expected a module with load_from_config"
    )


@pytest.mark.parametrize("kind", ["storage", "permission", "cache"])
@pytest.mark.parametrize(
    ("engine", "url", "expected"),
    [
        ("redis", "sqlite:///file", "redis://"),
        ("sqlite", "redis://localhost", "sqlite:///"),
        ("postgresql", "redis://me:secret@localhost", "postgresql://"),
        ("postgresql", "host=db password=secret", "postgresql://"),
    ],
)
def test_url_of_another_kind_is_reported_without_its_password(kind, engine, url, expected):
    settings = {f"{kind}_backend": f"cliquet.{kind}.{engine}", f"cliquet.{kind}_url": url}
    (line,) = refused(settings)
    assert line.startswith(f"cliquet.{kind}_url = ")
    assert f"(from the configuration): expected {expected}" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("package", "extra", "others"),
    [
        ("psycopg2", "postgresql", ", or psycopg2 to build it"),
        ("sqlalchemy", "postgresql", ""),
        ("redis", "redis", ""),
    ],
)
def test_missing_package_is_reported_with_the_command_that_installs_it(package, extra, others):
    program = f"""
        import sys
        sys.modules[{package!r}] = None
        import cliquet
        from pyramid.config import Configurator
        settings = {{"storage_backend": "cliquet.storage.{extra}"}}
        cliquet.initialize(Configurator(settings=settings), version="1.0", project_name="x")
    """
    python = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    command = install_command(extra)
    result = subprocess.run(python, capture_output=True, text=True, cwd=os.getcwd())
    assert (
        f"storage_backend = 'cliquet.storage.{extra}' (from the configuration): expected a module "
        f"with load_from_config: the package {package} is missing ({command}{others})"
    ) in result.stderr


def test_missing_package_of_an_extra_is_reported(monkeypatch):
    monkeypatch.setitem(checks.EXTRAS, "riak", "riaks")
    settings = {"cache_backend": "riak.cache", "multiauth.policies": "a"}
    one, other = refused({**settings, "multiauth.policy.a.use": "riak.policies.Policy"})
    assert f"the package riak is missing ({install_command('riaks')})" in one
    assert f"the package riak is missing ({install_command('riaks')})" in other


def include_what_is_missing(config):
    """Be a plugin that imports a package of its own while it is included."""
    import_what_is_missing()


def import_what_is_missing():
    raise ModuleNotFoundError("No module named 'six'", name="six.moves")


def import_another():
    raise ModuleNotFoundError("No module named 'zork'", name="zork")


def include_another(config):
    """Be a plugin that imports a package that no extra has."""
    import_another()


@pytest.mark.parametrize("package", ["six", "requests", "dateutil"])
@pytest.mark.parametrize(
    "key",
    [
        *("storage_backend", "id_generator", "includes", "initialization_sequence"),
        *("event_listeners.a.use", "multiauth.policy.a.use", "multiauth.groupfinder"),
    ],
)
def test_package_that_3_1_required_is_named_with_its_extra(tmp_path, monkeypatch, key, package):
    tmp_path.joinpath("old_plugin.py").write_text(f"import {package}.something\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "old_plugin", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    lists = {"event_listeners": "a"} if "listeners" in key else {}
    lists |= {"multiauth.policies": "a"} if "policy" in key else {}
    (line,) = refused({key: "old_plugin", **lists})
    assert line.startswith(f"{key} = 'old_plugin' ")
    assert line.endswith(f"the package {package} is missing ({install_command('legacy')})")


@pytest.mark.parametrize(
    "package, problem",
    [
        ("json", "'json' has no function includeme"),
        ("nowhere", "No module named 'nowhere'"),
        ("cliquet.nowhere", "No module named 'cliquet.nowhere'"),
        ("cliquet.logs.nowhere", "module 'cliquet.logs' has no attribute 'nowhere'"),
    ],
)
def test_includes_that_cannot_be_included_are_reported(package, problem):
    (line,) = refused({"includes": package})
    assert line == (
        f"includes = {package!r} (from the configuration): "
        f"expected {type_of('includes').expected}: {problem}"
    )


def test_plugin_that_misses_a_package_while_it_is_included_names_the_extra():
    (line,) = refused({"includes": "tests.test_checks.include_what_is_missing"})
    assert line.endswith(f"the package six is missing ({install_command('legacy')})")
    with pytest.raises(ModuleNotFoundError, match="zork"):
        started({"includes": "tests.test_checks.include_another"})


# Unknown keys.


@pytest.fixture
def warnings(caplog):
    """A function that returns what was warned of."""
    caplog.set_level(logging.WARNING, "cliquet")
    return lambda: [message.rstrip() for message in caplog.messages]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("cliquet.paginate_bi", "cliquet.paginate_by"),
        ("cliquet.storage_backends", "cliquet.storage_backend"),
        ("myapp.userid_hmac_secrte", "myapp.userid_hmac_secret"),
        ("myapp.shiny", "myapp.shiny_color"),
        ("cliquet.collection_mushroom_gett_enabled", None),
        ("cliquet.zzz", None),
        ("cliqet.paginate_by", "cliquet.paginate_by"),
        ("cliuqet.multiauth.policy.basicauth.use", "cliquet.multiauth.policy.basicauth.use"),
        ("myap.shiny_color", "myapp.shiny_color"),
    ],
)
def test_unknown_key_is_warned_of_with_the_nearest_one(warnings, key, meant):
    started({key: "1"}, default_settings={"shiny_color": "red"})
    hint = f' Did you mean "{meant}"?' if meant else ""
    assert warnings() == [f'Unknown setting "{key}".{hint}']


@pytest.mark.parametrize(
    "key",
    [
        "paginate_bi",
        "other.paginate_by",
        "cliqet.paginate_bi",
        "cliquet.own",
        "myapp.own",
        "cliquet.plugged",
        "cliquet_plugin.colour",
        "cliquet.storage_poolclass",
        "cliquet.multiauth.policy.basicauth.realm",
        "cliquet.event_listeners.mine.use",
    ],
)
def test_key_that_is_declared_or_of_a_family_is_known(warnings, key):
    value = "cliquet.drivers.postgresql.pool.QueuePoolWithMaxBacklog" if "pool" in key else "1"
    started({key: value}, plugin, default_settings={"own": "the application's own"})
    assert warnings() == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("cliquet.collection_bookmark_get_enabled", None),
        ("cliquet.bookmark_read_principals", None),
        ("myapp.bookmark_group_create_principals", None),
        ("myapp.note_cache_expires_seconds", None),
        ("cliquet.collection_bokmark_get_enabled", "cliquet.collection_bookmark_get_enabled"),
        ("cliquet.bookmarks_read_principals", "cliquet.bookmark_read_principals"),
        ("myapp.notes_cache_expires_seconds", "myapp.note_cache_expires_seconds"),
        ("myapp.zzz_cache_expires_seconds", ""),
    ],
)
def test_key_of_an_unknown_resource_is_reported_with_the_nearest_one(warnings, key, meant):
    backends = {
        f"cliquet.{kind}_backend": f"cliquet.{kind}.memory"
        for kind in ("storage", "permission", "cache")
    }
    settings = {"project_name": "myapp", "project_version": "1.0", "userid_hmac_secret": "x"}
    application_with_resources({}, **settings, **backends, **{key: "1"})
    hint = f' Did you mean "{meant}"?' if meant else ""
    assert warnings() == ([] if meant is None else [f'Unknown setting "{key}".{hint}'])


def plugin(config):
    """Be a plugin that declares its settings."""
    load_default_settings(config, {"cliquet.plugged": True, "cliquet_plugin.colour": "red"})


def test_unknown_variable_is_warned_of_when_it_is_very_like_a_known_one(warnings, monkeypatch):
    monkeypatch.setenv("CLIQUET_STORAGE_BAKEND", "cliquet.storage.memory")
    monkeypatch.setenv("MYAPP_PAGINATE_BYE", "3")
    monkeypatch.setenv("CLIQUET_PORT_80_TCP", "tcp://10.0.0.1:80")
    monkeypatch.setenv("CLIQUET_MULTIAUTH_POLICY_BASIC_AUTH_USE", "x")
    started({})
    assert sorted(warnings()) == [
        'Unknown setting "CLIQUET_STORAGE_BAKEND". Did you mean "CLIQUET_STORAGE_BACKEND"?',
        'Unknown setting "MYAPP_PAGINATE_BYE". Did you mean "MYAPP_PAGINATE_BY"?',
    ]


# Servers that are down.


def url_that_is_down(scheme, credentials="me:secret@"):
    return f"{scheme}://{credentials}127.0.0.1:{processes.free_port()}/0"


def backends(engine, url):
    kinds = ("storage", "permission", "cache")
    return {f"{kind}_backend": f"cliquet.{kind}.{engine}" for kind in kinds} | {
        f"{kind}_url": url for kind in kinds
    }


@pytest.mark.parametrize(("engine", "scheme"), [("postgresql", "postgres"), ("redis", "redis")])
def test_server_that_is_down_is_one_line_without_password(caplog, engine, scheme):
    url = url_that_is_down(scheme)
    app = started(backends(engine, url))
    (line,) = caplog.messages
    shown = url.replace("secret", "***")
    assert line.startswith(f"storage_url, permission_url, cache_url: {shown} does not respond: ")
    assert "refused" in line
    assert "\n" not in line and "secret" not in caplog.text
    assert app.registry.storage


def test_each_server_that_is_down_has_its_line(caplog):
    settings = backends("redis", url_that_is_down("redis"))
    settings["cache_url"] = url_that_is_down("redis")
    started(settings)
    assert [line.partition(":")[0] for line in caplog.messages] == [
        "storage_url, permission_url",
        "cache_url",
    ]


def test_unresponsive_redis_is_logged(caplog):
    server = redis_server.Server()
    try:
        server.pause()
        started({"cache_backend": "cliquet.cache.redis", "cache_url": server.url()})
        (line,) = caplog.messages
        assert line.startswith(f"cache_url: {server.url()} does not respond: TimeoutError")
    finally:
        server.resume()
        server.close()


def test_running_servers_are_not_logged_and_no_connection_remains(caplog):
    url = postgresql_server.shared_url()
    name = f"start-{os.getpid()}"
    mark = "&" if "?" in url else "?"
    app = started(backends("postgresql", f"{url}{mark}application_name={name}"))
    started(backends("redis", redis_server.database_url(3)))
    assert caplog.messages == []
    statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    (client,) = state_of(started(backends("postgresql", url)).registry).shared["servers"]
    deadline = 1000
    while client.read(statement, [name]) != [(0,)] and deadline:
        deadline -= 1
    assert client.read(statement, [name]) == [(0,)]
    assert app.registry.storage


def test_start_creates_no_sqlite_file(caplog, tmp_path):
    path = tmp_path / "file.sqlite"
    started(backends("sqlite", f"sqlite:///{path}"))
    assert not path.exists()
    assert caplog.messages == []
