"""The benchmark of servers: that it starts them, counts their responses, and ends them."""

import argparse

import pytest

from benchmarks import load
from tests.http_servers import http_servers


@pytest.mark.parametrize("server", ["waitress", "gunicorn"])
def test_server_is_started_and_measured(capsys, server):
    options = ["--engine", "sqlite", "--clients", "2", "--requests", "40"]
    assert load.main(["--server", server, "--threads", "2", *options]) == 0
    output = capsys.readouterr().out
    assert "       40 requests " in output
    assert " requests per second" in output
    assert "all             40 " in output


def test_unexpected_response_of_the_server_is_reported(capsys):
    with http_servers("memory", "", processes=1) as (server,):
        options = ["--url", f"{server.url}/v0", "--mix", "hello", "--clients", "1"]
        assert load.main([*options, "--requests", "20"]) == 1
    assert "20 responses with status 404" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--requests", "0"], ["--mix", "fly=1"], ["--mix", "get=x"]])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(SystemExit) as ended:
        load.main(arguments)
    assert ended.value.code == 2


def test_mix_is_operations_with_their_weights():
    assert load.parse_mix("get=3,post") == {"get": 3, "post": 1}
    with pytest.raises(argparse.ArgumentTypeError, match="expected one of hello"):
        load.parse_mix("")
