"""Accept, reject and tag what a query finds: at once, by rules that can be applied again, and back again."""

from __future__ import annotations

import getpass
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from dpedkit.db import Corpus, Decided, open_corpus
from dpedkit.stages.frames import rows
from dpedkit.workspace import Workspace

On = Literal["pairs", "patches", "shots"]
KINDS: dict[On, str] = {"pairs": "pair", "patches": "patch", "shots": "shot"}


@dataclass(frozen=True, slots=True)
class Action:
    """What to decide about whatever is found.

    verdict  "accept", "reject", or "" (undecided); of a tag "on" or ""
    tag      decide on this tag; "": on the verdict
    """

    verdict: str
    tag: str = ""
    on: On = "pairs"

    @property
    def words(self) -> str:
        """Say what was done, for "3 pairs ..."."""
        if self.tag:
            return f"tagged {self.tag!r}" if self.verdict else f"freed of the tag {self.tag!r}"
        return {"accept": "accepted", "reject": "rejected", "": "made undecided"}[self.verdict]


@dataclass(slots=True, kw_only=True)
class CurateReport:
    """What was decided, or would be.

    found         phone -> split -> pairs, patches or shots (those: under "") that the query finds
    decided       how many of them get a decision that they had not
    by_people     how many a rule leaves alone, because a person decided
    in_use        patches in use, before and after; after a dry run the same
    batch         what `dpedkit curate --undo --batch N` takes back; 0: nothing was new
    """

    on: On
    found: dict[str, dict[str, int]] = field(default_factory=dict)
    decided: int = 0
    by_people: int = 0
    in_use: tuple[int, int] = (0, 0)
    batch: int = 0


def curate(
    workspace: Workspace, where: str, action: Action, *, who: str = "", why: str = "", dry_run: bool = False
) -> CurateReport:
    """Decide on everything that a query finds, as one batch; what is so already is left as it is.

    where  over pairs (also for shots: those that have such a pair) or patches
    who    left out: the user's name on this machine

    Raises:
        QueryError: the query cannot be read, or asks for what is not there.
    """
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        found = matching(corpus, where, action.on)
        report = CurateReport(on=action.on, found=_tally(found, action.on))
        before = corpus.count("patches", "used")
        wanted = dict.fromkeys(found["key"].tolist(), action.verdict)
        kind = KINDS[action.on]
        if dry_run:
            held = corpus.held(kind, action.tag)
            report.decided = sum(held.get(key, ("",))[0] != verdict for key, verdict in wanted.items())
            report.in_use = (before, before)
            return report
        decided = corpus.store.decide(kind, wanted, who=who or person(), why=why, tag=action.tag)
        report.decided, report.batch = decided.decided, decided.batch
        report.in_use = (before, corpus.count("patches", "used"))
    return report


def undo(workspace: Workspace, batch: int | None, *, who: str = "") -> Decided:
    """Take back a batch; None: the last one. See `dpedkit.db.Store.undo`."""
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        return corpus.store.undo(batch, who=who or person())


def history(workspace: Workspace) -> pd.DataFrame:
    """Return every batch of decisions, as `Corpus.decisions` documents."""
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        return corpus.decisions()


def matching(corpus: Corpus, where: str, on: On) -> pd.DataFrame:
    """Return what a query finds, one row for each thing to decide on: key phone split; raises as `curate` does."""
    if on == "patches":
        patches = corpus.patches(where)
        return patches.assign(key=patches["patch"])[["key", "phone", "split"]]
    pairs = corpus.pairs(where)
    if on == "shots":
        return pairs.assign(key=pairs["shot"], phone="")[["key", "phone", "split"]].drop_duplicates("key")
    return pairs.assign(key=pairs["shot"] + ":" + pairs["phone"])[["key", "phone", "split"]]


def person() -> str:
    """Return the name of whoever runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "somebody"


def _tally(found: pd.DataFrame, on: On) -> dict[str, dict[str, int]]:
    counts = Counter((row.phone, row.split if isinstance(row.split, str) else "no split") for row in rows(found))
    tally: dict[str, dict[str, int]] = {}
    for (phone, split), count in sorted(counts.items()):
        tally.setdefault(on if on == "shots" else phone, {})[split] = count
    return tally
