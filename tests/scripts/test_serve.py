"""The ``serve`` command: its servers, messages, signals and options."""

import ctypes
import json
import logging
import os
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import hupper
import pytest

from cliquet.scripts import live_server, loading, processes, serve
from cliquet.scripts.cli_output import CommandError
from cliquet.scripts.cliquet import main, make_parser
from cliquet.settings import DEFAULT_SETTINGS
from tests.processes import becomes_true, free_port
from tests.scripts.myapp import ALL_IN_MEMORY, SETTINGS

TIMEOUT = 30  # seconds
SERVERS = ("granian", "waitress")
IN_MEMORY = SETTINGS + ALL_IN_MEMORY
#: Options of prctl(2).
SET_PARENT_DEATH_SIGNAL, GET_PARENT_DEATH_SIGNAL = 1, 2


@pytest.fixture(autouse=True)
def restored_process(monkeypatch):
    """``serve`` changes a default and, in workers, the death signal of its process."""
    monkeypatch.setitem(DEFAULT_SETTINGS, "logging_renderer", DEFAULT_SETTINGS["logging_renderer"])
    yield
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, 0)


@pytest.fixture
def port():
    return free_port()


@pytest.fixture(params=SERVERS)
def server(request, monkeypatch):
    """The name of each server."""
    if request.param == "waitress":
        monkeypatch.setattr(serve, "import_optional", lambda name: None)
    return request.param


@pytest.fixture
def restored_mask():
    handler = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGTERM, handler)


def signal_thread():
    """The thread that waits for signals."""
    (thread,) = (each for each in threading.enumerate() if each.name == serve.SIGNAL_THREAD)
    return thread.ident


def wait_until(condition):
    assert becomes_true(condition, TIMEOUT)


def get(port, path="/v1/", **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        return json.load(response)


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(ini, port, action, *options, stop=signal.SIGTERM):
    """Run the command; once it accepts connections, call a function and send a signal.

    Return the exit code and the result of the function.
    """
    results = []

    def use():
        try:
            wait_until(lambda: accepts(port))
            results.append(action())
        finally:
            # Other tests can have left threads that would receive the signal of a process.
            signal.pthread_kill(threading.main_thread().ident, stop)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        code = main(["--ini", ini, "serve", "--port", str(port), *options])
    except SystemExit as error:
        code = error.code
    thread.join(TIMEOUT)
    (result,) = results
    return code, result


def test_service_is_served_until_a_signal(server, write_ini, port, capfd):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    ini = write_ini(IN_MEMORY + "cliquet.openapi_enabled = true\n")
    output = []

    def use():
        while "Ctrl-C" not in "".join(output):
            output.append(capfd.readouterr().out)
        return get(port)

    code, hello = run(ini, port, use)
    assert code == 0
    assert hello["url"] == f"http://127.0.0.1:{port}/v1/"
    assert "".join(output).splitlines() == [
        f"myapp 1.0 is ready: http://127.0.0.1:{port}/v1/",
        f"API page: http://127.0.0.1:{port}/v1/__api__/",
        'User to try: "alice", password "secret" (any others work too)',
        "Press Ctrl-C to stop.",
    ]
    assert not accepts(port)
    assert handlers == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_requests_in_progress_finish_before_the_server_stops(server, write_ini, port, stop):
    responses = []
    begun = Path(write_ini(IN_MEMORY, "slow_application")).with_name("begun")

    def request():
        responses.append(get(port, "/slow", **{"X-File": str(begun)}))

    def use():
        client = threading.Thread(target=request)
        client.start()
        wait_until(begun.exists)
        return client

    code, client = run(str(begun.with_name("myapp.ini")), port, use, stop=stop)
    client.join(TIMEOUT)
    assert (code, responses) == (0, [{"slow": True}])


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_streams_are_served_until_a_signal(write_ini, port, stop):
    started = []

    def follow():
        headers = {"Accept": "text/event-stream", "X-Forwarded-Proto": "https"}
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        connection.request("GET", "/v1/", headers=headers)
        url = json.load(connection.getresponse())["url"]
        headers["Authorization"] = "Basic YWxpY2U6c2VjcmV0"
        connection.request("GET", "/v1/bookmarks", headers=headers)
        stream = connection.getresponse()
        started.append(url)
        ended.extend(iter(stream.readline, b""))
        connection.close()

    def use():
        client = threading.Thread(target=follow)
        client.start()
        wait_until(lambda: started)
        incomplete = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        incomplete.request("POST", "/v1/bookmarks", b"{", {"Content-Length": "5"})
        return client, incomplete

    ended = []
    ini = write_ini(IN_MEMORY, "application_with_resources")
    code, (client, incomplete) = run(ini, port, use, "--live", stop=stop)
    client.join(TIMEOUT)
    assert incomplete.getresponse().status == 503
    incomplete.close()
    assert (code, started) == (0, [f"https://127.0.0.1:{port}/v1/"])
    assert ended[0] == b"event: change\n"
    assert not client.is_alive()


def test_connections_of_clients_that_do_not_read_are_dropped():
    config = live_server.uvicorn.Config(None, port=0, log_config=None)
    with live_server.bind(config) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--live"], "--live requires uvicorn. Install it: pip install"),
        (["--live", "--workers", "2"], "--workers 2: --live serves with one process"),
    ],
)
def test_live_server_that_cannot_start_is_reported(
    write_ini, explanation, monkeypatch, options, message
):
    monkeypatch.setattr(live_server, "uvicorn", None)
    assert main(["--ini", write_ini(IN_MEMORY), "serve", *options]) == 2
    assert explanation().startswith(message)


