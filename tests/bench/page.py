"""docs/benchmarks.md, and docs/benchmarks.json from which it is written: a section per bench, as last run."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from measure import Figure, Findings, Table

_COUNT = re.compile(r"(\d+) ([\w-]+)")
_HEAD = """# Benchmarks

Written by `make bench`; one bench alone, such as `python tests/bench/run.py align`, renews its section and leaves the
others. Every baseline is a fixed file in tests/bench/baselines, written as a competent user would, and ran in the same
run on the same input with as many threads. A cell shows the median, then the range and the number of repeats. "Times
better" is the baseline's median over ours, or ours over the baseline's where more is better: above 1 we are ahead.
Times are for comparing within a row; machines differ.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One bench's last run.

    what      the bench's docstring: what is compared, and what that does not show
    made      command, date, machine, versions
    findings  what it saw
    """

    what: str
    made: Mapping[str, str]
    findings: Findings


def load(path: Path) -> dict[str, Section]:
    """Return bench -> section; nothing where there is no file yet."""
    if not path.exists():
        return {}
    return {name: _section(record) for name, record in json.loads(path.read_text()).items()}


def save(path: Path, sections: Mapping[str, Section]) -> None:
    """Write what `load` reads."""
    records = {name: asdict(section) for name, section in sections.items()}
    path.write_text(json.dumps(records, indent=1) + "\n")


def markdown(sections: Mapping[str, Section], order: Iterable[str], soak: str = "") -> str:
    """Return the page, its sections in that order, and the soak's at the end."""
    chapters = [_chapter(name, sections[name]) for name in order if name in sections]
    return "\n".join([_HEAD, *chapters, *([soak] if soak else [])])


def soak_chapter(path: Path) -> str:
    """Return the soak's section from its record; "" where there is none."""
    if not path.exists():
        return ""
    items: dict[str, dict[str, str]] = json.loads(path.read_text())
    kills = {name: item for name, item in items.items() if name.startswith("kill/")}
    faults = {name: item for name, item in items.items() if name.startswith("fault/")}
    commits = len({item["commit"] for item in items.values()})
    dates = ", ".join(sorted({item["when"] for item in items.values()}))
    lines = [
        "## soak",
        "",
        f"`make soak`, {dates}, while {commits} states of the code were current (docs/soak.json). Kills and faults",
        "end with the check that every photo on a simulated card is stored once, whole, in its own shot",
        "(`tests/soak/rehearsal.py`).",
        "",
        f"**Kills**: `dpedkit capture` killed (SIGKILL) at {len(kills)} random moments, then `--resume`: "
        f"{sum(bool(item['passed']) for item in kills.values())} passed.",
        *_failed(kills),
        "",
        *_counted(items, "fsck", "**Damages**, one at a time, all found by `dpedkit fsck`"),
        *_counted(
            items, "pipeline", "**Commands** killed (SIGKILL) twice at random, in the end the same index and shards"
        ),
        *_counted(items, "export", "**Exports** killed (SIGKILL) twice at random, in the end the same bytes"),
        *_counted(items, "mutants", "**Mutants**, photos damaged at random (`tests/soak/mutants.py`)"),
        *_counted(items, "hostile", "**Hostile files** (`tests/hostile_files.py`), read in a worker of 1 GB"),
        *_counted(items, "upload", "**Hostile uploads**, such files and worse sent to a real `dpedkit serve`"),
        *_counted(
            items,
            "study",
            "**Answers** of 50 subjects at once, the server killed (SIGKILL) in the middle, each kept once",
        ),
        "**Faults**, at the second of three shots:",
        "",
        "| fault | device | passed | what became of it |",
        "|---|---|---|---|",
    ]
    for name, item in faults.items():
        _, fault, device = name.split("/")
        words = " ".join(item["what"].replace("|", "/").split())
        lines.append(f"| {fault} | {device} | {'yes' if item['passed'] else 'NO'} | {words[:160]} |")
    return "\n".join(lines) + "\n"


def _failed(items: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [f"- {name}: {item['what']}" for name, item in items.items() if not item["passed"]]


def _counted(items: Mapping[str, Mapping[str, str]], prefix: str, title: str) -> list[str]:
    """Return a line that adds up what items counted ("3 cut, 5 flip"), and one for each that failed."""
    own = {name: item for name, item in items.items() if name.startswith(f"{prefix}/")}
    totals: Counter[str] = Counter()
    for item in own.values():
        if item["passed"]:
            totals.update({word: int(count) for count, word in _COUNT.findall(item["what"])})
    if not own:
        return []
    shown = ", ".join(f"{count} {word}" for word, count in sorted(totals.items()))
    return [f"{title}: {totals.total()}, of them {shown}.", "", *_failed(own)]


def _section(record: dict[str, dict[str, list[dict[str, str]]]]) -> Section:
    findings = record["findings"]
    figures = [Figure(**figure) for figure in findings["figures"]]
    return Section(
        str(record["what"]), record["made"], Findings(figures, findings["notes"], findings.get("tables", []))
    )


def _chapter(name: str, section: Section) -> str:
    figures = section.findings.figures
    made = "  \n".join(f"{key}: {value}" for key, value in section.made.items())
    head = ["", "ours", "baseline", "times better", "target"]
    tables = [[head, *map(_row, figures)]] if figures else []
    notes = [f"- {note}" for note in [*section.findings.notes, *_verdict(figures)]]
    parts = [f"## {name}", section.what, made, *map(_table, [*tables, *section.findings.tables]), "\n".join(notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(rows: Table) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


def _row(figure: Figure) -> list[str]:
    gain = figure.times_better
    target = "" if figure.met is None else f"{figure.target}: {'met' if figure.met else '**missed**'}"
    return [
        figure.name,
        _cell(figure.ours, figure.unit),
        _cell(figure.baseline, figure.unit),
        "" if gain is None else f"{_number(gain)}x",
        target,
    ]


def _cell(values: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    shown = f"{_number(statistics.median(values))} {unit}".strip()
    return shown if len(values) == 1 else f"{shown} ({_number(min(values))}-{_number(max(values))}, {len(values)})"


def _number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(figures: Sequence[Figure]) -> list[str]:
    judged = [figure for figure in figures if figure.met is not None]
    missed = [f"{figure.name} ({figure.target})" for figure in judged if not figure.met]
    if missed:
        return [f"**Falls short**: {'; '.join(missed)}."]
    return ["Every target is met."] if judged else []
