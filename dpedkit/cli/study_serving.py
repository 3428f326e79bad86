"""dpedkit study serve."""

from __future__ import annotations

import click

from dpedkit.cli.app import App, Command, pass_app
from dpedkit.cli.study import study
from dpedkit.cli.web import address_options


@study.command("serve", cls=Command)
@click.argument("name")
@address_options
@pass_app
def serve_study(app: App, name: str, host: str, port: int, browser: bool) -> None:
    """Show a study's pairs to its subjects, and keep what they answer.

    Every answer is on the disk before its subject sees the next pair. Stopped and started again, everybody goes on
    where they were.

    \b
    dpedkit study serve summer                    on this machine
    dpedkit study serve summer --host 0.0.0.0     give subjects the address that it prints
    """
    from dpedkit.stages.study.collecting import collecting
    from dpedkit.stages.study.plan import load_plan
    from dpedkit.web.server import serve
    from dpedkit.web.study import START, study_routes

    folder = app.workspace.root / "study" / name
    plan = load_plan(folder)
    app.go_on = "start it again: everybody goes on where they were"
    with collecting(folder, plan) as answers:
        serve(study_routes(answers, folder), host=host, port=port, start=START, say=click.echo, browse=browser)