def test_workers_are_processes(write_ini, port):
    def use():
        task = Path(f"/proc/{os.getpid()}/task/{threading.main_thread().native_id}/children")
        wait_until(lambda: len(set(task.read_text().split()) - before) == 2)
        return True

    before = set(
        Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split()
    )
    assert run(write_ini(IN_MEMORY), port, use, "--workers", "2") == (0, True)


@pytest.mark.parametrize(
    "proxy, scheme", [("127.0.0.1", "https"), ("*", "https"), ("10.1.1.1", "http")]
)
def test_scheme_is_that_of_the_trusted_proxy(server, write_ini, port, proxy, scheme):
    headers = {"Host": "api.example.com", "X-Forwarded-Proto": "https"}

    def use():
        return get(port, **headers)["url"], get(port, **{"X-Forwarded-Proto": "ftp"})["url"]

    code, urls = run(write_ini(IN_MEMORY), port, use, "--trusted-proxy", proxy)
    assert urls == (f"{scheme}://api.example.com/v1/", f"http://127.0.0.1:{port}/v1/")


@pytest.mark.parametrize("announced", [True, False])
def test_body_above_the_limit_is_refused(server, write_ini, port, announced):
    def use():
        body = b"[%s]" % (b"1," * 1000)
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        content = body if announced else iter([body])
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/batch", content, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    settings = "cliquet.max_body_bytes = 1000\ncliquet.batch_max_bytes = 1000\n"
    assert run(write_ini(IN_MEMORY + settings), port, use) == (0, 413)


def test_description_omits_the_api_page_and_the_user_that_do_not_exist(write_ini):
    policy = "pyramid.authentication.RemoteUserAuthenticationPolicy"
    policies = f"multiauth.policies = remote\nmultiauth.policy.remote.use = {policy}\n"
    env = loading.load(write_ini(IN_MEMORY + policies))
    options = make_parser().parse_args(["serve"])
    ready, *others = serve._description(env["registry"], options)
    env["closer"]()
    assert others == ["Press Ctrl-C to stop."]


@pytest.mark.parametrize(
    "host, origin", [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("a", "a")]
)
def test_url_can_be_opened_in_a_browser(host, origin):
    options = make_parser().parse_args(["serve", "--host", host, "--port", "80"])
    assert serve._origin(options) == f"http://{origin}:80"


LOGS = """
    [loggers]
    keys = root
    [handlers]
    keys = console
    [formatters]
    keys = generic
    [logger_root]
    level = WARNING
    handlers = console
    [handler_console]
    class = StreamHandler
    args = (sys.stdout,)
    formatter = generic
    [formatter_generic]
    format = formatted %(message)s
"""


