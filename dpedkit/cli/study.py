"""dpedkit study."""

from __future__ import annotations

from dpedkit.cli.app import cli


@cli.group()
def study() -> None:
    """Ask people which picture of a pair they like better, and find out what that says."""
