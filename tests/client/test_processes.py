"""Clients in processes that fork."""

import gc
import os
import subprocess
import sys
import uuid

import pytest

from tests.client.fault_proxy import TIMEOUT

#: Reads another record in each process, on connections that were open before the fork.
READ_IN_TWO_PROCESSES = """
import asyncio, os, sys
from cliquet.client import AsyncClient, Client

library, url, user = sys.argv[1:]
asynchronous = library == "httpx"
client = (AsyncClient if asynchronous else Client)(url, auth=(user, "secret"))
run = asyncio.Runner().run if asynchronous else lambda response: response
spores = client.resource("/spores")
ids = [run(spores.create({})).data["id"] for _ in range(2)]
child = os.fork()
if asynchronous and not child:
    run = asyncio.Runner().run
id_ = ids[bool(child)]
wrong = sum(run(spores.get(id_)).data["id"] != id_ for _ in range(30))
if not child:
    os._exit(wrong)
sys.exit(wrong + os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_processes_share_no_connection(service, library):
    command = [sys.executable, "-c", READ_IN_TWO_PROCESSES, library, service, str(uuid.uuid4())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore:unclosed")
def test_other_process_opens_a_connection(client, proxy, monkeypatch):
    client.server_info()
    client.server_info()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    client.server_info()
    client.server_info()
    first, second, third, fourth = proxy.connections
    assert first == second != third == fourth
    gc.collect()  # the connections of the parent process


def test_session_of_the_caller_is_used_in_other_processes(connect, proxy, session, monkeypatch):
    client = connect(proxy.url, session=session)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    session.headers["X-Caller"] = "yes"
    client.server_info()
    assert proxy.requests[0][2]["X-Caller"] == "yes"
