import logging
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
import transaction
from pyramid.exceptions import ConfigurationError
from pyramid.threadlocal import get_current_registry, get_current_request

from cliquet import logs, transactions
from cliquet.heartbeats import Heartbeats
from tests.hostile_client import Client, make_app
from tests.reuse import Applications

TIMEOUT = 30
SHORT = {"cliquet.heartbeat_timeout_seconds": "0.2"}


@pytest.fixture
def applications():
    """New ones for each test, because these tests change them."""
    return Applications(kept=0)


class Hanging:
    """A check that doesn't end before it is released."""

    def __init__(self):
        self.calls = 0
        self.began = threading.Event()
        self.released = threading.Event()

    def __call__(self, request):
        self.calls += 1
        self.began.set()
        assert self.released.wait(TIMEOUT)
        self.at_the_end(request)
        return True

    def at_the_end(self, request):
        pass

    def release(self):
        """Let it end, and wait until it has."""
        self.released.set()
        for thread in threading.enumerate():
            if thread.name == "heartbeat-plugin":
                thread.join(TIMEOUT)


@pytest.fixture
def hanging():
    check = Hanging()
    yield check
    check.release()


def raises(request):
    raise OSError("down")


def test_heartbeats_of_the_backends_are_reported(serve):
    expected = {"storage": True, "permission": True, "cache": True}
    assert serve().get("/__heartbeat__").json == expected


def test_null_is_fine(serve):
    client = serve()
    client.registry.heartbeats["plugin"] = lambda request: None
    assert client.get("/__heartbeat__").json["plugin"] is None


def test_one_that_is_false_is_503_with_the_time_to_wait(serve):
    client = serve()
    client.registry.heartbeats["plugin"] = lambda request: False
    response = client.get("/__heartbeat__", status=503)
    assert response.json["plugin"] is False
    assert response.headers["Retry-After"] == "30"


