"""The command line: parse, call one stage, print. Importing it loads click and nothing heavier."""

from __future__ import annotations

import io
import os
import sys

from dpedkit.cli.app import App, cli, explain
from dpedkit.errors import DpedError, QueryError

# Each family's module adds its commands to `cli` when it is imported.
from dpedkit.cli import align, calibrate, curating, demo, exporting, figure, importing, judging, measuring  # noqa: F401  isort:skip
from dpedkit.cli import patches, reporting, rig, rigs, snapshots, splitting, study, training  # noqa: F401  isort:skip
from dpedkit.cli import web, weights, workspace  # noqa: F401  isort:skip


def main(arguments: list[str] | None = None) -> None:
    """Run `dpedkit` and exit with its code: 0 done, 1 failed, 2 wrong usage, 3 done in part, 4 a device failed."""
    import click

    # Read when torch is first imported: its threads then sleep while they wait for each other. Spinning, they make
    # training four times slower as soon as another program wants a core, and not faster when none does.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does: names of files need not be text
    words = sys.argv[1:] if arguments is None else arguments
    app = App(json="--json" in words)  # for errors that come before the options are known
    try:
        code = cli.main(words, prog_name="dpedkit", standalone_mode=False, obj=app)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "dpedkit"
        code = app.fail(error.format_message(), f"`{asked} --help` shows what there is", error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        code = app.fail("stopped", app.go_on, 130)
    except QueryError as error:
        code = app.fail(error.cause, error.remedy, error.exit_code, error.pointed)
    except DpedError as error:
        code = app.fail(error.cause, error.remedy, error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing is left to say, nor anyone to say it to
        code = 1
    except Exception as error:
        code = explain(app, error)
    sys.exit(code)
