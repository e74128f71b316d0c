"""The servers of the guide, with the configurations and the commands that it shows."""

import pytest

from tests.docs import service
from tests.docs.console import commands
from tests.docs.pages import block

PAGE = "howto/deploy"
COMMANDS = ["pserve", "gunicorn"]


@pytest.fixture
def folder(tmp_path, server):
    """A folder that has the files of the guide, where 8888 is another port."""
    waitress = block(PAGE, "ini", "[server:main]").replace(":8888", f":{server.port}")
    service.write(tmp_path, "production.ini", more=waitress)
    tmp_path.joinpath("service.py").write_text(block(PAGE, "python", "# service.py"))
    return tmp_path


def command(program):
    """Return the one command of the guide that starts a server."""
    ((command, shown),) = commands(block(PAGE, "console", f"$ {program}"))
    assert shown == ""
    return command


def test_backends_are_prepared_before_the_first_start(folder, terminal):
    assert "storage: ready" in terminal.run(command("cliquet"))
    assert "storage: ready" in terminal.run(command("cliquet"))


@pytest.mark.parametrize("program", COMMANDS)
def test_server_of_the_guide_serves_the_service(program, folder, terminal, server):
    terminal.run(command("cliquet"))
    server.start(command(program).replace(":8888", f":{server.port}"), terminal.state())
    url = f"http://127.0.0.1:{server.port}/v1"
    found = terminal.run(f"curl {url}/__heartbeat__")
    assert found == '{"storage":true,"permission":true,"cache":true}'
    hello = terminal.run(f"curl -H 'Host: api.example.com' -H 'X-Forwarded-Proto: https' {url}/")
    assert '"url":"https://api.example.com/v1/"' in hello
    server.stop()
