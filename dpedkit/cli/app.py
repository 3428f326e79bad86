"""What all commands share: the group, the options --json, -v and -q, and how results and errors are printed."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from dpedkit.progress import Progress
    from dpedkit.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])

PARTLY_DONE = 3

_UNBROKEN = 10_000  # columns of output that is not for a terminal: nothing wraps or is cut


@dataclass
class App:
    """The options that every command has, and the two ways out: stdout for results, stderr for all else.

    go_on    what to tell those who stop the command with Ctrl-C
    streams  --json is one document per line of stdout, as things happen, and so is an error
    """

    folder: Path = Path()
    json: bool = False
    verbose: int = 0
    quiet: bool = False
    streams: bool = False
    go_on: str = "what was finished is kept: run the same command again to go on"

    @property
    def workspace(self) -> Workspace:
        """The workspace of -C, DPEDKIT_WORKSPACE or the current folder."""
        from dpedkit.errors import UsageError
        from dpedkit.workspace import find_workspace

        if not self.folder.is_dir():  # a folder above it may be another workspace, which is not the one meant
            raise UsageError(f"no folder {self.folder}", "correct -C or DPEDKIT_WORKSPACE")
        return find_workspace(self.folder)

    def progress(self) -> Progress:
        """Return what draws the advance of long work: a bar on a terminal, plain lines elsewhere."""
        from dpedkit.cli.draw import make_progress

        return make_progress(quiet=self.quiet)

    def show(self, document: Any, *text: RenderableType) -> None:
        """Print a result: `document` (a dataclass, dict or list) as JSON with --json, else `text`.

        Strings stand for themselves, whatever [brackets] and :colons: the users' own names bring; see `marked`.
        """
        if self.json:
            click.echo(as_json(document, indent=2))
            return
        from rich.console import Console
        from rich.table import Table

        width = None if sys.stdout.isatty() else _UNBROKEN
        console = Console(width=width, highlight=False, markup=False, emoji=False)
        with console.capture() as capture:
            for part in text:
                console.print(part, soft_wrap=not isinstance(part, Table))
        click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))

    def fail(self, cause: str, remedy: str, exit_code: int, shown: str = "") -> int:
        """Print one line of cause and one of remedy, and between them what is `shown`; return the exit code."""
        cause, remedy = " ".join(cause.splitlines()), " ".join(remedy.splitlines())
        if self.json:
            document = {"error": cause, "remedy": remedy, "exit_code": exit_code}
            click.echo(as_json({"event": "error", **document}) if self.streams else as_json(document, indent=2))
        click.secho(f"error: {cause}", fg="red", err=True)
        for line in shown.splitlines():
            click.echo(f"  {line}", err=True)
        if remedy:
            click.echo(f"  {remedy}", err=True)
        if self.verbose > 1:
            traceback.print_exc()
        return exit_code


def explain(app: App, error: Exception) -> int:
    """Print an error nobody foresaw; return the exit code."""
    if isinstance(error, ModuleNotFoundError):
        from dpedkit.stages.overview import missing_extra

        if absent := missing_extra(error):
            return app.fail(absent.cause, absent.remedy, absent.exit_code)
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


def table(*headers: str) -> Table:
    """Return an empty table, a column for each header. On a narrow terminal its cells fold, and lose nothing."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, show_header=any(headers))
    for header in headers:
        made.add_column(header, overflow="fold")
    return made


def marked(word: str, style: str, rest: str = "") -> Text:
    """Return a text whose first word is coloured."""
    from rich.text import Text

    return Text.assemble((word, style), f" {rest}" if rest else "")


def listed(count: int, noun: str, names: Iterable[str] = (), most: int = 3) -> str:
    """Return "4 photos: a, b, c, ..."; the noun gets its s."""
    words = list(names)
    shown = ", ".join(words[:most]) + (", ..." if len(words) > most else "")
    return f"{count} {noun}{'' if count == 1 else 's'}" + (f": {shown}" if shown else "")


def from_here(path: Path) -> str:
    """Return a path that leads there from the current folder, and is short where it can be."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def as_json(document: Any, *, indent: int | None = None) -> str:
    """Return a document as JSON; a number that is not finite, such as the PSNR of equal pictures, is null."""
    return json.dumps(_plain(document), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return what JSON has a word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        return _plain(value.item())  # a numpy scalar
    return value if value is None or isinstance(value, str | int) else str(value)
