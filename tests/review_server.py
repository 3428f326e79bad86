"""A real `dpedkit review` for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command_line import DPEDKIT, CommandLine


@contextmanager
def serving(cli: CommandLine, root: Path, *options: str) -> Iterator[str]:
    """Run `dpedkit review` and yield the address that it prints; it ends with Ctrl-C as with a clean exit."""
    command = [DPEDKIT, "review", "--port", "0", "--no-browser", *options]
    server = subprocess.Popen(
        command, cwd=root, env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        line = next((line for line in server.stdout if line.startswith("http://")), "")
        assert line, server.communicate()
        yield line.strip()
    finally:
        server.send_signal(2)
        out, err = server.communicate(timeout=30)
        assert (server.returncode, err) == (0, ""), (out, err)
