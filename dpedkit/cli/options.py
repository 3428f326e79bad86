"""Options that several commands share."""

from __future__ import annotations

import click

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(0),
    default=0,
    help="Worker processes; 0: as dpedkit.toml says, else one per processor.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
