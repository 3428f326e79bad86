"""Clocks of old and new phones, read and waited for by real shells without any phone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dpedkit.capture.camera import ClockOffset, Release
from dpedkit.capture.drivers.adb_clock import (
    CLOCKS,
    MICROSECONDS,
    NANOSECONDS,
    SECONDS,
    UPTIME,
    Asking,
    DeviceClock,
    PhoneClocks,
    choose_clocks,
)
from dpedkit.capture.drivers.adb_fire import FireReport, bound_release, fire_script, parse_report
from dpedkit.errors import CameraError

OLD_DATE = '#!/bin/sh\ncase $1 in *N) echo "$(/bin/date +%s)N" ;; *) exec /bin/date "$@" ;; esac\n'
LATE_DATE = '#!/bin/sh\nexec /bin/date -d "@$(($(/bin/date +%s) + 5)).5" "$@"\n'
# Each reading takes 20 ms of this clock, and every other a microsecond more, whatever was done between them.
NOISY_DATE = """#!/bin/sh
read -r now readings <"${0%/*}/now"
now=$((now + 20000 + (readings + 1) % 2))
echo "$now $((readings + 1))" >"${0%/*}/now"
echo "${now}000"
"""
NO_DATE = '#!/bin/sh\necho "date: not found" >&2\nexit 127\n'
CLOCKS_TO_WAIT_BY = [
    pytest.param(sh, clock, id=f"{sh}-{clock.name}")
    for sh in ("dash", "mksh")
    for clock in CLOCKS
    if clock.read and (clock is not MICROSECONDS or sh == "mksh")
]


def shell(sh: str, first_in_path: Path | None = None) -> Callable[[str], str]:
    path = os.pathsep.join([str(first_in_path or ""), "/usr/bin", "/bin"])

    def run(command: str) -> str:
        return subprocess.run(
            [sh, "-c", command],
            env={"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout

    return run


def asking(run: Callable[[str], str]) -> Asking:
    @contextmanager
    def ask(command: str) -> Iterator[Callable[[], str]]:
        yield lambda: run(command)

    return ask


@pytest.fixture
def phone_with(tmp_path: Path) -> Callable[[str], Path]:
    def install(date: str) -> Path:
        (tmp_path / "date").write_text(date)
        (tmp_path / "date").chmod(0o755)
        return tmp_path

    return install


def mksh() -> str:
    return shutil.which("mksh") or pytest.skip("mksh is not installed")


def test_the_best_clock_that_a_phone_has_is_chosen(phone_with: Callable[[str], Path]) -> None:
    clocks = choose_clocks(shell("dash"))
    assert (clocks.wall, clocks.timer) == (NANOSECONDS, NANOSECONDS)
    clocks = choose_clocks(shell("dash", phone_with(OLD_DATE)))
    assert (clocks.wall, clocks.timer) == (SECONDS, UPTIME)
    with pytest.raises(CameraError, match="clock cannot be read"):
        choose_clocks(shell("dash", phone_with(NO_DATE)))


def test_mksh_reads_its_own_clock_where_it_is_the_same_as_date(phone_with: Callable[[str], Path]) -> None:
    clocks = choose_clocks(shell(mksh()))
    assert (clocks.wall, clocks.timer) == (MICROSECONDS, MICROSECONDS)
    clocks = choose_clocks(shell(mksh(), phone_with(OLD_DATE)))
    assert (clocks.wall, clocks.timer) == (MICROSECONDS, MICROSECONDS)
    clocks = choose_clocks(shell(mksh(), phone_with(LATE_DATE)))
    assert (clocks.wall, clocks.timer) == (NANOSECONDS, MICROSECONDS)


def test_without_proc_uptime_the_phone_does_not_wait_by_itself() -> None:
    clocks = choose_clocks(lambda _: "clock before=\nclock date=1\nclock seconds=1790000000\nclock uptime=\n")
    assert (clocks.wall, clocks.timer) == (SECONDS, None)


@pytest.mark.parametrize("clock", [NANOSECONDS, MICROSECONDS, SECONDS], ids=lambda clock: clock.name)
def test_every_clock_finds_that_this_machine_is_not_ahead_of_itself(clock: DeviceClock) -> None:
    clocks = PhoneClocks(clock, clock if clock.read else None)
    for _ in range(3):
        clocks.compare(asking(shell(mksh() if clock is MICROSECONDS else "dash")), time.time_ns)
        offset = clocks.wall_at(time.time_ns())
        assert abs(offset.offset_ns) <= offset.bound_ns
        assert offset.bound_ns < 400_000_000


@pytest.mark.parametrize("ahead_s", [0, -7, 5_000_000])
def test_uptime_is_compared_to_a_few_milliseconds_though_it_steps_by_ten(ahead_s: int) -> None:
    clocks = PhoneClocks(SECONDS, UPTIME)
    begun_ns = time.time_ns()

    def run(_: str) -> str:
        time.sleep(0.0007)  # questions at any moment of the ten milliseconds
        device_ns = time.time_ns() - begun_ns + 100 * 10**9 + ahead_s * 10**9
        return f"clock {(time.time_ns() + ahead_s * 10**9) // 10**9} {device_ns // 10**7 / 100:.2f}\n"

    clocks.compare(asking(run), time.time_ns)
    offset = clocks.timer_at(time.time_ns())
    assert abs(offset.offset_ns - (100 * 10**9 + ahead_s * 10**9 - begun_ns)) <= offset.bound_ns < 5_000_000
    wall = clocks.wall_at(time.time_ns())
    assert abs(wall.offset_ns - ahead_s * 10**9) <= wall.bound_ns < 100_000_000


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
        return f"clock {device_ns}\n"

    clocks = PhoneClocks(NANOSECONDS, NANOSECONDS)
    clocks.compare(asking(run), lambda: now_ns)
    offset = clocks.wall_at(now_ns)
    assert offset.offset_ns == pytest.approx(1000 + (30 - 20) / 2, abs=3)
    assert offset.bound_ns == pytest.approx((30 + 20) / 2, abs=6)


def test_once_the_drift_is_known_fewer_questions_do_and_it_stays_true() -> None:
    now_ns, asked = 10**18, 0

    def run(_: str) -> str:
        nonlocal now_ns, asked
        asked += 1
        now_ns += 1_000_000 + 100_000 * (asked % 7)
        device_ns = now_ns + 5_000_000_000 + (now_ns - 10**18) // 20_000  # 50e-6
        now_ns += 700_000 + 100_000 * (asked % 5)
        return f"clock {device_ns}\n"

    def host_ns() -> int:
        return now_ns

    clocks = PhoneClocks(NANOSECONDS, NANOSECONDS)
    counts, offset = [], ClockOffset(0, 0, 0)
    for _ in range(20):
        before = asked
        clocks.compare(asking(run), host_ns)
        counts.append(asked - before)
        offset = clocks.wall_at(now_ns)
        assert abs(offset.offset_ns - 5_000_000_000 - (now_ns - 10**18) // 20_000) <= offset.bound_ns
        now_ns += 30 * 10**9
    assert counts[0] == 12
    assert counts[-1] == 4
    assert offset.drift == pytest.approx(50e-6, abs=offset.drift_bound + 1e-9)
    assert offset.drift_bound < 5e-6


def test_a_clock_that_is_set_is_learnt_anew() -> None:
    ahead_ns = 0
    clocks = PhoneClocks(NANOSECONDS, NANOSECONDS)

    def run(_: str) -> str:
        return f"clock {time.time_ns() + ahead_ns}"

    clocks.compare(asking(run), time.time_ns)
    ahead_ns = 3_600 * 10**9
    clocks.compare(asking(run), time.time_ns)
    offset = clocks.wall_at(time.time_ns())
    assert abs(offset.offset_ns - ahead_ns) <= offset.bound_ns < 1_000_000


def test_a_clock_that_falls_silent_is_an_error() -> None:
    clocks = PhoneClocks(NANOSECONDS, NANOSECONDS)
    with pytest.raises(CameraError, match="cannot be read any more"):
        clocks.compare(asking(lambda _: "sh: date: not found\n"), time.time_ns)


def test_the_release_lies_between_both_accounts() -> None:
    report = FireReport(before_ns=10_500, after_ns=11_500, status="0", said="")
    offset = ClockOffset(offset_ns=10_000, bound_ns=200, at_ns=0)
    assert bound_release(report, offset, 0, 9_999) == Release(300, 1_700)
    assert bound_release(report, offset, 400, 1_600) == Release(400, 1_600)
    assert bound_release(report, offset, 2_000, 3_000) is None  # the phone's clock has been set


def test_what_is_no_report_is_none() -> None:
    for printed in ("", "sh: input: not found", "fired now then 0", "fired 1 2"):
        assert parse_report(NANOSECONDS, printed) is None


@pytest.mark.parametrize("wait_ns", [-(10**10), 0, 50_000_000, 600_000_000])
@pytest.mark.parametrize(("sh", "clock"), CLOCKS_TO_WAIT_BY, indirect=["sh"])
def test_the_script_waits_and_tells_when_it_fired(sh: str, clock: DeviceClock, wait_ns: int) -> None:
    read = clock.read.rpartition("; s=")[0] + '; echo "$n"'
    now_ns = clock.parse(shell(sh)(read))
    assert now_ns is not None
    printed = shell(sh)(fire_script(clock, now_ns + wait_ns, "printf trigger; (exit 3)", "ready=1"))
    report = parse_report(clock, printed)
    ended_ns = clock.parse(shell(sh)(read))
    assert report is not None
    assert ended_ns is not None
    assert (report.said, report.status) == ("trigger", "3")
    assert now_ns <= report.before_ns <= report.after_ns <= ended_ns + clock.step_ns
    assert report.before_ns > now_ns + wait_ns - 30_000_000


def test_turns_that_seem_to_take_no_time_are_not_counted_on(sh: str, phone_with: Callable[[str], Path]) -> None:
    date = phone_with(NOISY_DATE) / "now"
    begun_s, wait_ms, reading_ms = 1_700_000_000, 129, 20
    date.write_text(f"{begun_s}000000 0\n")
    script = fire_script(NANOSECONDS, begun_s * 10**9 + wait_ms * 10**6, "times")
    report = parse_report(NANOSECONDS, shell(sh, date.parent)(script))
    assert report is not None
    minutes, seconds = re.findall(r"(\d+)m([\d.]+)s", report.said)[0]  # of the shell's own time
    assert (int(minutes), float(seconds) < 2) == (0, True)  # millions of turns would take many
    assert abs(report.before_ns / 1e6 - begun_s * 1000 - wait_ms) <= reading_ms / 2
