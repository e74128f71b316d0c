"""ASGI server of ``cliquet serve --live``."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from wsgiref.types import WSGIApplication

from cliquet import asgi
from cliquet.live import streams
from cliquet.scripts.processes import GRACE, restored_signals, run_when, stop_signals
from cliquet.utils import import_optional

uvicorn = import_optional("uvicorn")


def run(
    app: WSGIApplication, threads: int, address: tuple[str, int], on_ready: Callable[[], None]
) -> None:
    """Serve the application and its streams until a signal.

    :param on_ready: called once the server accepts connections.
    """
    application = asgi.application(app, threads)
    config = uvicorn.Config(
        application,
        host=address[0],
        port=address[1],
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    listener = bind(config)

    def stop() -> None:
        server.should_exit = True
        application.close()

    async def serve() -> None:
        # In addition to the handlers of uvicorn, which waits for the streams to end.
        for number in stop_signals():
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await server.serve([listener])

    with restored_signals():
        run_when(lambda: server.started, on_ready)
        asyncio.run(serve())


def bind(config: Any) -> socket.socket:
    """Return the listening socket, which drops the connections of clients that don't read.

    Without the option, which only Linux has, the kernel would keep the data that these connections
    have buffered, after uvicorn has closed them.
    """
    listener: socket.socket = config.bind_socket()
    with suppress(AttributeError):
        milliseconds = int(streams.SEND_TIMEOUT_SECONDS * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return listener
