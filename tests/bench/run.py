"""Runs benches by name, or all of them, and rewrites docs/benchmarks.md: python tests/bench/run.py [NAME ...]."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import page
from measure import Findings

NAMES = (
    "align",
    "mesh",
    "refusals",
    "lens",
    "patches",
    "gates",
    "build",
    "corpus",
    "shards",
    "review",
    "import",
    "pull",
    "skew",
    "jitter",
    "session",
    "train",
    "learning",
    "enhance",
    "serve",
    "study",
    "demo",
    "gpu",
)
"""In the order of the page; each is bench_NAME.py, whose docstring says what it compares and whose run() does it."""

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # pair_truth.py is the tests'

_ROOT = Path(__file__).resolve().parents[2]
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")


def main(words: list[str]) -> None:
    """Run, and write the page after each bench, so that a later one that fails takes nothing with it."""
    parser = argparse.ArgumentParser(description="Measure, and rewrite docs/benchmarks.md.")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--page", action="store_true", help="measure nothing: write the page anew")
    options = parser.parse_args(words)
    names = () if options.page else options.names or NAMES
    record = _ROOT / "docs" / "benchmarks.json"
    soak = _ROOT / "docs" / "soak.json"
    record.with_suffix(".md").write_text(page.markdown(page.load(record), NAMES, page.soak_chapter(soak)))
    for name in names:
        print(f"{name} ...", flush=True)
        section = measure(name)
        sections = page.load(record) | {name: section}
        page.save(record, sections)
        text = page.markdown(sections, NAMES, page.soak_chapter(soak))
        record.with_suffix(".md").write_text(text)
        print(page.markdown({name: section}, [name]).partition(f"## {name}")[2], flush=True)


def measure(name: str) -> page.Section:
    """Run one bench."""
    bench = importlib.import_module(f"bench_{name}")
    began, load = time.monotonic(), os.getloadavg()[0]
    findings: Findings = bench.run()
    took = f"{datetime.now(UTC):%Y-%m-%d}, {time.monotonic() - began:.0f} s"
    made = {
        "command": f"`python tests/bench/run.py {name}`, {took}",
        "machine": f"{_machine()}; load before it {load:.1f}",
        "versions": _versions(),
    }
    return page.Section(bench.__doc__.strip(), made, findings)


def _machine() -> str:
    cores = f"{os.cpu_count()} cores"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return f"{platform.processor() or platform.machine()}, {cores}"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = [flag for flag in _FLAGS if flag in facts.get("flags", "").split()]
    return f"{facts.get('model name', platform.machine())}, {cores}, {' '.join(flags) or 'no vector flags known'}"


def _versions() -> str:
    git = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "no git"
    packages = ("numpy", "opencv-python-headless", "torch")
    return ", ".join(
        [f"dpedkit {commit}", f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
