"""The real command line in a process of its own, and what tests look at after it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from forker import forker

DPEDKIT = Path(sys.executable).with_name("dpedkit")

BEHIND = ("nice", "-n", "5")
"""Runs what is to be stopped in its midst: on a busy machine it must not get ahead of who watches it."""
_STEP_S = 0.005

Done = subprocess.CompletedProcess[str]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


class CommandLine:
    """Runs dpedkit with a home of its own and one thread per process: tests share the machine with each other."""

    def __init__(self, home: Path) -> None:
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("DPEDKIT", "ADB", "ANDROID"))}
        self.environment = {**keep, "HOME": str(home), "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}

    def with_environment(self, **more: str) -> CommandLine:
        """Return the same command line with more environment variables."""
        other = copy.copy(self)
        other.environment = {**self.environment, **more}
        return other

    def run(
        self, *words: object, cwd: Path, code: int = 0, env: Mapping[str, str] | None = None, **options: Any
    ) -> Done:
        """Run a command to its end; check its exit code, and that it shows no traceback."""
        command, environment = [str(DPEDKIT), *map(str, words)], {**self.environment, **(env or {})}
        if options or _for_python(environment) != _for_python(os.environ):  # which are read when an interpreter starts
            done = subprocess.run(
                command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False, **options
            )
        else:
            done = forker().run(command, cwd=cwd, environment=environment, timeout_s=300)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        assert "this is a bug" not in done.stderr
        return done

    def json(self, *words: object, cwd: Path, code: int = 0) -> Any:
        """Run a command with --json and return the one document that is its whole stdout."""
        return json.loads(self.run(*words, "--json", cwd=cwd, code=code).stdout, parse_constant=_refuse)

    def events(self, *words: object, cwd: Path, code: int = 0) -> list[Any]:
        """Run a command that tells what happens as it happens; return the document of each line of stdout."""
        lines = self.run(*words, "--json", cwd=cwd, code=code).stdout.splitlines()
        return [json.loads(line, parse_constant=_refuse) for line in lines]

    def error(self, *words: object, cwd: Path, code: int, env: Mapping[str, str] | None = None, **options: Any) -> str:
        """Run a command that must fail; return its line of cause and its line of remedy, which end stderr."""
        done = self.run(*words, cwd=cwd, code=code, env=env, **options)
        cause, remedy = done.stderr.splitlines()[-2:]
        assert cause.startswith("error: "), done.stderr
        assert remedy.startswith("  "), done.stderr
        assert remedy.strip(), done.stderr
        return f"{cause}\n{remedy}"

    def start(self, *words: object, cwd: Path, within: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, as a shell does.

        within  a command line that runs it
        """
        return subprocess.Popen(
            [*within, DPEDKIT, *map(str, words)],
            cwd=cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def stop_when(
        self,
        ready: Callable[[], bool],
        number: signal.Signals,
        *words: object,
        cwd: Path,
        group: bool = False,
        stepwise: bool = False,
    ) -> Done:
        """Start a command, send it a signal once `ready` says so, and return how it ended.

        group     to its children as well, as Ctrl-C on a terminal does
        stepwise  it stands still while `ready` looks, so that it comes no further than that
        """
        process = self.start(*words, cwd=cwd, within=BEHIND)

        def come_so_far() -> bool:
            if stepwise:
                os.killpg(process.pid, signal.SIGCONT)
                time.sleep(_STEP_S)
                os.killpg(process.pid, signal.SIGSTOP)
            return ready() or process.poll() is not None

        try:
            wait_until(come_so_far)
            if process.poll() is None:
                (os.killpg if group else os.kill)(process.pid, number)
                os.killpg(process.pid, signal.SIGCONT)
            stdout, stderr = process.communicate(timeout=120)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
            process.kill()
            process.wait()
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def _for_python(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("PYTHON")}


class Simulated:
    """`dpedkit simulate`, running, and the addresses that it printed."""

    def __init__(self, cli: CommandLine, root: Path) -> None:
        self.root = root
        self.process = cli.start("simulate", cwd=root)
        assert self.process.stdout is not None
        lines = []
        while not (lines and lines[-1].startswith("running")):
            lines.append(self.process.stdout.readline())
            assert lines[-1], self.process.communicate()
        self.addresses = dict(line.split() for line in lines[:-1])


def wait_until(ready: Callable[[], bool], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def tree(folder: Path) -> dict[str, str]:
    """Return every file below a folder with its SHA-256."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def shards(workspace: Path) -> dict[str, str]:
    """Return the workspace's whole shards with their SHA-256."""
    return {name: digest for name, digest in tree(workspace / "patches").items() if name.endswith(".npy")}


def set_scale(workspace: Path, scale: float) -> None:
    """Make the simulated cameras take smaller photos, which are quicker to render and to align."""
    rig = workspace / "rigs" / "tripod.toml"
    rig.write_text(rig.read_text().replace("scale = 0.25", f"scale = {scale}"))


def mount(place: Path, megabytes: int, *more: str) -> list[str | Path]:
    """Return the command that makes a folder a disk of so many megabytes, as root."""
    return ["mount", "-t", "tmpfs", "-o", ",".join([f"size={megabytes}m", *more]), "tmpfs", place]


def enlarge(place: Path) -> None:
    """Give such a disk 100 megabytes."""
    subprocess.run(mount(place, 100, "remount"), check=True)
