"""The reference names what the code has: nothing is missing, and nothing is made up."""

import re
import runpy

import pytest
from pyramid.config import Configurator
from webtest import TestApp

import cliquet
from cliquet import events, resource
from cliquet.errors import ERRORS
from cliquet.settings.table import GROUPS, SETTINGS
from cliquet.testing import get_user_headers
from cliquet.utils.installation import install_command
from tests.docs import sources
from tests.docs.pages import DOCS, block, rows

#: Settings of Cornice and pyramid_tm that Cliquet sets or reads.
OF_LIBRARIES = ("available_languages", "handle_exceptions", r"tm\.commit_veto")


def test_errors_of_the_reference_are_those_of_the_code():
    shown = {name: int(errno) for errno, _, name, _ in rows("reference/errors")[1:]}
    assert shown == {error.name: error.value for error in ERRORS}


def test_actions_of_the_reference_are_those_of_the_code():
    shown = dict(rows("reference/events", "Actions"))
    assert shown == {str(action): action.value for action in events.ACTIONS}


def test_events_of_the_reference_are_those_of_the_code():
    shown = {row[0] for row in rows("reference/events")[1:5]}
    assert shown == {name for name in vars(events) if re.fullmatch("(After)?Resource[A-Z].+", name)}


def configured(**settings):
    """The configurator of a service with a resource."""

    class Spore(resource.UserResource):
        pass

    given = {"storage_backend": "cliquet.storage.memory", "userid_hmac_secret": "s", **settings}
    config = Configurator(settings=given)
    cliquet.initialize(config, version="1.0", project_name="reference")
    for service in resource.register_resource(Spore):
        config.add_cornice_service(service)
    return config


@pytest.fixture
def payload():
    """The payload of an event about a record."""
    payloads = []
    config = configured()
    config.add_subscriber(lambda event: payloads.append(event.payload), events.ResourceChanged)
    client = TestApp(config.make_wsgi_app())
    path = "/v1/spores/8d9c3f0e-5b1a-4c7e-9f3d-2a6b8e4c1d07"
    client.put_json(path, {"data": {}}, headers=get_user_headers("alice"))
    (payload,) = payloads
    return payload


def test_payload_has_the_documented_keys(payload):
    shown = [key.format(resource_name="spore") for key, _ in rows("reference/events", "Payload")]
    assert shown == list(payload)


def test_log_messages_of_the_reference_are_those_of_the_code():
    shown = {tuple(cell.strip("`") for cell in row[:3]) for row in rows("reference/logs")[1:]}
    assert shown == sources.log_messages()


def test_services_of_the_reference_are_those_of_an_application(tmp_path):
    file = tmp_path / "version.json"
    file.write_text("{}")
    app = configured(version_json_path=str(file)).make_wsgi_app()
    services = {service.name: service.path for service in app.registry.cornice_services.values()}
    shown = rows("reference/metrics", "Services")
    assert services == dict([cell.replace("bookmark", "spore") for cell in row] for row in shown)


BOOKMARKS = """
from cliquet import resource, schema


class BookmarkSchema(resource.ResourceSchema):
    url = schema.URL()


@resource.register()
class Bookmark(resource.UserResource):
    mapping = BookmarkSchema()
"""


def test_subscriber_of_the_reference_is_called(serve, tmp_path, monkeypatch, capsys):
    text = block("reference/events", "python")
    tmp_path.joinpath("subscribers_of_events.py").write_text(text + BOOKMARKS)
    monkeypatch.syspath_prepend(tmp_path)
    client = serve("subscribers_of_events")
    client.post_json("/bookmarks", {"data": {"url": "https://www.python.org"}})
    assert re.fullmatch(
        r"basicauth:[0-9a-f]{64} saved https://www.python.org\n", capsys.readouterr().out
    )


def documented_settings():
    """The keys of the table, and those of resources and listeners that the page adds to it."""
    text = DOCS.joinpath("reference", "settings.rst").read_text()
    added = re.findall(r"^(?:\.\. confval::|   ) +([a-z_.]*\{\w+\}\S*)$", text, flags=re.M)
    return [setting.key for setting in SETTINGS] + [re.sub(r"\{\w+\}", "x", key) for key in added]


def test_each_group_of_settings_has_a_section():
    text = DOCS.joinpath("reference", "settings.rst").read_text()
    assert re.findall(r"^\.\. settings:: (.+)$", text, flags=re.M) == list(GROUPS)


def test_each_setting_that_is_read_is_documented():
    documented = documented_settings()
    assert "event_listeners.x.url" in documented
    read = sources.settings_read()
    unknown = {
        (module, pattern)
        for module, pattern in read
        if pattern not in OF_LIBRARIES and not any(re.fullmatch(pattern, key) for key in documented)
    }
    assert unknown == set()
    assert len(read) > 40


def test_defaults_in_code_that_reads_settings_agree_with_the_table():
    table = {setting.key: setting.default for setting in SETTINGS}
    defaults = sources.settings_defaults()
    assert {each for each in defaults if table[each[1]] != each[2]} == set()
    assert len(defaults) > 5


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_setting_is_described_with_its_type_and_default(setting):
    text = runpy.run_path(str(DOCS / "conf.py"))["described"](setting)
    options = dict(re.findall(r"^    :(\w+): (.+)$", text, re.M))
    assert text.startswith(f".. confval:: {setting.key}\n")
    assert options.pop("type") == setting.type.expected
    words = options.pop("default", "````").strip("`").split()
    assert words == shown_words(setting.default)
    assert options == {}


def shown_words(default):
    """A default as people write it in a configuration, word by word; None as nothing."""
    if default is None:
        return []
    if isinstance(default, tuple | list):
        return list(default)
    return (str(default).lower() if isinstance(default, bool) else str(default)).split()


#: The command that the page shows: that of a clone in this folder.
EDITABLE = "pip install -e '/srv/cliquet[postgresql]'"

#: Be a process that has no driver for PostgreSQL.
START = """
import sys
sys.modules["psycopg2"] = None
import cliquet
from pyramid.config import Configurator

settings = {
    "cliquet.project_name": "service",
    "cliquet.userid_hmac_secret": "secret",
    "cliquet.batch_max_requests": "lots",
    "cliquet.storage_backend": "cliquet.storage.postgresql",
}
try:
    cliquet.initialize(Configurator(settings=settings), version="1.0")
except Exception as error:
    print(error)
"""


def test_invalid_settings_are_reported_as_documented(terminal):
    terminal.folder.joinpath("start.py").write_text(START)
    output = terminal.run("CLIQUET_EOS=never python -W ignore start.py")
    expected = block("reference/settings", "text")
    command = install_command("postgresql")  # depends on how this copy was installed
    assert output.replace(command, EDITABLE).split() == expected.split()
    assert EDITABLE in expected
