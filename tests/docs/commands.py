"""Writes the README's list of commands from the commands themselves, and the JSON Schema of recipes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from dpedkit.cli.app import cli
from dpedkit.train import recipe_schema

README = Path(__file__).resolve().parents[2] / "README.md"
SCHEMA = README.with_name("docs") / "recipe.schema.json"
BEGIN, END = "<!-- commands -->\n", "<!-- /commands -->\n"


def commands(group: click.Group, words: str) -> Iterator[str]:
    """Yield a table row per command: how it is called, and the first line of its help."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")
            continue
        arguments = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
        usage = " ".join([words, name, *arguments])
        summary = (command.help or "").strip().splitlines()[0]
        yield f"| `{usage}` | {summary} |\n"


def with_commands(text: str) -> str:
    """Return the README's text with the list of commands up to date."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    table = "".join(["| command | |\n", "|---|---|\n", *commands(cli, "dpedkit")])
    return f"{before}{BEGIN}{table}{END}{after}"


def schema() -> str:
    """Return the text of the schema's file."""
    return f"{json.dumps(recipe_schema(), indent=1)}\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
    README.write_text(with_commands(README.read_text(encoding="utf-8")), encoding="utf-8")
