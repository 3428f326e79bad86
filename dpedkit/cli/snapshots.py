"""dpedkit snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from dpedkit.cli.app import App, Command, cli, pass_app, table
from dpedkit.cli.curating import where_option

if TYPE_CHECKING:
    from rich.table import Table

    from dpedkit.stages.snapshots import NamedSnapshot

_SPLITS = ("train", "val", "test")


@cli.group()
def snapshot() -> None:
    """Freeze which patches are used, under a name: `dpedkit train --snapshot NAME` can be repeated for good."""


@snapshot.command(cls=Command)
@click.argument("name")
@where_option
@click.option("--phone", "phones", multiple=True, help="Only this phone; may be given again.")
@pass_app
def create(app: App, name: str, where: str, phones: tuple[str, ...]) -> None:
    """Freeze all patches in use, with their splits; what is rejected or does not pass the gates is left out.

    \b
    dpedkit snapshot create 2026-11
    dpedkit snapshot create sharp --where "sharpness_ratio > 1 and confidence > 0.8" --phone sony
    """
    from dpedkit.stages.snapshots import make_snapshot

    made = make_snapshot(app.workspace, name, where=where, phones=phones)
    app.show(made, _counts(made), f"snapshot {made.name}, hash {made.hash[:12]}")


@snapshot.command(name="list", cls=Command)
@pass_app
def list_(app: App) -> None:
    """List the snapshots, oldest first."""
    from dpedkit.stages.snapshots import snapshots

    found = snapshots(app.workspace)
    shown = table("snapshot", "made", "hash", "patches", "phones", "query")
    for one in found:
        when = datetime.fromtimestamp(one.created_ns / 1e9).strftime("%Y-%m-%d %H:%M")
        total = sum(sum(splits.values()) for splits in one.patches.values())
        shown.add_row(one.name, when, one.hash[:12], str(total), ", ".join(one.patches), one.made.get("where", ""))
    app.show(found, shown if found else "no snapshot yet: `dpedkit snapshot create NAME` makes one")


@snapshot.command(cls=Command)
@click.argument("name")
@pass_app
def show(app: App, name: str) -> None:
    """Show what a snapshot holds, and what made it."""
    from dpedkit.db import open_corpus
    from dpedkit.stages.snapshots import find_snapshot

    with open_corpus(app.workspace.root, app.workspace.settings.database) as corpus:
        found = find_snapshot(corpus, name)
    facts = table("", "")
    facts.add_row("hash", found.hash)
    facts.add_row("query", found.made["where"] or "all that is in use")
    facts.add_row("gates", ", ".join(found.made["gates"]) or "none")
    facts.add_row("decisions", f"{found.made['decisions']['verdicts']}, {found.made['decisions']['sha256'][:12]}")
    facts.add_row("dpedkit", found.made["dpedkit"])
    app.show(found, _counts(found), facts)


@snapshot.command(cls=Command)
@click.argument("before")
@click.argument("after")
@pass_app
def diff(app: App, before: str, after: str) -> None:
    """Say what changed from one snapshot to another, and why patches left, as far as their rows tell today.

    \b
    dpedkit snapshot diff 2026-10 2026-11
    """
    from dpedkit.stages.snapshots import compare_snapshots

    report = compare_snapshots(app.workspace, before, after)
    shown = table("phone", "what", "patches")
    for phone, count in report.added.items():
        shown.add_row(phone, "added", str(count))
    for phone, whys in report.removed.items():
        for why, count in sorted(whys.items()):
            shown.add_row(phone, f"removed: {why}", str(count))
    for phone, moves in report.moved.items():
        for move, count in sorted(moves.items()):
            shown.add_row(phone, f"moved: {move}", str(count))
    changed = shown.row_count > 0
    app.show(report, *([shown] if changed else []), f"patches in both, in the same split: {report.same}")


def _counts(found: NamedSnapshot) -> Table:
    shown = table("phone", *_SPLITS)
    for phone, splits in found.patches.items():
        shown.add_row(phone, *(str(splits.get(split, 0)) for split in _SPLITS))
    return shown
