"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dpedkit.cli.app import App
    from dpedkit.executor import Workers
    from dpedkit.workspace import Settings

F = TypeVar("F", bound=Callable[..., Any])


class Size(click.ParamType[int]):
    """So many bytes, written as 1GB or 500MB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        from pydantic import ByteSize, TypeAdapter, ValidationError

        try:
            return int(TypeAdapter(ByteSize).validate_python(value))
        except ValidationError:
            return self.fail(f"{value!r} is no size: write 1GB or 500MB", param, ctx)


class Jobs(click.ParamType[int]):
    """So many at the same time, or auto, which becomes 0."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if value == "auto":
            return 0
        if isinstance(value, int) or (value.isdecimal() and int(value)):
            return int(value)
        return self.fail(f"{value!r} is neither a number from 1 on nor auto", param, ctx)


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(0),
    help="Worker processes on this machine; 0: one per processor. Left out: as dpedkit.toml says.",
)


def workers_options(command: F) -> F:
    """Add --jobs and --cluster; `chosen_workers` says what they mean together."""
    cluster = click.option(
        "--cluster",
        metavar="tcp://HOST:PORT",
        help="Let the workers of this Dask scheduler do the work; all must see the workspace's folder.",
    )
    return jobs_option(cluster(command))


def chosen_workers(settings: Settings, jobs: int | None, cluster: str | None) -> Workers:
    """Return who does the work: as typed, else as dpedkit.toml says."""
    from dpedkit.executor import Workers

    if jobs is not None and cluster is not None:
        raise click.UsageError("--jobs is for this machine, --cluster for others: give one of them")
    if jobs is not None:
        return Workers(jobs)
    return Workers(settings.jobs, cluster=settings.cluster if cluster is None else cluster)


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto: the fastest there is.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


def find_model(app: App, model: Path) -> Path:
    """Return the folder of a run that was named, else the path that was given: no workspace is needed for that."""
    from dpedkit.errors import NoWorkspace

    if model.exists():
        return model
    try:
        run = app.workspace.runs / model
    except NoWorkspace:
        return model
    return run if run.is_dir() else model
