"""The benches can be run, and their page keeps what was measured; the figures themselves are `make bench`'s."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parent / "bench"


@pytest.fixture(autouse=True)
def bench_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import as `python tests/bench/run.py` does."""
    monkeypatch.syspath_prepend(BENCH)


def section(page: ModuleType, measure: ModuleType, seconds: float = 2.0) -> object:
    figures = [
        measure.Figure("time", [seconds, 1.0, 4.0], "s", [300.0], target=">= 100x"),
        measure.Figure("rate", [1234.5], "MB/s", [617.25], "more"),
        measure.Figure("error", [0.0421], "px", target="<= 0.04"),
        measure.Figure("share", [1.0]),
    ]
    return page.Section("What it compares.", {"command": "`run`"}, measure.Findings(figures, ["One scene only."]))


def test_every_bench_can_be_run_and_says_what_it_compares() -> None:
    run = importlib.import_module("run")
    assert {f"bench_{name}" for name in run.NAMES} == {path.stem for path in BENCH.glob("bench_*.py")}
    for name in run.NAMES:
        bench = importlib.import_module(f"bench_{name}")
        assert callable(bench.run)
        assert len(bench.__doc__.splitlines()) > 1


def test_the_page_tells_what_was_measured() -> None:
    page, measure = importlib.import_module("page"), importlib.import_module("measure")
    rows = page.markdown({"pull": section(page, measure)}, ["align", "pull"]).splitlines()
    assert "## pull" in rows
    assert "## align" not in rows
    assert "| time | 2 s (1-4, 3) | 300 s | 150x | >= 100x: met |" in rows
    assert "| rate | 1,234 MB/s | 617 MB/s | 2x |  |" in rows
    assert "| error | 0.0421 px |  |  | <= 0.04: **missed** |" in rows
    assert "- One scene only." in rows
    assert "- **Falls short**: error (<= 0.04)." in rows


def test_running_one_bench_keeps_the_others_figures(tmp_path: Path) -> None:
    page, measure = importlib.import_module("page"), importlib.import_module("measure")
    record = tmp_path / "benchmarks.json"
    assert page.load(record) == {}
    both = {"pull": section(page, measure), "align": section(page, measure)}
    page.save(record, both)
    assert page.load(record) == both
    renewed = page.load(record) | {"pull": section(page, measure, seconds=1.5)}
    page.save(record, renewed)
    assert page.load(record) == renewed
    assert page.load(record)["align"] == both["align"]


def test_a_call_alone_has_its_own_threads_and_memory() -> None:
    measure = importlib.import_module("measure")
    ballast = bytearray(200_000_000)
    assert measure.alone(measure.peak_mb) < measure.peak_mb() - 100
    assert measure.alone(importlib.import_module("cv2").getNumThreads) == 1
    assert len(ballast) > 0