def test_one_that_raises_is_false_and_logged(serve, caplog):
    client = serve()
    client.registry.heartbeats["plugin"] = raises
    assert client.get("/__heartbeat__", status=503).json["plugin"] is False
    (failure,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "The heartbeat of plugin failed" in failure.message
    last = list(traceback.walk_tb(failure.exc_info[2]))[-1]
    assert last[0].f_locals == {}  # error trackers would send its values


def test_process_is_up_whatever_the_backends_say(serve):
    client = serve()
    client.registry.heartbeats["plugin"] = raises
    assert client.get("/__lbheartbeat__").json == {}


def test_checks_can_be_replaced(serve):
    client = serve()
    client.registry.heartbeats = {"plugin": lambda request: False}
    assert client.get("/__heartbeat__", status=503).json == {"plugin": False}
    client.registry.heartbeats["other"] = lambda request: True
    assert client.get("/__heartbeat__", status=503).json == {"plugin": False, "other": True}


def test_checks_run_side_by_side(serve):
    client = serve()
    meeting = threading.Barrier(2)
    for name in ("one", "other"):
        client.registry.heartbeats[name] = lambda request: meeting.wait(TIMEOUT) >= 0
    results = client.get("/__heartbeat__").json
    assert results["one"] is results["other"] is True


def test_hanging_check_is_false_and_logged_and_others_are_reported(serve, hanging, caplog):
    client = serve(SHORT)
    client.registry.heartbeats["plugin"] = hanging
    response = client.get("/__heartbeat__", status=503)
    expected = {"storage": True, "permission": True, "cache": True, "plugin": False}
    assert response.json == expected
    assert response.headers["Retry-After"] == "30"
    assert "The heartbeat of plugin takes more than 0.2 seconds" in caplog.text


def test_one_that_hangs_is_not_called_again_before_it_ends(serve, hanging):
    client = serve(SHORT)
    client.registry.heartbeats["plugin"] = hanging
    for _ in range(3):
        client.get("/__heartbeat__", status=503)
    assert hanging.calls == 1
    hanging.release()
    assert client.get("/__heartbeat__").json["plugin"] is True


def test_requests_do_not_wait_for_a_check_that_is_already_late(serve, hanging):
    client = serve({"cliquet.heartbeat_timeout_seconds": "1"})
    client.registry.heartbeats["plugin"] = hanging
    client.get("/__heartbeat__", status=503)
    ended = threading.Event()
    poll = threading.Thread(
        target=lambda: (client.get("/__heartbeat__", status=503), ended.set()), daemon=True
    )
    poll.start()
    assert ended.wait(0.9)
    poll.join()


def test_concurrent_requests_share_a_running_check(serve, hanging):
    client = serve()
    client.registry.heartbeats["plugin"] = hanging
    results = []
    polls = [
        threading.Thread(target=lambda: results.append(client.get("/__heartbeat__").json["plugin"]))
        for _ in range(3)
    ]
    for poll in polls:
        poll.start()
    assert hanging.began.wait(TIMEOUT)
    hanging.released.set()
    for poll in polls:
        poll.join()
    assert results == [True] * 3


def test_writes_of_a_check_are_saved_after_the_end_of_its_request(serve, hanging):
    client = serve(SHORT)
    storage = client.registry.storage

    def write(request):
        assert transactions.current() is None
        request.registry.storage.create("seen", "by", {"id": "me"})

    hanging.at_the_end = write
    client.registry.heartbeats["plugin"] = hanging
    client.get("/__heartbeat__", status=503)
    hanging.release()
    assert storage.get("seen", "by", "me")["id"] == "me"


def test_check_has_a_transaction_of_its_thread(serve):
    client = serve()
    committed = []
    heartbeats = client.registry.heartbeats
    heartbeats["hook"] = lambda request: transaction.get().addAfterCommitHook(committed.append)
    heartbeats["plugin"] = lambda request: False
    client.get("/__heartbeat__", status=503)
    assert committed == [True]


def test_current_request_and_registry_are_those_of_the_application(serve):
    client = serve()
    seen = []
    client.registry.heartbeats["plugin"] = lambda request: seen.append(
        get_current_request() is request and get_current_registry() is client.registry
    )
    client.get("/__heartbeat__")
    assert seen == [True]


def test_values_bound_by_a_check_remain_in_its_thread(serve, caplog):
    caplog.set_level(logging.INFO)

    def check(request):
        logs.logger.bind(colour="red").info("checked")

    client = serve()
    client.registry.heartbeats["plugin"] = check
    client.get("/__heartbeat__")
    (checked,) = [text for text in caplog.messages if "checked" in text]
    (summary,) = [text for text in caplog.messages if "request.summary" in text]
    assert "colour=red" in checked
    assert "colour" not in summary


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_checks_in_a_batch_do_not_wait_for_writes_of_the_batch(tmp_path, engine):
    client = Client(make_app(engine, tmp_path, **SHORT))
    requests = [
        {"method": "POST", "path": "/mushrooms", "body": {"data": {"name": "x"}}},
        {"method": "GET", "path": "/__heartbeat__"},
    ]
    responses = client.send("POST", "/batch", body={"requests": requests}).json["responses"]
    assert [response["status"] for response in responses] == [201, 200]


def test_in_a_batch_one_that_raises_is_false_and_its_response_503(serve):
    client = serve()
    client.registry.heartbeats["plugin"] = raises
    response = client.post_json("/batch", {"requests": [{"path": "/__heartbeat__"}]})
    (heartbeat,) = response.json["responses"]
    assert (heartbeat["status"], heartbeat["body"]["plugin"]) == (503, False)


@pytest.mark.parametrize("value", ["soon", "0", -1, True, "nan", "inf"])
def test_timeout_is_a_number_of_seconds(serve, value):
    with pytest.raises(ConfigurationError, match="expected a number of seconds above 0"):
        serve({"cliquet.heartbeat_timeout_seconds": value})


def test_empty_timeout_is_the_default(serve):
    assert serve({"cliquet.heartbeat_timeout_seconds": ""}).get("/__heartbeat__").json["storage"]


HANGS = """
import time, webtest
from tests import testapp
client = webtest.TestApp(testapp.main({"cliquet.heartbeat_timeout_seconds": "0.1"}))
client.app.registry.heartbeats["plugin"] = lambda request: time.sleep(3600)
client.get("/v0/__heartbeat__", status=503)
"""


def test_one_that_hangs_does_not_keep_the_process_from_ending():
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", HANGS], cwd=root, check=True, timeout=TIMEOUT)


def counting(calls):
    def check(request):
        calls.append(request)
        return True

    return check


def test_result_is_used_again_for_a_second_and_no_longer(serve, monkeypatch):
    client, calls = serve(), []
    client.registry.heartbeats["plugin"] = counting(calls)
    for _ in range(3):
        assert client.get("/__heartbeat__").json["plugin"] is True
    assert len(calls) == 1
    monkeypatch.setattr(Heartbeats, "cache_seconds", 0)
    client.get("/__heartbeat__")
    assert len(calls) == 2


def test_replaced_check_runs_immediately(serve):
    client = serve()
    for result in (True, False, None):
        client.registry.heartbeats["plugin"] = lambda request, result=result: result
        assert client.get("/__heartbeat__", expect_errors=True).json["plugin"] is result
