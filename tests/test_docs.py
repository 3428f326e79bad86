"""The README says what the commands are, and the commands say what they do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from docs.commands import BEGIN, README, SCHEMA, schema, with_commands

from dpedkit.cli import cli

ROOT = Path(__file__).resolve().parents[1]


def commands(group: click.Group = cli, words: str = "dpedkit") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{words} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")


def shown_calls() -> list[str]:
    """Every `dpedkit ...` that a code block of the documentation tells people to type."""
    calls = []
    for page in (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            joined = block.replace("\\\n", " ")
            calls += re.findall(r"^(?:\$ )?(dpedkit [^\n]*)", joined, re.MULTILINE)
    return calls


def docstring_calls() -> list[str]:
    """Every example in a command's --help, without the remark that may follow it."""
    found = []
    for _, command in commands():
        found += re.findall(r"^\s*(dpedkit .*?)(?:\s{2,}.*| &.*)?$", command.help or "", re.MULTILINE)
    return found


def test_the_readmes_list_of_commands_is_fresh() -> None:
    text = README.read_text(encoding="utf-8")
    assert BEGIN in text
    assert with_commands(text) == text, "run `make docs`"
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "run `make docs`"


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_and_option_says_what_it_does(name: str) -> None:
    command = dict(commands())[name]
    assert command.help, name
    assert command.help.splitlines()[0].endswith("."), f"{name}: the first line stands in the README by itself"
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert silent == [], name


@pytest.mark.parametrize("call", [*dict.fromkeys(shown_calls() + docstring_calls())])
def test_every_call_that_is_shown_can_be_made(call: str) -> None:
    words = shlex.split(re.sub(r" > [\w.]+\s*$", "", call.partition(" #")[0]).removesuffix("&"))[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="dpedkit")
    while isinstance(command, click.Group):
        while words and words[0] in ("-C", "--version", "--help", "-h"):
            if words.pop(0) != "-C":
                return
            words.pop(0)
        name, found, words = command.resolve_command(context, words)
        assert found is not None, call
        command, context = found, click.Context(found, info_name=name, parent=context, resilient_parsing=True)
    _, rest, _ = command.make_parser(context).parse_args(words)  # fails on an option that is not there
    assert rest == [], call
