"""dpedkit query, curate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dpedkit.cli.app import App, cli, listed, pass_app, table
from dpedkit.cli.options import dry_run_option

if TYPE_CHECKING:
    from rich.table import Table

    from dpedkit.db.corpus import Table as Named
    from dpedkit.stages.curating import Action, CurateReport, On

_SHOWN = {
    "photos": "shot,device,split,width,height,iso,sharpness,clipped,path",
    "pairs": "shot,phone,split,status,residual_px,inliers,overlap,sharpness_ratio,kept,verdict",
    "patches": "shot,phone,split,x,y,ncc,local_shift_px,confidence,used,reason",
}

where_option = click.option("--where", default="", metavar="QUERY", help='Such as "residual_px > 0.2".')


@cli.command()
@click.argument("what", type=click.Choice(["photos", "pairs", "patches"]))
@where_option
@click.option(
    "--order", default="", metavar="COLUMN", help="Sort by a column; -COLUMN: the largest first. Not patches."
)
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Rows to print; 0: all.")
@click.option("--columns", default="", metavar="A,B,...", help="What to print; with --json and --csv all is left out.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--list-columns", is_flag=True, help="Print what a query may ask for.")
@pass_app
def query(
    app: App, what: Named, where: str, order: str, limit: int, columns: str, as_csv: bool, list_columns: bool
) -> None:
    """Look into the corpus: the photos, pairs or patches that a query finds, and how many there are.

    docs/corpus.md has the language. Its words: and, or, not, in, like ('str*'), is missing; tag = 'night' asks for a
    tag.

    \b
    dpedkit query pairs --where "phone = 'sony' and residual_px > 0.2" --order -residual_px
    dpedkit query patches --where "not used and confidence > 0.9" --limit 50
    dpedkit query photos --where "iso > 800 or clipped > 0.1" --csv
    dpedkit query pairs --list-columns
    """
    from dpedkit.db import open_corpus

    with open_corpus(app.workspace.root, app.workspace.settings.database) as corpus:
        known = corpus.columns(what)
        if list_columns:
            shown = table("column", "kind")
            for name, kind in known.items():
                shown.add_row(name, kind)
            app.show(known, shown)
            return
        wanted = _columns(columns, known, _SHOWN[what] if not (app.json or as_csv) else "")
        if what == "patches":
            if order:
                raise click.UsageError("--order is for photos and pairs")
            count, found = corpus.page_of_patches(where, limit or sys.maxsize >> 1)
        else:
            read = corpus.pairs if what == "pairs" else corpus.photos
            count, found = corpus.count(what, where), read(where, order=order, limit=limit or None)
    found = found[wanted] if wanted else found
    if as_csv:
        found.to_csv(sys.stdout, index=False)
        return
    rows = found.astype(object).where(found.notna(), None)
    document = {"count": count, "rows": rows.to_dict("records")}
    app.show(document, *([_drawn(rows)] if len(rows) else []), _counted(what, count, len(rows)))


@cli.command()
@where_option
@click.option(
    "--on",
    type=click.Choice(["pairs", "patches", "shots"]),
    default="pairs",
    show_default=True,
    help="What to decide on.",
)
@click.option("--reject", "verdict", flag_value="reject", default=None, help="Take out of use.")
@click.option("--accept", "verdict", flag_value="accept", help="Mark as seen and good.")
@click.option("--clear", "verdict", flag_value="", help="Make undecided again.")
@click.option("--tag", metavar="NAME", help="Put a tag on it.")
@click.option("--untag", metavar="NAME", help="Take the tag off it.")
@click.option("--why", default="", help="A line for the history.")
@click.option("--who", default="", help="Who decides; left out: your name on this machine.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Decide as this file of rules says, again and again.",
)
@click.option("--over-people", is_flag=True, help="With --rules: decide, too, what people have decided.")
@click.option("--history", is_flag=True, help="Print every batch of decisions.")
@click.option("--undo", is_flag=True, help="Take back the last batch.")
@click.option("--batch", type=click.IntRange(1), help="With --undo: take back this one.")
@dry_run_option
@pass_app
def curate(app: App, /, **given: Any) -> None:
    """Accept, reject or tag what a query finds; whatever is rejected is not used, and nothing is deleted.

    \b
    dpedkit curate --where "residual_px > 0.3" --reject --why "poorly aligned" --dry-run
    dpedkit curate --where "phone = 'sony' and exposure_s > 0.1" --on pairs --tag night
    dpedkit curate --where "clipped > 0.05" --on patches --reject
    dpedkit curate --rules rules.toml
    dpedkit curate --history
    dpedkit curate --undo
    """
    actions = _actions(given)
    modes = [word for word in ("rules", "history", "undo") if given[word]] + [f"--{name}" for name in actions]
    if len(modes) != 1:
        raise click.UsageError(
            "say one thing to do: --reject, --accept, --clear, --tag, --untag, --rules, --history or --undo"
        )
    if given["history"]:
        _show_history(app)
    elif given["undo"]:
        _undo(app, given["batch"], given["who"])
    elif given["rules"]:
        _apply(app, given["rules"], over_people=given["over_people"], dry_run=given["dry_run"])
    else:
        if not given["where"].strip():
            raise click.UsageError('--where is missing: which ones? (--where "not size_bytes is missing" is all)')
        _decide(app, next(iter(actions.values())), given)


def _actions(given: dict[str, Any]) -> dict[str, Action]:
    from dpedkit.stages.curating import Action

    on: On = given["on"]
    found = {}
    if given["verdict"] is not None:
        found["verdict"] = Action(given["verdict"], on=on)
    for option, verdict in (("tag", "on"), ("untag", "")):
        if given[option]:
            found[option] = Action(verdict, given[option], on)
    return found


def _decide(app: App, action: Action, given: dict[str, Any]) -> None:
    from dpedkit.stages.curating import curate as decide

    report = decide(app.workspace, given["where"], action, who=given["who"], why=given["why"], dry_run=given["dry_run"])
    would = "would be " if given["dry_run"] else ""
    total = sum(count for splits in report.found.values() for count in splits.values())
    noun = report.on.removesuffix("es") if report.on == "patches" else report.on.removesuffix("s")
    counted = f"{total} {report.on if total != 1 else noun} found, {report.decided} {would}{action.words}"
    lines = [f"{counted}, {total - report.decided} were so before"]
    if report.in_use[0] != report.in_use[1]:
        lines.append(f"patches in use: {report.in_use[0]} before, {report.in_use[1]} now")
    if report.batch:
        lines.append(f"batch {report.batch}: `dpedkit curate --undo --batch {report.batch}` takes it back")
    app.show(report, *([_split_table(report)] if report.found else []), *lines)


def _undo(app: App, batch: int | None, who: str) -> None:
    from dpedkit.stages.curating import undo

    done = undo(app.workspace, batch, who=who)
    left = f", {done.since} were decided again since and stay" if done.since else ""
    app.show(done, f"{listed(done.decided, 'decision')} taken back{left}", f"batch {done.batch} can be undone, too")


def _apply(app: App, path: Path, *, over_people: bool, dry_run: bool) -> None:
    from dpedkit.stages.rules import apply_rules, read_rules

    report = apply_rules(app.workspace, read_rules(path), over_people=over_people, dry_run=dry_run)
    shown = table("rule", "finds", "would decide" if dry_run else "decided")
    for name, decided in report.rules.items():
        shown.add_row(name, str(report.found.get(name, "")), str(decided))
    left = f", {report.by_people} left as people decided" if report.by_people else ""
    new = sum(report.rules.values())
    app.show(report, shown, f"{new} new {'decision' if new == 1 else 'decisions'}{left}")


def _show_history(app: App) -> None:
    from datetime import datetime

    from dpedkit.stages.curating import history
    from dpedkit.stages.frames import rows

    frame = history(app.workspace)
    shown = table("batch", "when", "who", "what", "decisions", "hold still", "why")
    for row in rows(frame):
        verdict = row.verdict if row.topic == "verdict" else f"{row.topic} {row.verdict}".rstrip()
        when = datetime.fromtimestamp(row.decided_ns / 1e9).strftime("%Y-%m-%d %H:%M")
        what = f"{row.kind} {verdict or 'undecided'}"
        shown.add_row(str(row.batch), when, row.who, what, str(row.decisions), str(row.current), row.why)
    plain = frame.astype(object).where(frame.notna(), None)
    app.show(plain.to_dict("records"), shown if len(frame) else "nothing was decided yet")


def _columns(asked: str, known: dict[str, str], otherwise: str) -> list[str]:
    from dpedkit.settings import nearest

    names = [name.strip() for name in (asked or otherwise).split(",") if name.strip()]
    for name in names:
        if name not in known or name == "tag":
            raise click.BadParameter(f"no column {name!r}{nearest(name, known)}", param_hint="--columns")
    return names


def _drawn(rows: Any) -> Table:
    shown = table(*map(str, rows.columns))
    for cells in rows.itertuples(index=False):
        shown.add_row(
            *("" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells)
        )
    return shown


def _counted(what: str, count: int, shown: int) -> str:
    return f"{count} {what}" if shown >= count else f"{count} {what}, the first {shown} are shown"


def _split_table(report: CurateReport) -> Table:
    splits = sorted({split for counts in report.found.values() for split in counts})
    shown = table("", *splits)
    for name, counts in report.found.items():
        shown.add_row(name, *(str(counts.get(split, 0)) for split in splits))
    return shown
