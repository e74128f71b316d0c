"""Output of the command on terminals and pipes, and interruptions."""

import io
import os
import pty
import signal
import subprocess
import sys

import pytest

from cliquet.scripts import cli_output
from cliquet.scripts.cli_output import Progress
from cliquet.scripts.cliquet import main
from tests.scripts.test_new import COMMAND, ROOT

TIMEOUT = 30  # seconds: a bound on hanging

SHOW = """
from cliquet.scripts import cli_output
cli_output._PAUSE = 0
with cli_output.Progress("bookmark", 4) as progress:
    progress.advance(1)
    progress.advance(3)
print("done")
"""

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


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def eager(monkeypatch):
    """Report progress at every step, without a minimum delay."""
    monkeypatch.setattr(cli_output, "_PAUSE", 0)
    monkeypatch.setattr(cli_output, "_LONG_PAUSE", 0)


def test_progress_is_a_bar_on_a_terminal_and_gone_in_the_end(eager):
    with Progress("bookmark", 4, stream := Terminal()) as progress:
        progress.advance(1)
        assert stream.getvalue() == "\r\r[" + "#" * 7 + "." * 23 + "] 1 of 4 bookmark"
        progress.advance(3)
    shown = stream.getvalue().split("\r")
    assert shown[-3] == "[" + "#" * 30 + "] 4 of 4 bookmark"
    assert shown[-2:] == [" " * len(shown[-3]), ""]


def test_progress_is_a_line_at_a_time_elsewhere(eager):
    with Progress("bookmark", 4, stream := io.StringIO()) as progress:
        progress.advance(1)
        progress.advance(3)
    assert stream.getvalue() == "bookmark: 1 of 4\nbookmark: 4 of 4\n"


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_quick_work_shows_no_progress(stream):
    with Progress("bookmark", 4, written := stream()) as progress:
        progress.advance(4)
    assert written.getvalue() == ""


def test_progress_fits_in_a_line_whatever_is_counted(eager, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    with Progress("bookmark" * 10, 0, stream := Terminal()) as progress:
        progress.advance(1)
    assert max(map(len, stream.getvalue().split("\r"))) == 59


def test_bar_is_shown_on_a_real_terminal_while_results_go_elsewhere():
    ours, theirs = pty.openpty()
    with begin([sys.executable, "-c", SHOW], stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        assert process.communicate(timeout=TIMEOUT)[0] == "done\n"
    shown = os.read(ours, 10000).decode()
    os.close(ours)
    assert "] 1 of 4 bookmark" in shown
    assert shown.endswith("\r")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argument", ["--help", "version", "--version"])
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
