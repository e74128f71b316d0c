"""The server of the guide about streams, with a client."""

import re

import pytest
import requests

from tests.docs.console import commands
from tests.docs.correspondence import Correspondence
from tests.docs.pages import block

PAGE = "howto/live"


def command(beginning):
    ((command, shown),) = commands(block(PAGE, "console", beginning))
    return command, shown


def event_of(lines):
    """Return the text of the next event of a stream."""
    event = []
    while line := next(lines):
        event.append(line)
    return "\n".join(event)


def without_checksum(text):
    """Return an event without the checksum of its records, whose timestamps vary."""
    return re.sub(r'"checksum":"1-\d+-\d+"', '"checksum":"1"', text)


def first_line(program, port):
    """Return the first line that a program prints, which is then interrupted."""

    def show(line):
        printed.append(line)
        raise KeyboardInterrupt

    printed = []
    with pytest.raises(KeyboardInterrupt):
        exec(program.replace("8888", f"{port}"), {"print": show})
    return printed[0]


def test_stream_of_the_guide_shows_the_change(guide, terminal, server):
    guide.follow(PAGE)
    terminal.run(f"cd {guide.folder}")
    start, _ = command("$ uvicorn")
    server.start(start.replace("8888", f"{server.port}"), terminal.state())
    read, first = command("$ curl -N")
    create, created = command("$ curl -u")
    page = Correspondence()
    with requests.get(
        f"http://127.0.0.1:{server.port}{read.partition(':8888')[2]}",
        auth=("alice", "secret"),
        headers={"Accept": "text/event-stream"},
        stream=True,
        timeout=20,
    ) as stream:
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        page.compare(first, event_of(lines))
        page.compare(created, terminal.run(create.replace("8888", f"{server.port}")))
        second = without_checksum(block(PAGE, "text", "event: change"))
        page.compare(second, without_checksum(event_of(lines)))
    assert first_line(block(PAGE, "python", "from cliquet.client"), server.port) == "Listen"
    server.stop()
