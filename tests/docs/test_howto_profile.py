"""The profiles of the guide, made by its settings and read by its command."""

import pytest
from pyramid.paster import get_app
from webtest import TestApp

from cliquet.testing import get_user_headers
from tests.docs import service
from tests.docs.console import commands
from tests.docs.pages import block

PAGE = "howto/profile"
FOLDER = "/tmp/profiles"
READ = '$ python -c "import pstats, sys; pstats.Stats(*sys.argv[1:])'
ADD_UP = '$ python -c "import pstats, sys; pstats.Stats(*sys.argv[2:])'


@pytest.fixture
def profiles(terminal, tmp_path, monkeypatch):
    """The folder, with the profile of one request."""
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    settings = block(PAGE, "ini").replace(FOLDER, str(profiles))
    ini = service.write(tmp_path, "service.ini", more=settings)
    terminal.run(f"cliquet --ini {ini} migrate")
    app = get_app(str(ini))
    body = {"data": {"url": "https://www.example.com"}}
    TestApp(app).post_json("/v1/bookmarks", body, headers=get_user_headers("alice"), status=201)
    return profiles


def test_command_of_the_guide_tells_the_functions_that_took_most_time(profiles, terminal):
    ((command, _),) = commands(block(PAGE, "console", READ))
    told = terminal.run(command.replace(FOLDER, str(profiles)))
    assert "Ordered by: internal time" in told
    assert "to 15 due to restriction" in told


def test_profiles_are_added_up(profiles, terminal):
    (add, _), _ = commands(block(PAGE, "console", ADD_UP))
    terminal.run(add.replace(FOLDER, str(profiles)))
    assert terminal.folder.joinpath("all.prof").stat().st_size
