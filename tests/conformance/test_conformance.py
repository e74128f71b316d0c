"""Recorded responses of Cliquet 3.1, compared step by step with those of each engine.

The scenarios, the recordings, ``app.py`` and ``transcript.py`` are data from elsewhere, kept as
they came; ``replay.py`` is the same comparison as a program.
"""

import functools
import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml

from tests import postgresql_server

HERE = Path(__file__).resolve().parent
KINDS = ("storage", "permission", "cache")

#: The URL of each engine's database, in a folder of the test's own.
ENGINES = {
    "memory": lambda folder: "",
    "sqlite": lambda folder: f"sqlite:///{folder}/conformance.sqlite",
    "postgresql": lambda folder: postgresql_server.shared_url(),
}

#: Engines that undo what a failed request wrote.
TRANSACTIONAL = {"memory", "sqlite", "postgresql"}
#: Engines whose data outlive the application, which a read-only one can then read.
DURABLE = set(ENGINES) - {"memory"}


def load(name):
    """The module of a file beside this one, under a unique name."""
    full_name = f"conformance_{name}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, HERE / f"{name}.py")
        sys.modules[full_name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full_name]


application = load("app")
transcript = load("transcript")


@functools.cache
def pairs():
    """Return the title of each scenario, the scenario, and its recording."""
    return list(_read_pairs())


def _read_pairs():
    for path in sorted(HERE.glob("recorded/*.json")):
        text = HERE.joinpath("scenarios", f"{path.stem}.yaml").read_text(encoding="utf-8")
        recordings = json.loads(path.read_text(encoding="utf-8"))
        for scenario, recorded in zip(yaml.safe_load_all(text), recordings, strict=True):
            yield f"{path.stem}: {recorded['name']}", scenario, recorded


def parameters():
    return [
        pytest.param(engine, scenario, recorded["steps"], id=f"{engine}-{title}")
        for engine in ENGINES
        for title, scenario, recorded in pairs()
        if engine in TRANSACTIONAL or recorded.get("needs") != "transactions"
        if engine in DURABLE or not is_readonly(scenario)
    ]


def settings_of(scenario):
    return scenario.get("settings") or {}


def is_readonly(scenario):
    return str(settings_of(scenario).get("cliquet.readonly")).lower() == "true"


def shared(applications, settings):
    """Return the application with some settings; its backends are emptied when it is built."""

    def build():
        app = application.make_app(settings)
        for kind in KINDS:
            getattr(app.registry, kind).flush()
        return app

    return applications.get((__name__, repr(sorted(settings.items()))), build)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("conformance")


@pytest.fixture
def make_app(applications, folder):
    """A function that returns the application of the recordings, with an engine and settings.

    Scenarios with the same settings use the same one; a read-only one is always new.
    """

    def make(engine, extra, readonly=False):
        settings = dict(extra)
        for kind in KINDS:
            settings[f"cliquet.{kind}_backend"] = f"cliquet.{kind}.{engine}"
            settings[f"cliquet.{kind}_url"] = ENGINES[engine](folder)
        if readonly:
            return application.make_app(settings)
        return shared(applications, settings)

    return make


@pytest.mark.parametrize("engine, scenario, recorded", parameters())
def test_responses_equal_the_recorded_ones(make_app, engine, scenario, recorded):
    if is_readonly(scenario):
        # It needs the tables, and a timestamp that it can't give itself.
        reader = {"steps": [{"do": "GET /v1/mushrooms", "as": "reader"}]}
        transcript.play(make_app(engine, {}), reader)
    app = make_app(engine, settings_of(scenario), is_readonly(scenario))
    transcript.compare(recorded, transcript.play(app, scenario))


def test_every_scenario_was_recorded():
    scenarios = {path.stem for path in HERE.glob("scenarios/*.yaml")}
    assert scenarios == {path.stem for path in HERE.glob("recorded/*.json")}
    assert len(list(pairs())) >= 52
