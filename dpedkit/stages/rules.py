"""Rules: a named, versioned TOML file of queries, each with what to decide about whatever it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from dpedkit.db import Corpus, open_corpus
from dpedkit.db.where import parse
from dpedkit.errors import QueryError
from dpedkit.settings import Table, check, read_toml
from dpedkit.stages.curating import KINDS, On, matching
from dpedkit.workspace import Workspace


class Rule(Table):
    """One query, and what to decide about whatever it finds: a verdict or a tag."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    where: str
    decide: Literal["accept", "reject"] | None = None
    tag: str = ""
    on: On = "pairs"
    why: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Rule:
        if (self.decide is None) == (not self.tag):
            raise ValueError('give decide = "accept" or "reject", or a tag')
        try:
            parse(self.where)
        except QueryError as error:
            raise ValueError(f"where: {error.cause}") from None
        return self


class RuleFile(Table):
    """A file of rules; of several that find the same thing, the last one decides."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    version: int = Field(ge=1)
    rule: list[Rule] = Field(min_length=1)


@dataclass(slots=True, kw_only=True)
class RuleReport:
    """What the rules decided, or would: by rule; "no longer" stands for what they found before and find no more.

    by_people  what people had decided, and the rules left alone
    """

    rules: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    by_people: int = 0
    batches: list[int] = field(default_factory=list)


NO_LONGER = "no longer"


def read_rules(path: Path) -> RuleFile:
    """Return a file's rules.

    Raises:
        SettingsError: no such file, or no rules.
    """
    return check(RuleFile, read_toml(path), str(path))


def apply_rules(
    workspace: Workspace, file: RuleFile, *, over_people: bool = False, dry_run: bool = False
) -> RuleReport:
    """Bring the decisions to what the rules say; applied again, only what is new or changed is decided.

    What the same file (whatever its version) decided before and finds no more becomes undecided. What a person
    decided stays, unless `over_people`.

    Raises:
        QueryError: a query asks for what is not there.
    """
    report = RuleReport()
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        for (kind, tag), verdicts in _wanted(corpus, file, report).items():
            held = corpus.held(kind, tag)
            ours = {key for key, (_, who) in held.items() if who.startswith(f"rule {file.name}@")}
            gone = dict.fromkeys(ours - verdicts.keys(), ("", NO_LONGER, "the rules find it no more"))
            gone = {key: value for key, value in gone.items() if held[key][0]}
            for name, (why, keys) in _by_rule(verdicts | gone).items():
                who = f"rule {file.name}@{file.version} {name}"
                new = {key: verdict for key, verdict in keys.items() if held.get(key, ("", ""))[0] != verdict}
                if dry_run:
                    people = {key for key in new if key in held and not held[key][1].startswith("rule ")}
                    left = set() if over_people else people
                    report.rules[name] = report.rules.get(name, 0) + len(new) - len(left)
                    report.by_people += len(left)
                    continue
                done = corpus.store.decide(kind, new, who=who, why=why, tag=tag, over_people=over_people)
                report.rules[name] = report.rules.get(name, 0) + done.decided
                report.by_people += done.by_people
                report.batches += [done.batch] if done.batch else []
    return report


Verdict = tuple[str, str, str]


def _wanted(corpus: Corpus, file: RuleFile, report: RuleReport) -> dict[tuple[str, str], dict[str, Verdict]]:
    """Return what the rules want: (kind, tag) -> key -> verdict, name of the rule, why."""
    wanted: dict[tuple[str, str], dict[str, Verdict]] = {}
    for rule in file.rule:
        keys = matching(corpus, rule.where, rule.on)["key"].tolist()
        report.found[rule.name] = len(keys)
        verdict = (rule.decide or "on", rule.name, rule.why)
        wanted.setdefault((KINDS[rule.on], rule.tag), {}).update(dict.fromkeys(keys, verdict))
    return wanted


def _by_rule(verdicts: dict[str, Verdict]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return rule -> why, and key -> verdict."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for key, (verdict, name, why) in verdicts.items():
        found.setdefault(name, (why, {}))[1][key] = verdict
    return found
