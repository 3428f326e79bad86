"""Verdicts on patches that are there already: passed again from their scores, or only compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from dpedkit.align import judge
from dpedkit.db import Corpus, open_corpus
from dpedkit.stages import given
from dpedkit.stages.frames import rows
from dpedkit.stages.policies import Policy, policies
from dpedkit.stages.scores import scores_in
from dpedkit.workspace import Workspace


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many patches are kept, and how many are not, by reason."""

    patches: int = 0
    kept: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, reasons: list[str]) -> None:
        """Count verdicts: a reason each, "" for one to keep."""
        self.patches += len(reasons)
        self.kept += reasons.count("")
        for reason in set(reasons) - {""}:
            self.reasons[reason] = self.reasons.get(reason, 0) + reasons.count(reason)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One policy, and what it would make of the workspace's patches.

    gates    NAME@VERSION#HASH
    changed  its limits are not those of verdicts under the same name and version: `build-patches` refuses it
    in_use   patches that carry its verdict
    """

    name: str
    gates: str
    purpose: str
    changed: bool
    limits: dict[str, float]
    in_use: int
    tally: Tally


def compare_gates(workspace: Workspace) -> list[PolicyRow]:
    """Judge the workspace's patches by every policy, and change nothing.

    Raises:
        SettingsError: a file in gates/ that holds no policy.
    """
    known = policies(workspace)
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        patches, pairs = corpus.patches(), corpus.pairs()
    scored = patches["alignment"].isin(given.with_photos(pairs)["alignment"].tolist())
    scores = scores_in(patches[scored])
    in_use = pairs.groupby("gates")["patches"].sum()
    compared = []
    for policy in known:
        tally = Tally()
        tally.add(judge(scores, policy.gates).tolist())
        row = PolicyRow(
            name=policy.name,
            gates=policy.identity,
            purpose=policy.purpose,
            changed=policy.clashes(in_use.index),
            limits=policy.limits,
            in_use=int(in_use.get(policy.identity, 0)),
            tally=tally,
        )
        compared.append(row)
    return compared


def judge_again(corpus: Corpus, pairs: pd.DataFrame, policy: Policy) -> Iterator[list[str]]:
    """Give the patches of `pairs` the policy's verdict, from the scores stored with them; yield each pair's reasons.

    pairs  rows of `Corpus.pairs`
    """
    patches = corpus.patches()
    by_alignment = patches.groupby("alignment").indices
    for pair in rows(pairs):
        own = patches.iloc[by_alignment.get(pair.alignment, [])]
        reasons = judge(scores_in(own), policy.gates)
        changed = reasons != own["reason"].to_numpy(str)
        verdicts = dict(zip(own["patch"][changed], reasons[changed].tolist(), strict=True))
        corpus.store.judge_patches(pair.alignment, policy.identity, verdicts)
        yield reasons.tolist()
