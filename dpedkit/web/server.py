"""Serving an application on this machine, until Ctrl-C."""

from __future__ import annotations

import secrets
import socket
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

import uvicorn
from starlette.routing import BaseRoute

from dpedkit.errors import StorageError, UsageError
from dpedkit.web.app import make_app
from dpedkit.web.guard import LOOPBACK

_MOST_HEAD_BYTES = 64 << 10  # a long query and the names of a page's pairs stand in an address


def serve(
    routes: Sequence[BaseRoute],
    *,
    host: str,
    port: int,
    start: str,
    say: Callable[[str], None],
    browse: bool,
    uploads: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Serve pages until Ctrl-C; visitors are not written down.

    host     beyond loopback, visitors must bring a token, which is part of the address that `say` is told
    port     0: any free one
    start    path of the page to open
    uploads  as in `Guard`

    Raises:
        UsageError: no such host here.
        StorageError: the port is taken.
    """
    token = "" if host in LOOPBACK else secrets.token_urlsafe(16)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise UsageError(f"no host {host!r} here: {error.strerror}", "leave --host out, or use 0.0.0.0") from error
    except OSError as error:
        raise StorageError(f"{host}:{port}: {error.strerror}", "use another --port; 0 is any free one") from error
    with listening, suppress(KeyboardInterrupt):  # this is how it is meant to end
        # asyncio does so only where a socket names its protocol; without it, every answer waits 40 ms for an ACK
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listening.getsockname()[1]}{start}" + (f"?token={token}" if token else "")
        if token:
            say("other machines need the token in this address; without TLS whoever is on the way can read it")
        say(address)
        if browse:
            webbrowser.open(address)
        app = make_app(routes, hosts=None if token else LOOPBACK, token=token, uploads=uploads)
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="error",
            server_header=False,
            lifespan="off",
            h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        )
        uvicorn.Server(config).run(sockets=[listening])
