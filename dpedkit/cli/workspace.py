"""dpedkit init, doctor, status, fsck, compact."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from dpedkit.cli.app import App, cli, listed, marked, pass_app, table
from dpedkit.cli.options import chosen_workers, dry_run_option, jobs_option


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--rig",
    type=click.Choice(["tripod", "simulated"]),
    default="tripod",
    show_default=True,
    help="Rig file to write: for your own devices, or for simulated ones that need no hardware.",
)
@pass_app
def init(app: App, folder: Path, rig: str) -> None:
    """Make a workspace.

    \b
    dpedkit init ws --rig simulated     to rehearse without hardware
    dpedkit init ws                     then fill in ws/rigs/tripod.toml
    """
    from dpedkit.capture.rig import rig_template
    from dpedkit.db import open_corpus
    from dpedkit.workspace import create_workspace

    made = create_workspace(folder, {"tripod": rig_template("simulated" if rig == "simulated" else "tripod")})
    open_corpus(made.root, made.settings.database).close()
    first = "dpedkit devices" if rig == "simulated" else "dpedkit rig new tripod, or dpedkit import folder"
    app.show(
        {"workspace": str(made.root), "rig": rig},
        f"workspace {folder} is ready",
        f"next: cd {folder} && {first}",
    )


@cli.command()
@click.option("--fix", is_flag=True, help="Stop what holds cameras and phones on USB: gvfs's monitor, the adb server.")
@pass_app
def doctor(app: App, fix: bool) -> int:
    """Check this machine and the workspace, and say what to do about each problem."""
    from dpedkit.stages.overview import doctor as look

    findings = look(app.folder, fix=fix)
    lines = table("", "", "", "")
    colors = {"ok": "green", "note": "yellow", "problem": "red"}
    for finding in findings:
        remedy = f"-> {finding.remedy}" if finding.remedy else ""
        lines.add_row(marked(finding.level, colors[finding.level]), finding.topic, finding.found, remedy)
    app.show(findings, lines)
    return int(any(finding.level == "problem" for finding in findings))


@cli.command()
@pass_app
def status(app: App) -> None:
    """Show what the workspace holds, and what comes next."""
    from dpedkit.stages.overview import status as look

    found = look(app.workspace)
    counts = found.counts
    lines = table("", "")
    lines.add_row(
        "shots", f"{counts.shots}, {counts.incomplete_shots} incomplete, in {listed(counts.sessions, 'session')}"
    )
    lines.add_row("photos", _tally(counts.photos))
    lines.add_row("pairs", _tally(counts.pairs))
    lines.add_row("patches", f"{counts.kept_patches} kept of {counts.patches}")
    lines.add_row("splits", f"{_tally(counts.splits)} (shots)" if counts.splits else "none yet")
    lines.add_row("runs", _tally(found.runs))
    if found.models:
        lines.add_row("models", f"{', '.join(found.models)} (imported)")
    for name, state in found.studies.items():
        lines.add_row("study", f"{name}: {state}")
    stamps = [marked(said, "yellow", f"({run})") for run, said in found.stamps.items()]
    attention = [f"incomplete shot {shot}: {reason}" for shot, reason in found.incomplete.items()]
    attention += [f"refused pair {pair}: {reason}" for pair, reason in found.refused.items()]
    app.show(found, lines, *stamps, *attention, f"next: {found.next_step}")


@cli.command()
@click.option("--quick", is_flag=True, help="Look at names, sizes and headers only: a flipped bit stays unseen.")
@click.option("--repair", is_flag=True, help="Cut damaged shards again; move what nothing names to lost+found/.")
@jobs_option
@pass_app
def fsck(app: App, quick: bool, repair: bool, jobs: int | None) -> int:
    """Find photos and shards that are missing, cut short or changed, rows that contradict each other, and stray files.

    Ends with 0 if all is sound, 3 if damage was found and a part of it was mended, 1 if there is damage. Files that
    nothing names do no harm. Nothing is deleted; younger than an hour, they are left where they are.

    \b
    dpedkit fsck
    dpedkit fsck --repair
    """
    from dpedkit.stages.checking import check_files

    workers = chosen_workers(app.workspace.settings, jobs, None)
    report = check_files(app.workspace, quick=quick, repair=repair, workers=workers, progress=app.progress())
    lines = table("", "", "", "")
    for fault in report.faults:
        done = report.repaired.get(fault.what)
        word = marked(fault.kind, "green" if done else "red" if fault.is_damage else "yellow")
        lines.add_row(word, fault.what, fault.found, f"-> {done or fault.remedy}")
    damage, mended = (
        len(report.damage),
        sum(fault.is_damage and fault.what in report.repaired for fault in report.faults),
    )
    app.show(
        {"damage": damage, **asdict(report)},
        *([lines] if report.faults else []),
        f"{listed(report.files, 'file')}, {report.size_bytes / 1e6:.1f} MB {'looked at' if quick else 'read'}",
        f"{damage} damaged, {mended} mended" if damage or mended else "all is sound",
    )
    return (3 if mended else 1) if damage else 0


@cli.command()
@dry_run_option
@pass_app
def compact(app: App, dry_run: bool) -> int:
    """Free what patches that are gone have left in shards, and put small shards together.

    Every patch keeps its pixels, be it in use, rejected, refused by the gates or in a snapshot alone. Only patches of
    an older alignment that no snapshot holds are removed. While another command uses shards, nothing is done.

    Ends with 3 if a shard is damaged and was left as it is.

    \b
    dpedkit compact --dry-run
    dpedkit compact
    """
    from dpedkit.stages.compacting import compact as rewrite

    report = rewrite(app.workspace, dry_run=dry_run, progress=app.progress())
    would = "would be " if dry_run else ""
    app.show(
        report,
        *(marked("left as it is", "red", cause) for cause in report.skipped.values()),
        *(["-> run `dpedkit fsck --repair`"] if report.skipped else []),
        f"{report.forgotten} patches of older alignments {would}removed",
        f"{listed(report.rows, 'pair')} of patches {would}moved; shards: {report.shards_before} before, "
        f"{report.shards_after} after",
        f"{report.freed_bytes / 1e6:.1f} MB {would}freed",
    )
    return 3 if report.skipped else 0


def _tally(counts: dict[str, int] | dict[str, str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
