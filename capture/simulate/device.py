"""The process of one simulated camera: `python -m dpedkit.capture.simulate.device --state DIR --name sony`.

What the rig file says of it comes as `--config`, the JSON of a SimulatedConfig.
It listens on a free port of 127.0.0.1, says which in the state folder, and ends on SIGTERM or when its standard input
ends, so that it cannot outlive whoever started it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol

from dpedkit.capture.simulate.body import Body
from dpedkit.capture.simulate.specs import SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.files import write_atomic


class Server(Protocol):
    """A protocol before a body."""

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        ...

    def start(self) -> None:
        """Serve from threads of its own."""
        ...

    def close(self) -> None:
        """Stop serving."""
        ...


def main() -> None:
    """Be one camera until told to stop."""
    parser = argparse.ArgumentParser(description="One camera of the simulated rig.")
    parser.add_argument("--state", type=Path, required=True, help="the rig's state folder")
    parser.add_argument("--name", required=True, help="which camera to be")
    parser.add_argument("--config", default=SimulatedConfig().to_json(), help="the rig's settings, as JSON")
    parser.add_argument("--trust", type=Path, help="public adb key to let in beside this user's own")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    body = Body(camera_spec(options.name), options.state, SimulatedConfig.from_json(options.config))
    try:
        server = _server(body, options.trust)
        server.start()
        try:
            whereabouts = {"port": server.port, "pid": os.getpid()}
            write_atomic(StateFolder(options.state).port(options.name), json.dumps(whereabouts).encode())
            sys.stdin.read()
        finally:
            server.close()
    finally:
        body.close()


def _server(body: Body, trusted_key: Path | None) -> Server:
    """Put the body's protocol before it; the other one is not imported."""
    if body.spec.role == "dslr":
        from dpedkit.capture.simulate.eos import EosServer

        return EosServer(body, faults=body.faults)
    from dpedkit.capture.simulate.adb_daemon import USER_KEYS, AdbDaemon

    return AdbDaemon(
        body, port=0, authorised_keys=(*USER_KEYS, trusted_key) if trusted_key else USER_KEYS, faults=body.faults
    )


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut the closing short
    raise SystemExit(0)


if __name__ == "__main__":
    main()
