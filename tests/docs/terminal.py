"""The terminals of a reader: one for commands, and one that a server runs in."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.processes import START_TIMEOUT, end_with_parent, kill_group

_END = "-- the end of a command, and its status:"


class Terminal:
    """A shell; its folder and its variables stay from one command to the next.

    :param folder: where it begins.
    :param environment: its variables.
    """

    def __init__(self, folder, environment):
        if not (shutil.which("bash") and shutil.which("curl")):
            pytest.skip("the commands of the documentation take bash and curl")
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            encoding="utf-8",
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )

    def run(self, command):
        """Return what a command prints.

        :raises AssertionError: when it fails, or doesn't end.
        """
        print(f"{{\n{command}\n}} </dev/null", file=self._shell.stdin)
        print(f"printf '\\n{_END} %s\\n' $?", file=self._shell.stdin, flush=True)
        watchdog = threading.Timer(10 * START_TIMEOUT, self._kill)
        watchdog.start()
        lines, status = [], f"it doesn't end within {10 * START_TIMEOUT} seconds"
        for line in self._shell.stdout:
            if line.startswith(_END):
                status = line.removeprefix(_END).strip()
                break
            lines.append(line)
        watchdog.cancel()
        output = "".join(lines).strip("\n")
        assert status == "0", f"{command}\n{output}\nstatus: {status}"
        return output

    @property
    def folder(self):
        return Path(self.run("pwd"))

    def state(self):
        """Return a script that brings another shell where this one is."""
        return f"cd '{self.folder}'\n{self.run('export -p')}\n"

    def close(self):
        self._kill()
        self._shell.communicate()

    def _kill(self):
        # Also a command that doesn't end, because it keeps the output open.
        kill_group(self._shell)


class ServerTerminal:
    """A terminal in which one server runs at a time.

    :param log: the file that has what it prints.
    :param port: which it listens on.
    """

    def __init__(self, log, port):
        self._log = log
        self.port = port
        self._process = None

    def start(self, command, state):
        """Start a server, and wait until it listens.

        :param state: of the terminal, see :meth:`Terminal.state`.
        """
        assert self._process is None, "a server runs already: ^C ends it"
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", f"{state} exec {command}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
                preexec_fn=end_with_parent(),
            )
        self._wait_until(self._listens)

    def stop(self):
        """Do what ``Ctrl-C`` does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_TIMEOUT)
            self._process = None

    def kill(self):
        if self._process is not None:
            self._process.terminate()  # a killed server would leave its workers running
            self._process.wait(START_TIMEOUT)

    def output(self):
        return self._log.read_text(encoding="utf-8")

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def _wait_until(self, condition):
        deadline = time.monotonic() + START_TIMEOUT
        while not condition():
            assert self._process.poll() is None, f"the server has ended\n{self.output()}"
            assert time.monotonic() < deadline, f"the server doesn't listen\n{self.output()}"
            time.sleep(0.05)
