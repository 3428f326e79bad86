"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own, that talk over TCP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from command_line import wait_until

TESTS = Path(__file__).resolve().parent
DASK = Path(sys.executable).with_name("dask")


class DaskCluster:
    """`dask scheduler` and `dask worker`, as people start them; `folder` holds what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", self._file)
        wait_until(lambda: self._file.exists() and self._file.read_text().endswith("}"))
        self.address: str = json.loads(self._file.read_text())["address"]

    def start_worker(
        self, *, words: tuple[str, ...] = ("--no-nanny",), within: tuple[str, ...] = (), env: Mapping[str, str] = {}
    ) -> subprocess.Popen[bytes]:
        """Start a worker with one thread. Without a nanny nobody starts it again when it is killed.

        within  a command line that runs it
        """
        place = ("--nthreads", "1", "--local-directory", str(self.folder))
        return self._start("worker", self.address, *place, *words, within=within, env=env)

    def close(self) -> None:
        """End all that was started."""
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(
        self, *words: object, within: tuple[str, ...] = (), env: Mapping[str, str] = {}
    ) -> subprocess.Popen[bytes]:
        paths = (env.get("PYTHONPATH"), str(TESTS), os.environ.get("PYTHONPATH"))
        path = os.pathsep.join(filter(None, paths))
        with (self.folder / f"{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*within, str(DASK), *map(str, words), "--no-dashboard"],
                env={**os.environ, **env, "PYTHONPATH": path},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process
