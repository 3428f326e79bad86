"""A run's log: one JSON object per line and step."""

from __future__ import annotations

import json
from pathlib import Path

from dpedkit.files import storage_error, write_atomic
from dpedkit.types import Json


class RunLog:
    """Appends records to a file; each is there as soon as `append` returns.

    path        the .jsonl file
    after_step  records of later steps are dropped first, and so is a line that a kill cut short
    """

    def __init__(self, path: Path, *, after_step: int) -> None:
        self._path = path
        if path.is_file():
            kept = [record for record in read_log(path) if record["step"] <= after_step]
            write_atomic(path, "".join(f"{json.dumps(record)}\n" for record in kept).encode())

    def append(self, record: Json) -> None:
        """Write one record, which has a "step".

        Raises:
            StorageError: the disk is full, or the file cannot be written.
        """
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                print(json.dumps(record), file=stream)
        except OSError as error:
            raise storage_error(error, self._path) from error


def read_log(path: Path) -> list[Json]:
    """Return a log's records; a last line that a kill cut short is left out."""
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]