@pytest.mark.parametrize(
    "section, level, form",
    [
        ("", logging.INFO, "%(asctime)s %(message)s"),
        (LOGS, logging.WARNING, "formatted %(message)s"),
    ],
)
def test_logs_are_those_of_the_file_or_a_line_per_request(
    section, level, form, write_ini, monkeypatch
):
    toolkit, root_level = logging.getLogger("cliquet"), logging.root.level
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(toolkit, "level", logging.NOTSET)
    try:
        loading._setup_logging(write_ini(IN_MEMORY + section))
        (handler,) = logging.root.handlers
        assert handler.formatter._fmt == form
        assert toolkit.getEffectiveLevel() == level
    finally:
        logging.root.setLevel(root_level)


@pytest.mark.parametrize(
    "correct, wrong, expected",
    [
        ("keys = root", "keys = root, service", "logger_service"),
        ("class = StreamHandler", "class = StreamHndler", "StreamHndler"),
        ("sys.stdout", "standard_output", "standard_output"),
    ],
)
def test_wrong_section_of_logging_is_reported(correct, wrong, expected, write_ini):
    ini = write_ini(IN_MEMORY + LOGS.replace(correct, wrong))
    with pytest.raises(CommandError) as raised:
        loading.load(ini, with_logs=True)
    assert str(raised.value).startswith(f"{ini}: invalid logging configuration: ")
    assert expected in str(raised.value)


@contextmanager
def serving(ini, port, *options):
    """Run the command in another process."""
    command = [sys.executable, "-m", "cliquet", "--ini", ini, "serve", "--port", str(port)]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            process.wait(TIMEOUT)
        finally:
            process.kill()


def test_requests_are_logged_in_short_lines(write_ini, port):
    with serving(write_ini(IN_MEMORY), port) as process:
        process.stdout.readline()
        get(port)
        process.terminate()
        started, request = process.stderr.read().splitlines()
    assert process.returncode == 0
    assert started.endswith("myapp 1.0 starting.")
    assert request.split(" ", 1)[1].startswith('"GET   /v1/" 200 (')
    assert request.endswith(" ms)")


def test_file_changes_restart_the_server(write_ini, port):
    ini = Path(write_ini(IN_MEMORY))

    def name():
        try:
            return get(port)["project_name"]
        except OSError:
            return None

    with serving(ini, port, "--reload") as process:
        wait_until(lambda: name() == "myapp")
        changed = ini.read_text().replace("project_name = myapp", "project_name = changed")
        time.sleep(1.1)  # the reloader looks at the file each second, and misses an earlier change
        for seconds in (10, 20, 40):
            ini.write_text(changed)
            if becomes_true(lambda: name() == "changed", seconds):
                break
        assert name() == "changed"
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert not accepts(port)


@pytest.mark.usefixtures("restored_mask")
def test_reloader_is_stopped_by_one_signal(write_ini, port, monkeypatch):
    def start_reloader(path, **options):
        started.append((path, options["worker_args"]))
        signal.pthread_kill(signal_thread(), signal.SIGINT)
        wait_until(lambda: stopped)
        raise SystemExit(0)

    started, stopped = [], []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    monkeypatch.setattr(hupper, "start_reloader", start_reloader)
    arguments = ["--ini", write_ini(IN_MEMORY), "serve", "--reload", "--port", str(port)]
    with pytest.raises(SystemExit):
        main(arguments)
    assert started == [("cliquet.scripts.cliquet.main", [arguments])]
    assert stopped == [signal.SIGTERM]


