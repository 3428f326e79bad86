"""dpedkit measure."""

from __future__ import annotations

from dpedkit.cli.app import PARTLY_DONE, App, Command, cli, marked, pass_app, table
from dpedkit.cli.options import chosen_workers, dry_run_option, workers_options


@cli.command(cls=Command)
@workers_options
@dry_run_option
@pass_app
def measure(app: App, jobs: int | None, cluster: str | None, dry_run: bool) -> int:
    """Measure photos and aligned pairs that have not been measured yet, and show medians and the worst drift by device.

    Photos: sharpness, clipping, noise, light, a hash of their looks; pairs: exposure, colour and sharpness of the
    DSLR's photo over the phone's. "drift" and "focus": the worst change of exposure and sharpness from one shot to the
    next. Imports measure their photos; `dpedkit query photos --list-columns` shows all there
    is to ask for. docs/corpus.md says how each is found.

    \b
    dpedkit measure                                          what is new
    dpedkit measure --dry-run                                how much that is
    dpedkit query photos --where "sharpness_drift < -0.3"    then: photos that lost focus
    dpedkit query pairs --where "gain_ev > 1" --order -gain_ev
    """
    from dpedkit.stages.measuring import measure_corpus

    workers = chosen_workers(app.workspace.settings, jobs, cluster)
    report = measure_corpus(app.workspace, workers=workers, dry_run=dry_run, progress=app.progress())
    found = table(
        "device",
        "photos",
        "sharpness",
        "noise",
        "clipped",
        "light",
        "drift",
        "focus",
        "pairs",
        "DSLR's light",
        "sharper",
    )
    for row in report.devices:
        found.add_row(
            row.device,
            str(row.photos),
            _shown(row.sharpness, "{:.0f}"),
            _shown(row.noise, "{:.1f}"),
            _shown(row.clipped, "{:.1%}"),
            _shown(row.light_ev, "{:+.1f} EV"),
            _shown(row.exposure_drift_ev, "{:+.1f} EV"),
            _shown(row.sharpness_drift, "{:+.0%}"),
            str(row.pairs or ""),
            _shown(row.gain_ev, "{:+.2f} EV"),
            _shown(row.sharpness_ratio, "{:.2f} x"),
        )
    done = "would be measured" if dry_run else "measured"
    app.show(
        report,
        *([found] if report.devices else []),
        *(marked("failed", "red", f"{name}: {why}") for name, why in report.failures.items()),
        f"{report.photos} photos and {report.pairs} pairs {done}, {report.done_before} done before",
    )
    return PARTLY_DONE if report.failures else 0


def _shown(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)
