"""A real `dpedkit review`, `serve` or `study serve` for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command_line import DPEDKIT, CommandLine


@contextmanager
def serving(cli: CommandLine, root: Path, *options: str, command: str | tuple[str, ...] = "review") -> Iterator[str]:
    """Run `dpedkit review` and yield the address that it prints; it ends with Ctrl-C as with a clean exit."""
    with started(cli, root, *options, command=command) as (server, address):
        yield address
        server.send_signal(2)
        out, err = server.communicate(timeout=30)
        assert (server.returncode, err) == (0, ""), (out, err)


@contextmanager
def started(
    cli: CommandLine, root: Path, *options: str, command: str | tuple[str, ...] = "review"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run it and yield the process, too, which is killed if it has not ended by then."""
    asked = (command,) if isinstance(command, str) else command
    words = [DPEDKIT, *asked, "--port", "0", "--no-browser", *options]
    server = subprocess.Popen(
        words, cwd=root, env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        line = next((line for line in server.stdout if line.startswith("http://")), "")
        assert line, server.communicate()
        yield server, line.strip()
    finally:
        if server.poll() is None:
            server.kill()
            server.communicate()
