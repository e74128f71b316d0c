"""The requirement and the commands that install this copy, for each way of installing it."""

import json
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cliquet.utils import installation

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GIT = {
    "url": "https://git.example.com/cliquet.git",
    "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT},
}
WHEEL = {"url": "file:///srv/a%20b/cliquet-3.2.0-py3-none-any.whl", "archive_info": {}}
FOLDER = {"url": "file:///srv/cliquet", "dir_info": {}}
EDITABLE = {"url": "file:///srv/a%20b", "dir_info": {"editable": True}}


@pytest.fixture
def installed(monkeypatch):
    """A function that sets how the package was installed."""

    class Distribution:
        def __init__(self, direct_url):
            self.direct_url = direct_url

        def read_text(self, name):
            assert name == "direct_url.json"
            return self.direct_url and json.dumps(self.direct_url)

    def install(*direct_urls):
        distributions = [Distribution(direct_url) for direct_url in direct_urls]
        monkeypatch.setattr(installation, "distributions", lambda name: iter(distributions))
        monkeypatch.setattr(installation, "version", lambda name: "3.2.0")
        installation.origin.cache_clear()

    yield install
    installation.origin.cache_clear()


def test_metadata_of_a_checkout_does_not_hide_how_it_was_installed(installed):
    installed(None, EDITABLE)
    assert installation.install_command("redis") == "pip install -e '/srv/a b[redis]'"


@pytest.mark.parametrize(
    "direct_url, requirement, path",
    [
        (None, "cliquet[redis]==3.2.0", None),
        (GIT, f"cliquet[redis] @ git+https://git.example.com/cliquet.git@{COMMIT}", None),
        (
            {**GIT, "subdirectory": "python"},
            f"cliquet[redis] @ git+https://git.example.com/cliquet.git@{COMMIT}"
            "#subdirectory=python",
            None,
        ),
        (
            WHEEL,
            "cliquet[redis] @ file:///srv/a%20b/cliquet-3.2.0-py3-none-any.whl",
            "/srv/a b/cliquet-3.2.0-py3-none-any.whl",
        ),
        (FOLDER, "cliquet[redis] @ file:///srv/cliquet", "/srv/cliquet"),
        (EDITABLE, "cliquet[redis] @ file:///srv/a%20b", "/srv/a b"),
    ],
)
def test_requirement_is_where_the_package_came_from(installed, direct_url, requirement, path):
    installed(direct_url)
    assert installation.requirement("redis") == requirement
    assert installation.requirement() == requirement.replace("[redis]", "")
    assert Requirement(requirement).extras == {"redis"}
    assert installation.local_path() == (path and Path(path))


@pytest.mark.parametrize(
    "direct_url, command",
    [
        (None, "pip install 'cliquet[redis]==3.2.0'"),
        (FOLDER, "pip install 'cliquet[redis] @ file:///srv/cliquet'"),
        (EDITABLE, "pip install -e '/srv/a b[redis]'"),
    ],
)
def test_command_adds_an_extra_to_the_installed_copy(installed, direct_url, command):
    installed(direct_url)
    assert installation.install_command("redis") == command
