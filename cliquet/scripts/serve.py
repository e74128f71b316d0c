"""The ``cliquet serve`` command."""

from __future__ import annotations

import os
import signal
import socket
import threading
import webbrowser
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from typing import Any, NoReturn
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import hupper
import waitress.wasyncore

from cliquet.scripts import live_server
from cliquet.scripts.cli_output import FAILED, MISUSED, CommandError
from cliquet.scripts.loading import check_file, load
from cliquet.scripts.processes import (
    GRACE,
    SIGNALS,
    accepts,
    restored_signals,
    run_when,
    stop_signals,
    stop_with_parent,
)
from cliquet.settings import DEFAULT_SETTINGS
from cliquet.settings.types import BOOLEAN
from cliquet.types import Registry
from cliquet.utils import import_optional, setting_list
from cliquet.utils.installation import install_command

#: Name of the thread that waits for signals in processes where the main thread blocks them.
SIGNAL_THREAD = "cliquet-signals"

_ANY_HOST = ("0.0.0.0", "::")

# Messages of granian go to the handlers of the application's logs. Incremental: another
# configuration would close these.
_GRANIAN_LOGS = {"version": 1, "incremental": True, "handlers": {}, "loggers": {"_granian": {}}}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of :func:`serve`."""
    add = parser.add_argument
    add("--host", metavar="ADDRESS", default="127.0.0.1", help="Address (default: %(default)s).")
    add("--port", metavar="N", type=_port, default=8888, help="Port (default: %(default)s).")
    add(
        "--workers",
        metavar="N",
        type=_positive,
        default=1,
        help="Number of processes (default: %(default)s). More than one requires granian.",
    )
    add(
        "--threads",
        metavar="N",
        type=_positive,
        default=8,
        help="Number of threads of each process (default: %(default)s).",
    )
    add(
        "--trusted-proxy",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="Address of the proxy whose X-Forwarded-Proto header is trusted; * for any"
        " (default: %(default)s).",
    )
    add("--live", action="store_true", help="Also stream changes, with uvicorn in one process.")
    add("--reload", action="store_true", help="Restart when the code or the file changes.")
    add("--open", action="store_true", help="Open the service in a web browser.")


def _port(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise ArgumentTypeError(f"{text!r}: expected a number from 1 to 65535")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1000):
        raise ArgumentTypeError(f"{text!r}: expected a number from 1 to 1000")
    return int(text)


def serve(options: Namespace, registry: Registry) -> None:
    """Serve the application over HTTP until Ctrl-C or SIGTERM; requests in progress finish.

    The server is uvicorn with ``--live``. Otherwise, it is granian if it is installed, or waitress.
    """
    path = check_file(options.ini)
    granian = import_optional("granian")
    _check_server(options, granian)
    address = _address(options)

    def open_browser() -> None:
        if options.open:
            run_when(lambda: accepts(address), lambda: webbrowser.open(_origin(options)))

    if hupper.is_active():
        stop_with_parent()  # if it has already ended, the closed pipe of hupper interrupts us
        hupper.get_reloader().watch_files([path])
    elif options.reload:
        _run_reloader(options.arguments, open_browser)
    else:
        open_browser()
    app, lines = _load(options)
    if options.live:
        live_server.run(app, options.threads, address, lambda: _print_lines(lines))
    elif granian is None:
        _run_waitress(app, options, address, lines)
    else:
        _run_granian(granian, app, options, address, lines)


def _check_server(options: Namespace, granian: Any) -> None:
    """Check that the server that the options need is installed.

    :raises CommandError: if it isn't.
    """
    if options.live and options.workers > 1:
        raise CommandError(f"--workers {options.workers}: --live serves with one process", MISUSED)
    if options.live and live_server.uvicorn is None:
        raise CommandError(
            f"--live requires uvicorn. Install it: {install_command('live')}", MISUSED
        )
    if options.workers > 1 and granian is None:
        hint = f"Install it: {install_command('serve')}"
        raise CommandError(f"--workers {options.workers} requires granian. {hint}", MISUSED)


def _address(options: Namespace) -> tuple[str, int]:
    """Return the IP address and the port to listen on.

    Check that no other server uses it: on Linux, granian would share it with another granian.

    :raises CommandError: when it can't be used.
    """
    place = f"--host {options.host} --port {options.port}"
    try:
        addresses = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, address = addresses[0][0], addresses[0][4]
        socket.create_server(address, family=family).close()
    except OSError as error:
        is_unknown_host = isinstance(error, socket.gaierror)
        reason = error.strerror if is_unknown_host else os.strerror(error.errno or 0)
        raise CommandError(f"Cannot listen on {place}: {reason}", FAILED) from error
    return str(address[0]), options.port


def _load(options: Namespace) -> tuple[WSGIApplication, list[str]]:
    """Return the application, and the lines that describe it once it is served."""
    # The long line of a request is for production.
    DEFAULT_SETTINGS["logging_renderer"] = "cliquet.logs.ShortLogRenderer"
    env = load(options.ini, with_logs=True)
    env["closer"]()
    return _forwarded(env["app"], options.trusted_proxy), _description(env["registry"], options)


def _description(registry: Registry, options: Namespace) -> list[str]:
    settings = registry.settings
    base = f"{_origin(options)}/{registry.route_prefix}"
    lines = [f"{settings['project_name']} {settings['project_version']} is ready: {base}/"]
    if BOOLEAN.get(settings, "openapi_enabled"):
        lines.append(f"API page: {base}/__api__/")
    if "basicauth" in setting_list(settings["multiauth.policies"]):
        lines.append('User to try: "alice", password "secret" (any others work too)')
    return [*lines, "Press Ctrl-C to stop."]


def _origin(options: Namespace) -> str:
    host = "127.0.0.1" if options.host in _ANY_HOST else options.host
    return f"http://[{host}]:{options.port}" if ":" in host else f"http://{host}:{options.port}"


def _forwarded(app: WSGIApplication, proxy: str) -> WSGIApplication:
    """Return the application, with the URL scheme that the trusted proxy reports."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        scheme = environ.get("HTTP_X_FORWARDED_PROTO")
        if scheme in ("http", "https") and proxy in ("*", environ["REMOTE_ADDR"]):
            environ["wsgi.url_scheme"] = scheme
        return app(environ, start_response)

    return application


