"""Runs commands of dpedkit in processes that are forked off one which has loaded its libraries already.

A command spends more than a second on imports, and the suite runs hundreds. Each is still a process of its own, that
begins with `main()` and ends as an interpreter ends; only what it imports is there at once. See CommandLine.fresh.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

_LENGTH = 4
_NOT_LOADED = (".migrations", "onnx", "openvino")  # these two begin threads, which a fork does not bring along
_PACKAGES = ("dpedkit.stages", "dpedkit.db", "dpedkit.align", "dpedkit.train")


@cache
def forker() -> Forker:
    """Return the one of this test process."""
    return Forker()


class Forker:
    """Starts the process that forks; it ends with the one that started it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._process = subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        theirs.close()

    def run(
        self, words: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as subprocess.run does; its stdin is empty."""
        ended, tell = socket.socketpair()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, ended:
            asked = json.dumps({"words": words, "cwd": str(cwd), "environment": dict(environment)}).encode()
            with tell:
                handles = [out.fileno(), err.fileno(), tell.fileno()]
                socket.send_fds(self._line, [len(asked).to_bytes(_LENGTH, "big")], handles)
                self._line.sendall(asked)
            ended.settimeout(timeout_s)
            command = int(ended.recv(20))
            try:
                code = int(ended.recv(20))
            except TimeoutError:
                os.kill(command, signal.SIGKILL)
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(list(words), code, out.read().decode(), err.read().decode())


def _serve(line: socket.socket) -> None:
    """Fork for each command that is asked for; return in the process that is to run it."""
    while True:
        head, handles, _, _ = socket.recv_fds(line, _LENGTH, 3)
        if not head:
            sys.exit()
        size, asked = int.from_bytes(head, "big"), b""
        while len(asked) < size:
            asked += line.recv(size - len(asked))
        if os.fork() == 0:
            line.close()
            return _become(json.loads(asked), *handles)
        for handle in handles:
            os.close(handle)


def _become(asked: dict[str, object], out: int, err: int, tell: int) -> None:
    """Watch over the command in this process, and return in a child, which is to be the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if command := os.fork():
        os.write(tell, b"%20d" % command)
        _, status = os.waitpid(command, 0)
        os.write(tell, b"%20d" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for handle in (out, err, tell):
        os.close(handle)
    os.chdir(str(asked["cwd"]))
    environment = asked["environment"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    words = asked["words"]
    assert isinstance(words, list)
    sys.argv = words


def _load() -> None:
    """Import what commands import, and look at none of it."""
    for package in _PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not any(part in module.name for part in _NOT_LOADED):
                importlib.import_module(module.name)
    gc.freeze()  # else the first collection of each command would copy all of it


def _end(code: object) -> None:
    """End as an interpreter does, but for the modules, which it would take down one by one."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, OSError):  # closed
            stream.flush()
    os._exit(code if isinstance(code, int) else bool(code))


if __name__ == "__main__":
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who watch
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from dpedkit.cli import main

    try:
        main()
    except SystemExit as ended:
        _end(ended.code)
