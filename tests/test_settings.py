import datetime

import pytest
from pyramid.config import Configurator

import cliquet
from cliquet.kinds import parse_date
from cliquet.settings import SETTINGS, integer_or_none, load_default_settings


def loaded(settings, defaults=None, project="myapp"):
    config = Configurator(settings={"project_name": project, **settings})
    load_default_settings(config, defaults or {})
    return config.get_settings()


def test_default_applies_when_no_form_of_the_key_is_set():
    assert loaded({}, {"paginate_by": 5})["paginate_by"] == 5


@pytest.mark.parametrize("form", ["paginate_by", "cliquet.paginate_by", "myapp.paginate_by"])
def test_any_form_of_a_key_sets_the_bare_one(form):
    assert loaded({form: "7"}, {"cliquet.paginate_by": 5})["paginate_by"] == "7"


def test_default_may_be_prefixed_with_the_project():
    assert loaded({}, {"myapp.colour": None})["colour"] is None


def test_forms_with_different_values_are_in_conflict():
    with pytest.raises(ValueError, match=r"Settings 'backoff', 'cliquet.backoff' are in conflict"):
        loaded({"backoff": "1", "cliquet.backoff": "2"})


def test_forms_of_the_name_of_the_project_may_be_in_conflict_too():
    settings = {"project_name": "one", "cliquet.project_name": "two"}
    told = r"Settings 'project_name', 'cliquet.project_name' are in conflict"
    with pytest.raises(ValueError, match=told):
        cliquet.initialize(Configurator(settings=settings), version="1.0")


def test_empty_version_of_the_file_is_no_conflict_with_that_of_the_application(serve):
    hello = serve({"cliquet.project_version": ""}, version="0.9").get("/").json
    assert hello["project_version"] == "0.9"


def test_name_of_the_project_may_have_dots_and_dashes(monkeypatch):
    settings = {"my.own-app.backoff": "1"}
    assert loaded(dict(settings), project="my.own-app")["backoff"] == "1"
    monkeypatch.setenv("MY_OWN_APP_BACKOFF", "2")
    assert loaded(dict(settings), project="my.own-app")["backoff"] == 2


def test_forms_with_the_same_value_are_no_conflict():
    assert loaded({"backoff": "1", "cliquet.backoff": 1})["backoff"] == "1"


def test_environment_wins_and_the_toolkits_prefix_wins_over_the_others(monkeypatch):
    settings = {"cliquet.backoff": "1"}
    monkeypatch.setenv("BACKOFF", "2")
    assert loaded(dict(settings))["backoff"] == 2
    monkeypatch.setenv("MYAPP_BACKOFF", "3")
    assert loaded(dict(settings))["backoff"] == 3
    monkeypatch.setenv("CLIQUET_BACKOFF", "yes")
    assert loaded(dict(settings))["backoff"] is True


def test_dots_and_dashes_become_underscores_in_the_environment(monkeypatch):
    monkeypatch.setenv("CLIQUET_MULTIAUTH_POLICY_BASIC_AUTH_USE", "somewhere")
    key = "multiauth.policy.basic-auth.use"
    assert loaded({key: "here"})[key] == "somewhere"


def test_loading_twice_is_no_conflict_with_the_environment(monkeypatch):
    monkeypatch.setenv("CLIQUET_BACKOFF", "4")
    config = Configurator(settings={"project_name": "x", "cliquet.backoff": "1"})
    load_default_settings(config, {})
    load_default_settings(config, {"plugin.colour": "red"})
    assert config.get_settings()["backoff"] == 4
    assert config.get_settings()["plugin.colour"] == "red"


def test_project_named_as_the_toolkit_or_not_at_all_has_two_forms():
    assert loaded({"cliquet.backoff": "1"}, project="cliquet")["backoff"] == "1"
    assert loaded({"cliquet.backoff": "1"}, project="")["backoff"] == "1"


def test_every_setting_has_a_meaning_and_a_key_of_its_own():
    assert all(setting.meaning.endswith(".") for setting in SETTINGS)
    assert len({setting.key for setting in SETTINGS}) == len(SETTINGS)


def test_date_without_zone_is_utc():
    utc = datetime.UTC
    assert parse_date("2069-02-21") == datetime.datetime(2069, 2, 21, tzinfo=utc)
    assert parse_date("2069-02-21T10:00:00+02:00") == datetime.datetime(2069, 2, 21, 8, tzinfo=utc)


def test_empty_integer_is_none():
    assert [integer_or_none(value) for value in ("", None, "3", 0)] == [None, None, 3, 0]
