"""dpedkit serve, review."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dpedkit.cli.app import App, cli, pass_app
from dpedkit.cli.options import Size, device_option

F = TypeVar("F", bound=Callable[..., Any])


def address_options(command: F) -> F:
    """Add --host, --port and --browser."""
    host = click.option(
        "--host", default="127.0.0.1", show_default=True, help="Beyond this machine, visitors need a token."
    )
    port = click.option(
        "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any free one."
    )
    browse = click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
    return host(port(browse(command)))


@cli.command()
@address_options
@click.option("--memory", "memory_bytes", type=Size(), default="1GB", show_default=True, help="As `enhance` takes it.")
@click.option("--max-upload", type=Size(), default="100MB", show_default=True, help="The largest photo that is taken.")
@click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0.1, max=178),
    default=60,
    show_default=True,
    help="The same in pixels.",
)
@device_option
@pass_app
def serve(
    app: App,
    host: str,
    port: int,
    browser: bool,
    memory_bytes: int,
    max_upload: int,
    max_megapixels: float,
    device: str,
) -> None:
    """Look at this workspace in a browser: overview, review, runs; and enhance photos there.

    Photos that visitors send are enhanced one after the other, visitor by visitor, and deleted some hours later.

    \b
    dpedkit serve                             on this machine
    dpedkit serve --host 0.0.0.0              for phones in this network, with a token
    dpedkit serve --max-megapixels 24 --max-upload 30MB
    """
    from dpedkit.stages.enhance_jobs import Limits

    limits = Limits(photo_bytes=max_upload, photo_px=int(max_megapixels * 1e6))
    _serve(app, host, port, browser, "/", limits, memory_bytes, device)


@cli.command()
@address_options
@pass_app
def review(app: App, host: str, port: int, browser: bool) -> None:
    """Look at pairs in a browser; accept and reject them with a key each. It is a page of `serve`.

    \b
    dpedkit review                            on this machine
    dpedkit review --port 0 --no-browser      print the address only
    dpedkit review --host 0.0.0.0             for other machines, with a token
    """
    from dpedkit.stages.enhance_jobs import Limits

    _serve(app, host, port, browser, "/review", Limits(), 1_000_000_000, "auto")


def _serve(
    app: App, host: str, port: int, browse: bool, start: str, limits: Any, memory_bytes: int, device: str
) -> None:
    from dpedkit.db import open_corpus
    from dpedkit.stages.enhance_queue import Queue
    from dpedkit.web.server import serve
    from dpedkit.web.site import site_routes, site_uploads

    folder = app.workspace.root / ".serve"
    with (
        open_corpus(app.workspace.root, app.workspace.settings.database) as corpus,
        Queue(folder, limits, memory_bytes=memory_bytes, device=device) as queue,
    ):
        serve(
            site_routes(app.workspace, corpus, queue),
            host=host,
            port=port,
            start=start,
            say=click.echo,
            browse=browse,
            uploads=site_uploads(queue),
        )
