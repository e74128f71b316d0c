"""Random histories of several devices behind a faulty network.

No write is lost or applied twice, and no deleted record returns. The copies of the devices are
exact at the end, whatever else changes their lists.
"""

from functools import partial

import pytest

from tests.device_histories import play
from tests.engines import url_of
from tests.hostile_client import Client, make_app_on

# The tests of modules reach all their lines and branches.
pytestmark = pytest.mark.application

#: So small that lists have several pages.
PAGES = {"cliquet.paginate_by": "3"}


@pytest.fixture
def app_on(applications, tmp_path_factory):
    """A function that returns the application on an engine."""
    apps = []

    def app_on(engine):
        def build():
            return make_app_on(
                engine, url_of(engine, tmp_path_factory.mktemp("devices"), 4), **PAGES
            )

        apps.append(applications.get(("device histories", engine), build))
        return apps[-1]

    yield app_on
    for app in apps:
        for kind in ("storage", "permission", "cache"):
            getattr(app.registry, kind).flush()


@pytest.mark.parametrize(
    ("library", "seeds"),
    [("requests", range(12)), ("httpx", range(12, 20))],
    ids=["requests", "httpx"],
)
def test_no_write_is_lost_duplicated_or_undone(app_on, library, seeds):
    connect = partial(Client, app_on("memory"))
    for seed in seeds:
        assert play(connect, seed, library) == [], f"seed {seed}"


def test_writes_without_preconditions_are_lost_duplicated_or_undone(app_on):
    connect = partial(Client, app_on("memory"))
    missing = {"is lost", "is undeleted", "a change of"}
    for seed in range(60):
        faults = " ".join(play(connect, seed, "requests", removed=["If-Match"]))
        missing = {fault for fault in missing if fault not in faults}
        if not missing:
            return
    pytest.fail(f"no history has these faults: {missing}")


@pytest.mark.parametrize(
    ("engine", "library", "seeds"),
    [
        ("memory", "requests", range(6)),
        ("memory", "httpx", range(6, 10)),
        ("sqlite", "requests", range(10, 13)),
        ("postgresql", "requests", range(13, 15)),
        ("redis", "requests", range(16, 19)),
    ],
    ids=["memory", "httpx", "sqlite", "postgresql", "redis"],
)
def test_copies_are_exact_whatever_changes_their_lists(app_on, engine, library, seeds):
    app = app_on(engine)
    for seed in seeds:
        assert play(partial(Client, app), seed, library, app.registry) == [], f"seed {seed}"


def test_copies_without_checksums_miss_changes(app_on):
    app = app_on("memory")
    for seed in range(60):
        faults = play(partial(Client, app), seed, "requests", app.registry, removed=["Checksum"])
        if any("differs" in fault for fault in faults):
            return
    pytest.fail("all copies are exact")
