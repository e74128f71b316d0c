"""The servers of the guide, with the configurations and the commands that it shows."""

import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack, contextmanager

import pytest

from tests.docs import service
from tests.docs.console import commands
from tests.docs.pages import block
from tests.processes import START_TIMEOUT, end_with_parent, free_port
from tests.wsgi_servers import PROCESSES, THREADS, wsgi_server

PAGE = "howto/deploy"
COMMANDS = ["cliquet --ini production.ini serve", "pserve", "gunicorn"]


@pytest.fixture
def folder(tmp_path, server, serve):
    """A folder with the files of the guide, in which the port is another one, and the schemas."""
    waitress = block(PAGE, "ini", "[server:main]").replace(":8888", f":{server.port}")
    service.write(tmp_path, "production.ini", more=waitress)
    service.create_schemas(serve, tmp_path)
    tmp_path.joinpath("service.py").write_text(block(PAGE, "python", "# service.py"))
    return tmp_path


def command(program):
    """Return the one command of the guide that starts a server."""
    ((command, shown),) = commands(block(PAGE, "console", f"$ {program}"))
    assert shown == ""
    return command


@pytest.mark.parametrize("program", COMMANDS)
def test_server_of_the_guide_serves_the_service(program, folder, terminal, server):
    start = command(program).replace(":8888", f":{server.port}")
    if program.startswith("cliquet"):
        start += f" --port {server.port}"
    server.start(start, terminal.state())
    url = f"http://127.0.0.1:{server.port}/v1"
    output = terminal.run(f"curl {url}/__heartbeat__")
    assert output == '{"storage":true,"permission":true,"cache":true}'
    hello = terminal.run(f"curl -H 'Host: api.example.com' -H 'X-Forwarded-Proto: https' {url}/")
    assert '"url":"https://api.example.com/v1/"' in hello
    server.stop()


# nginx needs these to run as any user, in a folder.
HERE = "".join(
    f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
SLOW = "POST /v1/spores HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(folder, server):
    """Run nginx with the configuration of the guide; give its port."""
    port = free_port()
    configuration = block(PAGE, "nginx", "# /etc/nginx").replace(":8888", f":{server.port}")
    configuration = configuration.replace("listen 80;", f"listen 127.0.0.1:{port};")
    configuration = configuration.replace("http {", f"http {{ access_log off; {HERE}")
    folder.joinpath("nginx.conf").write_text(configuration)
    process = subprocess.Popen(
        ["nginx", "-p", folder, "-c", "nginx.conf", "-e", "stderr"]
        + ["-g", "daemon off; pid nginx.pid; error_log stderr;"],
        preexec_fn=end_with_parent(),
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not is_listening(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(START_TIMEOUT)


@contextmanager
def slow_clients(port, count):
    """Have clients that have sent a part of their body."""
    with ExitStack() as opened:
        for _ in range(count):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(SLOW.encode())
        yield


@pytest.mark.skipif(not shutil.which("nginx"), reason="there is no nginx")
@pytest.mark.parametrize("name", ["gunicorn", "waitress"])
def test_slow_clients_do_not_keep_others_waiting_behind_nginx(name, tmp_path):
    with (
        wsgi_server(name, "sqlite", f"sqlite:///{tmp_path}/served.sqlite") as served,
        nginx(tmp_path, served) as port,
        slow_clients(port, 4 * PROCESSES * THREADS),
    ):
        for _ in range(20):
            url = f"http://127.0.0.1:{port}/v1/"
            with urllib.request.urlopen(url, timeout=START_TIMEOUT) as response:
                assert response.status == 200