@pytest.mark.usefixtures("restored_mask")
def test_interrupts_are_received_again_once_the_reloader_ends(monkeypatch):
    def start_reloader(path, **options):
        blocked.append(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        (thread,) = (each for each in threading.enumerate() if each.name == serve.SIGNAL_THREAD)
        signal.pthread_kill(thread.ident, signal.SIGINT)
        thread.join()

    blocked = []
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    monkeypatch.setattr(hupper, "start_reloader", start_reloader)
    serve._run_reloader([], lambda: None)
    assert blocked == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_reloaded_process_watches_the_file_and_opens_no_browser(write_ini, port, monkeypatch):
    class Reloader:
        def watch_files(self, paths):
            watched.extend(paths)

    watched, opened = [], []
    monkeypatch.setattr(hupper, "is_active", lambda: True)
    monkeypatch.setattr(hupper, "get_reloader", Reloader)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    ini = write_ini(IN_MEMORY)
    run(f"{ini}#main", port, lambda: get(port), "--reload", "--open")
    assert (watched, opened) == ([ini], [])


def test_browser_is_opened_once_the_server_is_ready(write_ini, port, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    run(write_ini(IN_MEMORY), port, lambda: wait_until(lambda: opened), "--open")
    assert opened == [f"http://127.0.0.1:{port}"]


def test_waiting_for_a_server_that_never_starts_ends(monkeypatch):
    monkeypatch.setattr(processes, "_START_TIMEOUT", 0.1)
    tried = []
    thread = processes.run_when(lambda: tried.append(1), lambda: pytest.fail("called"))
    thread.join(TIMEOUT)
    assert tried


@pytest.mark.usefixtures("restored_mask")
def test_spawned_worker_loads_the_application_and_is_stopped_once(write_ini):
    options = make_parser().parse_args(["--ini", write_ini(IN_MEMORY), "serve"])
    loader = pickle.loads(pickle.dumps(serve.AppLoader(options, lambda: "of the parent")))
    assert loader().__name__ == "application"
    stopped = []
    thread = signal_thread()
    signal.pthread_kill(thread, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    wait_until(lambda: stopped)
    assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert stopped == [signal.SIGTERM]


def test_worker_that_is_stopped_before_it_starts_exits(monkeypatch):
    stopped, exited = [], []
    handler = serve._stopper(lambda: stopped.append(True))
    monkeypatch.setattr(os, "_exit", exited.append)
    handler(signal.SIGTERM, None)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    handler(signal.SIGTERM, None)
    wait_until(lambda: stopped)
    assert (stopped, exited) == ([True], [0])


def test_process_stops_when_its_parent_is_killed():
    requested = ctypes.c_int()
    processes.stop_with_parent()
    ctypes.CDLL(None).prctl(GET_PARENT_DEATH_SIGNAL, ctypes.byref(requested))
    assert requested.value == signal.SIGTERM


@pytest.mark.usefixtures("restored_mask")
def test_worker_whose_parent_was_killed_before_it_started_stops(monkeypatch):
    stopped = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    monkeypatch.setattr(serve, "_pass_one_signal", lambda: None)
    loader = serve.AppLoader(None, lambda: None)
    for parent, expected in [(os.getppid(), []), (0, [signal.SIGTERM])]:
        loader._parent = parent
        loader()
        assert stopped == expected


def test_nohup_is_respected(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert processes.stop_signals() == [signal.SIGINT, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_port_in_use_is_reported(write_ini, explanation):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert main(["--ini", write_ini(IN_MEMORY), "serve", "--port", str(port)]) == 1
    expected = f"Cannot listen on --host 127.0.0.1 --port {port}: Address already in use"
    assert explanation() == expected


def test_unknown_host_is_reported(write_ini, explanation):
    arguments = ["serve", "--host", "unknown.invalid"]
    assert main(["--ini", write_ini(IN_MEMORY), *arguments]) == 1
    assert explanation().startswith("Cannot listen on --host unknown.invalid --port 8888: ")


@pytest.mark.parametrize("value", ["0", "65536", "99999", "-1", "http", "8e3"])
def test_invalid_port_is_reported_with_its_option(value, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["serve", f"--port={value}"])
    assert raised.value.code == 2
    expected = f"argument --port: '{value}': expected a number from 1 to 65535"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--workers", "--threads"])
@pytest.mark.parametrize("value", ["0", "1001", "many"])
def test_invalid_number_is_reported_with_its_option(option, value, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["serve", option, value])
    assert raised.value.code == 2
    assert f"argument {option}: '{value}': expected a number from 1 to 1000" in (
        capsys.readouterr().err
    )


def test_several_workers_require_granian(write_ini, monkeypatch, explanation):
    monkeypatch.setattr(serve, "import_optional", lambda name: None)
    assert main(["--ini", write_ini(IN_MEMORY), "serve", "--workers", "2"]) == 2
    assert explanation().startswith("--workers 2 requires granian. Install it: pip install ")


def test_package_can_be_run_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cliquet", "version"])
    runpy.run_module("cliquet.__main__")  # imported, it does nothing
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit) as raised:
        runpy.run_module("cliquet", run_name="__main__")
    assert raised.value.code == 0
