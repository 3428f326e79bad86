"""What a trace writes, and what it never does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from dpedkit.capture.replay import read_trace
from dpedkit.capture.trace import MOST_BYTES, Trace
from dpedkit.errors import StorageError, UsageError


def lines(path: Path) -> list[dict[str, str | int]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_was_said_before_the_secret_was_known_is_kept_back_then_written_without_it(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace", clock_ns=lambda: 7)
    trace.add("canon", "ptp", "received", b"no. 012345 " + "012345".encode("utf-16-le"))
    assert lines(tmp_path / "trace") == []
    trace.reveal("canon", ["012345", ""])
    (line,) = lines(tmp_path / "trace")
    assert line == {
        "t_ns": 7,
        "device": "canon",
        "wire": "ptp",
        "way": "received",
        "data": (b"no. XXXXXX " + "XXXXXX".encode("utf-16-le")).hex(),
    }
    trace.close()


def test_of_a_device_that_never_told_its_secret_only_sizes_are_written(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace")
    trace.add("canon", "ptp", "received", b"no. 012345")
    trace.close()
    (line,) = lines(tmp_path / "trace")
    assert (line["size_bytes"], "data" in line) == (10, False)


def test_many_bytes_are_counted_and_hashed(tmp_path: Path) -> None:
    photo = bytes(MOST_BYTES + 1)
    trace = Trace(tmp_path / "trace")
    trace.reveal("phone", ())
    trace.add("phone", "adb", "received", photo, {"command": "WRTE", "arg0": 1, "arg1": 2})
    (line,) = lines(tmp_path / "trace")
    assert (line["command"], line["size_bytes"], line["sha256"]) == (
        "WRTE",
        len(photo),
        hashlib.sha256(photo).hexdigest(),
    )
    assert read_trace(tmp_path / "trace", "phone")[0].data == photo
    assert read_trace(tmp_path / "trace", "canon") == []
    trace.close()


def test_what_is_no_trace_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("hello\n")
    with pytest.raises(UsageError, match="line 1"):
        read_trace(tmp_path / "trace", "canon")
    with pytest.raises(StorageError, match="nowhere"):
        Trace(tmp_path / "nowhere" / "trace")
