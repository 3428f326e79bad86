"""What all commands share: the group, the options --json, -v and -q, and how results and errors are printed."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from dpedkit.progress import Progress
    from dpedkit.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])

PARTLY_DONE = 3


@dataclass
class App:
    """The options that every command has, and the two ways out: stdout for results, stderr for all else."""

    folder: Path = Path()
    json: bool = False
    verbose: int = 0
    quiet: bool = False

    @property
    def workspace(self) -> Workspace:
        """The workspace of -C, DPEDKIT_WORKSPACE or the current folder."""
        from dpedkit.workspace import find_workspace

        return find_workspace(self.folder)

    @property
    def console(self) -> Console:
        """Where results go."""
        from rich.console import Console

        return Console(highlight=False, soft_wrap=not sys.stdout.isatty())

    def progress(self) -> Progress:
        """Return what draws the advance of long work: a bar on a terminal, plain lines elsewhere."""
        from dpedkit.cli.draw import make_progress

        return make_progress(quiet=self.quiet)

    def show(self, document: Any, *text: RenderableType) -> None:
        """Print a result: `document` (a dataclass, dict or list) as JSON with --json, else `text`."""
        if self.json:
            click.echo(json.dumps(document, default=_plain, indent=2))
        else:
            for part in text:
                self.console.print(part)

    def fail(self, cause: str, remedy: str, exit_code: int) -> int:
        """Print one line of cause and one of remedy; return the exit code."""
        if self.json:
            click.echo(json.dumps({"error": cause, "remedy": remedy, "exit_code": exit_code}, indent=2))
        click.secho(f"error: {cause}", fg="red", err=True)
        if remedy:
            click.echo(f"  {remedy}", err=True)
        if self.verbose > 1:
            traceback.print_exc()
        return exit_code


def explain(app: App, error: Exception) -> int:
    """Print an error nobody foresaw; return the exit code."""
    if isinstance(error, OSError):
        from dpedkit.files import storage_error

        known = storage_error(error, Path(error.filename or "a file"))
        return app.fail(known.cause, known.remedy, known.exit_code)
    return app.fail(
        f"{type(error).__name__}: {error}", "this is a bug in dpedkit: run again with -vv and report what it prints", 1
    )


class Command(click.Command):
    """A command with --json, -v and -q, whose examples keep their line breaks in --help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document on stdout."),
            click.Option(["-v", "--verbose"], count=True, help="Say more; -vv shows tracebacks."),
            click.Option(["-q", "--quiet"], is_flag=True, help="No progress."),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Move the shared options into the App, then run the command."""
        app = ctx.find_object(App)
        if app is not None:
            app.json = ctx.params.pop("as_json")
            app.verbose = ctx.params.pop("verbose")
            app.quiet = ctx.params.pop("quiet")
        code = super().invoke(ctx)
        return code or 0


class Group(click.Group):
    """A group whose commands are `Command`s."""

    command_class = Command


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-C",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DPEDKIT_WORKSPACE",
    default=Path(),
    help="Workspace to use instead of the one the current folder lies in.",
)
@click.version_option(package_name="dpedkit", message="%(prog)s %(version)s")
@click.pass_obj
def cli(app: App, folder: Path) -> None:
    """From the shutter to a trained photo enhancer.

    \b
    dpedkit demo DIR             the whole line on a simulated rig, in minutes
    dpedkit init DIR             a workspace of your own
    """
    app.folder = folder


pass_app = click.make_pass_decorator(App)


def listed(count: int, noun: str, names: Iterable[str] = (), most: int = 3) -> str:
    """Return "4 photos: a, b, c, ..."; the noun gets its s."""
    words = list(names)
    shown = ", ".join(words[:most]) + (", ..." if len(words) > most else "")
    return f"{count} {noun}{'' if count == 1 else 's'}" + (f": {shown}" if shown else "")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "item"):
        return value.item()  # a numpy scalar
    return str(value)