# Processes and signals


def _run_reloader(arguments: list[str], start: Callable[[], None]) -> None:
    """Run the command again in another process, and restart it when a file changes.

    :param start: called before.
    :raises SystemExit: when it has stopped.
    """
    # On SIGINT, hupper waits for the process without stopping it, then kills it and leaves its
    # workers behind. SIGTERM stops both. The other process, and threads, inherit the mask.
    signals = {signal.SIGINT}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def forward() -> None:
        signal.sigwait(signals)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=forward, name=SIGNAL_THREAD, daemon=True).start()
    start()
    try:
        hupper.start_reloader(
            "cliquet.scripts.cliquet.main", worker_args=[arguments], shutdown_interval=2 * GRACE
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _print_lines(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)


# Servers


def _run_waitress(
    app: WSGIApplication, options: Namespace, address: tuple[str, int], lines: list[str]
) -> None:
    sockets: dict[int, Any] = {}
    server = waitress.create_server(
        app,
        map=sockets,
        host=address[0],
        port=address[1],
        threads=options.threads,
        clear_untrusted_proxy_headers=False,
    )

    def stop(number: int, frame: Any) -> NoReturn:
        raise SystemExit  # which the server expects

    with restored_signals():
        for number in stop_signals():
            signal.signal(number, stop)
        _print_lines(lines)
        server.run()
    waitress.wasyncore.close_all(sockets)


class AppLoader:
    """Loader of the application in a worker process of granian.

    A worker that is forked inherits the application. One that is spawned, where the platform
    can't fork, loads it.
    """

    def __init__(self, options: Namespace, app: WSGIApplication | None) -> None:
        self._options = options
        self._app = app
        self._parent: int | None = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        # Unless a worker is forked, its parent can be the fork server of multiprocessing.
        return {"_options": self._options, "_app": None, "_parent": None}

    def __call__(self) -> WSGIApplication:
        stop_with_parent(self._parent)
        _pass_one_signal()
        return self._app or _load(self._options)[0]


def _pass_one_signal() -> None:
    """Pass the first signal, and no other one, to the handler that granian installs afterwards.

    The handler blocks the main thread of a worker if it is called twice, as by Ctrl-C, which
    signals each process, or before the worker accepts connections.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    inherited = signal.getsignal(signal.SIGTERM)

    def has_handler() -> bool:
        return signal.getsignal(signal.SIGTERM) != inherited

    def call_handler() -> None:
        handler: Any = signal.getsignal(signal.SIGTERM)
        handler(signal.SIGTERM, None)

    def pass_on() -> None:
        signal.sigwait(SIGNALS)
        run_when(has_handler, call_handler)

    threading.Thread(target=pass_on, name=SIGNAL_THREAD, daemon=True).start()


def _stopper(stop: Callable[[], None]) -> Callable[[int, Any], None]:
    """Return a signal handler for this process, whose forks exit until they have their own.

    It calls ``stop`` in a thread, because the signal can interrupt a previous call.
    """
    pid = os.getpid()

    def handle(number: int, frame: Any) -> None:
        if os.getpid() == pid:
            threading.Thread(target=stop).start()
        else:
            os._exit(0)

    return handle


def _run_granian(
    granian: Any,
    app: WSGIApplication,
    options: Namespace,
    address: tuple[str, int],
    lines: list[str],
) -> None:
    server = granian.Granian(
        "cliquet",  # not imported, because serve() gets a loader
        *address,
        interface=granian.constants.Interfaces.WSGI,
        workers=options.workers,
        blocking_threads=options.threads,
        workers_kill_timeout=GRACE,
        respawn_failed_workers=True,
        log_level=granian.log.LogLevels.error,
        log_dictconfig=_GRANIAN_LOGS,
    )

    def is_ready() -> bool:
        return len(server.wrks) == options.workers and accepts(address)

    def on_startup() -> None:
        # Without this, granian would respawn its workers with the same code on SIGHUP.
        for number in stop_signals():
            signal.signal(number, _stopper(server.signal_handler_interrupt))

    server.on_startup(on_startup)
    with restored_signals():
        run_when(is_ready, lambda: _print_lines(lines))
        server.serve(target_loader=AppLoader(options, app), wrap_loader=False)
