"""Output of the command, and interruptions."""

import os
import signal
import subprocess
import sys

import pytest

from cliquet.scripts import cli_output
from cliquet.scripts.cli_output import Progress
from cliquet.scripts.cliquet import main
from tests.scripts.test_new import COMMAND, ROOT

TIMEOUT = 30  # seconds, so that a test doesn't hang

INTERRUPTED = """
import sys, time
from cliquet.scripts import new
from cliquet.scripts.cliquet import main

def wait(name):
    print("waiting", flush=True)
    time.sleep(60)

new._check_name = wait
sys.exit(main(["new", "myservice"]))
"""


def environment(unbuffered=""):
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}


def begin(command, **options):
    options = {"stderr": subprocess.PIPE, "env": environment(), **options}
    return subprocess.Popen(command, text=True, **options)


def test_progress_is_a_line_from_time_to_time(monkeypatch, capsys):
    progress = Progress("bookmark", 4)
    progress.advance(1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(cli_output, "_PAUSE", 0)
    progress.advance(2)
    assert capsys.readouterr().err == "bookmark: 3 of 4\n"


@pytest.mark.parametrize(
    ("argument", "unbuffered"), [("version", ""), ("version", "1"), ("--help", "")]
)
def test_closed_pipe_prints_no_traceback(argument, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    with begin([*COMMAND, argument], stdout=writing, env=environment(unbuffered)) as process:
        os.close(writing)
        assert process.communicate(timeout=TIMEOUT)[1] == ""
    assert process.returncode in (0, 1)


@pytest.mark.parametrize("buffering", [-1, 1])
def test_command_fails_when_its_reader_is_gone(buffering, monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["version"]) == 1
    assert capsys.readouterr().err == ""


def test_command_fails_when_the_disk_is_full(monkeypatch, capsys):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["version"]) == 1
    assert capsys.readouterr().err.startswith("cliquet: error: [Errno 28] No space left")


def test_command_needs_no_reader_at_all(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["version"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_failure_to_write_the_output_is_reported(unbuffered):
    with open("/dev/full", "w") as full:
        with begin([*COMMAND, "version"], stdout=full, env=environment(unbuffered)) as process:
            _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err.count("\n")) == (1, 1)
    assert "No space left on device" in err


def test_output_can_be_closed():
    command = [*COMMAND, "version"]
    shell = ["sh", "-c", '"$@" >&-', "sh", *command]
    with begin(shell) as process:
        assert process.communicate(timeout=TIMEOUT)[1] == ""
    assert process.returncode == 0


def test_interruption_is_reported_in_one_line():
    with begin([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=TIMEOUT)[1] == "cliquet: interrupted\n"
    assert process.returncode == 130
