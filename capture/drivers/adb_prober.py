"""One short question, asked of a phone over and over without starting a shell for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dpedkit.capture.drivers.adb_streams import Stream, StreamEnded

_PATIENCE_S = 2.0


class Prober:
    """Asks by a line to a waiting script: an answer takes a round trip, not the tens of ms that a phone's sh starts in.

    Where a phone does not hand on what its script should read, each question starts a shell after all.

    open_stream  starts a service of the phone
    shell        runs a command on the phone and returns what it prints
    """

    def __init__(self, open_stream: Callable[[str], Stream], shell: Callable[[str], str]) -> None:
        self._open_stream = open_stream
        self._shell = shell
        self._listens = True
        self._was_heard = False

    @contextmanager
    def asking(self, command: str) -> Iterator[Callable[[], str]]:
        """Yield what runs `command` on the phone and returns the line it prints, which must not be empty."""
        if not self._listens:
            yield lambda: self._shell(command)
            return
        stream = self._open_stream(f"shell:while read -r line; do {command}; done")

        def ask() -> str:
            if self._listens:
                try:
                    answer = _one_line(stream)
                except (StreamEnded, TimeoutError):
                    if self._was_heard:
                        raise
                    self._listens = False
                else:
                    self._was_heard = True
                    return answer
            return self._shell(command)

        yield ask
        stream.close()


def _one_line(stream: Stream) -> str:
    """Return the next line that is not empty: a terminal repeats what we type."""
    deadline_s = time.monotonic() + _PATIENCE_S
    stream.write(b"\n", _PATIENCE_S)
    said = b""
    while not (said.endswith(b"\n") and said.strip()):
        data = stream.read(max(0.0, deadline_s - time.monotonic()))
        if not data:
            raise StreamEnded("the script ended")
        said += data
    return said.decode(errors="replace")
