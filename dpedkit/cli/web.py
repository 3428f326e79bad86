"""dpedkit review."""

from __future__ import annotations

import click

from dpedkit.cli.app import App, cli, pass_app


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond this machine, visitors need a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free one.")
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
@pass_app
def review(app: App, host: str, port: int, browser: bool) -> None:
    """Look at pairs in a browser; accept and reject them with a key each.

    \b
    dpedkit review                            on this machine
    dpedkit review --port 0 --no-browser      print the address only
    dpedkit review --host 0.0.0.0             for other machines, with a token
    """
    from dpedkit.db import open_corpus
    from dpedkit.stages.reviewing import Gallery
    from dpedkit.web.review import START, review_routes
    from dpedkit.web.server import serve

    with open_corpus(app.workspace.root, app.workspace.settings.database) as corpus:
        routes = review_routes(Gallery(app.workspace, corpus), corpus.columns("pairs"))
        serve(
            routes,
            host=host,
            port=port,
            start=START,
            say=click.echo,
            browse=browser,
        )
