"""Taking a port before anything else is started, so that a port in use is one clear message; the log."""

from __future__ import annotations

import contextlib
import logging
import socket

import uvicorn
from fastapi import FastAPI

from pressopt.errors import InputError, Violation

#: How long open requests are waited for at the end, s.
_GRACE_S = 3


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        InputError: The address is not of this machine, or the port is in use.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(
            [Violation("--host", f"{host} cannot be listened on: {error.strerror or error}")]
        ) from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(1024)
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise InputError(
            [Violation("--port", f"{host}:{port} cannot be listened on: {error.strerror}; choose another port")]
        ) from error
    return found


def log_to_stderr() -> None:
    """Write what the service has to say to standard error, with date and time."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


class Server(uvicorn.Server):
    """A web server that ends live streams first, so that nobody who watches keeps it from stopping."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(configured(app))
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let open requests end, stop the application."""
        if self.started:
            self._app.state.running.host.feed.close()
        await super().shutdown(sockets)


def run_until_stopped(app: FastAPI, listening: socket.socket) -> None:
    """Serve an application on a socket until SIGINT or SIGTERM; open requests end first."""
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it ends, once everything is on disk
        Server(app).run(sockets=[listening])


def configured(app: FastAPI) -> uvicorn.Config:
    """Return how the web server runs an application."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        lifespan="on",
    )
