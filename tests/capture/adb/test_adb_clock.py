"""Clocks of old and new phones, read and waited for by real shells without any phone."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dpedkit.capture.camera import ClockOffset, Release
from dpedkit.capture.drivers.adb_clock import (
    CLOCKS,
    FireReport,
    bound_release,
    choose_clock,
    fire_script,
    measure_offset,
    parse_report,
)
from dpedkit.errors import CameraError

NANOSECONDS, MICROSECONDS, SECONDS = CLOCKS
OLD_DATE = '#!/bin/sh\ncase $1 in *N) echo "$(/bin/date +%s)N" ;; *) exec /bin/date "$@" ;; esac\n'


def shell(sh: str, first_in_path: Path | None = None) -> Callable[[str], str]:
    path = os.pathsep.join([str(first_in_path or ""), "/usr/bin", "/bin"])

    def run(command: str) -> str:
        return subprocess.run(
            [sh, "-c", command], env={"PATH": path}, capture_output=True, text=True, check=True
        ).stdout

    return run


@pytest.fixture
def old_phone(tmp_path: Path) -> Path:
    (tmp_path / "date").write_text(OLD_DATE)
    (tmp_path / "date").chmod(0o755)
    return tmp_path


def mksh() -> str:
    return shutil.which("mksh") or pytest.skip("mksh is not installed")


def test_the_best_clock_that_a_phone_has_is_chosen(old_phone: Path) -> None:
    assert choose_clock(shell("dash")) is NANOSECONDS
    assert choose_clock(shell("dash", old_phone)) is SECONDS
    with pytest.raises(CameraError, match="clock cannot be read"):
        choose_clock(lambda _: "date: not found\n")


def test_an_old_phone_with_mksh_has_microseconds(old_phone: Path) -> None:
    assert choose_clock(shell(mksh(), old_phone)) is MICROSECONDS


@pytest.mark.parametrize("clock", CLOCKS, ids=["nanoseconds", "microseconds", "seconds"])
def test_every_clock_finds_that_this_machine_is_not_ahead_of_itself(clock: object) -> None:
    run = shell(mksh() if clock is MICROSECONDS else "dash")
    assert clock in CLOCKS
    offset = measure_offset(run, CLOCKS[CLOCKS.index(clock)], time.time_ns)
    assert abs(offset.offset_ns) <= offset.bound_ns
    assert offset.bound_ns < 400_000_000


def test_the_offset_lies_where_all_answers_overlap() -> None:
    """The true offset is 1,000 ns; each question and answer travels a known time."""
    now_ns = 10**18
    delays = iter([(500, 20), (30, 400), (300, 300)] * 4)

    def run(_: str) -> str:
        nonlocal now_ns
        there_ns, back_ns = next(delays)
        now_ns += there_ns
        device_ns = now_ns + 1000
        now_ns += back_ns
        return f"{device_ns}\n"

    offset = measure_offset(run, NANOSECONDS, lambda: now_ns)
    assert offset.offset_ns == pytest.approx(1000 + (30 - 20) / 2, abs=2)
    assert offset.bound_ns == pytest.approx((30 + 20) / 2, abs=3)


def test_a_clock_that_is_set_meanwhile_is_noticed() -> None:
    answers = iter([10**18, *[2 * 10**18] * 20])
    with pytest.raises(CameraError, match="clock was set"):
        measure_offset(lambda _: str(next(answers)), NANOSECONDS, time.time_ns)


def test_the_release_lies_between_both_accounts() -> None:
    report = FireReport(before_ns=10_500, after_ns=11_500, status="0", said="")
    offset = ClockOffset(offset_ns=10_000, bound_ns=200)
    assert bound_release(report, offset, 0, 9_999) == Release(300, 1_700)
    assert bound_release(report, offset, 400, 1_600) == Release(400, 1_600)
    assert bound_release(report, offset, 2_000, 3_000) is None  # the phone's clock has been set


def test_what_is_no_report_is_none() -> None:
    for printed in ("", "sh: input: not found", "fired now then 0", "fired 1 2"):
        assert parse_report(NANOSECONDS, printed) is None


@pytest.mark.parametrize("wait_ns", [-(10**10), 0, 50_000_000, 600_000_000])
def test_the_script_waits_and_tells_when_it_fired(sh: str, wait_ns: int) -> None:
    clocks = (NANOSECONDS, MICROSECONDS) if sh.endswith("mksh") else (NANOSECONDS,)
    for clock in clocks:
        asked_ns = time.time_ns()
        printed = shell(sh)(fire_script(clock, asked_ns + wait_ns, "echo trigger; (exit 3)"))
        ended_ns = time.time_ns()
        said, last = printed.splitlines()
        word, before, after, status = last.split()
        before_ns, after_ns = clock.parse(before), clock.parse(after)
        assert before_ns is not None
        assert after_ns is not None
        assert (said, word, status) == ("trigger", "fired", "3")
        assert asked_ns - 1000 <= before_ns <= after_ns <= ended_ns
        assert before_ns > asked_ns + wait_ns - 30_000_000
