"""Named snapshots: made, shown, and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import pandas as pd

from dpedkit.db import Corpus, open_corpus
from dpedkit.stages.frames import rows
from dpedkit.types import Json
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSnapshot:
    """A named snapshot.

    patches  phone -> split -> how many
    lists    phone -> split -> hash of its list, which a run records
    """

    name: str
    hash: str
    created_ns: int
    made: Json
    patches: dict[str, dict[str, int]]
    lists: dict[str, dict[str, str]]


@dataclass(slots=True, kw_only=True)
class SnapshotDiff:
    """What changed from one snapshot to another.

    added, removed  phone -> why -> how many
    moved           phone -> "train > test" -> how many
    same            how many are in both, in the same split
    """

    added: dict[str, int] = field(default_factory=dict)
    removed: dict[str, dict[str, int]] = field(default_factory=dict)
    moved: dict[str, dict[str, int]] = field(default_factory=dict)
    same: int = 0


def make_snapshot(workspace: Workspace, name: str, *, where: str, phones: tuple[str, ...]) -> NamedSnapshot:
    """Freeze all patches in use under a name; raises as `Store.name_snapshot` does."""
    made = {"dpedkit": version("dpedkit"), "split": workspace.settings.split.model_dump()}
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        corpus.store.name_snapshot(name, made, where=where, phones=phones)
        return find_snapshot(corpus, name)


def snapshots(workspace: Workspace) -> list[NamedSnapshot]:
    """Return all named snapshots, oldest first."""
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        frame = corpus.snapshots()
    return [_named(str(name), parts) for name, parts in frame.groupby("snapshot", sort=False)]


def find_snapshot(corpus: Corpus, name: str) -> NamedSnapshot:
    """Return one by its name; raises as `Corpus.snapshots` does."""
    return _named(name, corpus.snapshots(name))


def compare_snapshots(workspace: Workspace, before: str, after: str) -> SnapshotDiff:
    """Say what changed from one snapshot to another; raises as `find_snapshot` does."""
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        old, new = (corpus.snapshot_patches(name).set_index(["phone", "patch"]) for name in (before, after))
        rejected = {kind: corpus.held(kind) for kind in ("shot", "pair", "patch")}
    report = SnapshotDiff()
    both = old.join(new[["split"]], rsuffix="_after", how="inner")
    moved = both[both["split"] != both["split_after"]]
    report.same = len(both) - len(moved)
    for phone, changes in (moved["split"] + " > " + moved["split_after"]).groupby(level="phone"):
        report.moved[str(phone)] = {str(change): int(count) for change, count in changes.value_counts().items()}
    added = new.index.difference(old.index).get_level_values("phone").value_counts()
    report.added = {str(phone): int(count) for phone, count in added.sort_index().items()}
    for row in rows(old.loc[old.index.difference(new.index)].reset_index()):
        why = _why_gone(row, rejected)
        counts = report.removed.setdefault(row.phone, {})
        counts[why] = counts.get(why, 0) + 1
    return report


def _named(name: str, parts: pd.DataFrame) -> NamedSnapshot:
    first = next(iter(rows(parts)))
    patches: dict[str, dict[str, int]] = {}
    lists: dict[str, dict[str, str]] = {}
    for part in rows(parts):
        patches.setdefault(part.phone, {})[part.split] = int(part.patches)
        lists.setdefault(part.phone, {})[part.split] = part.list
    return NamedSnapshot(
        name=name, hash=first.hash, created_ns=int(first.created_ns), made=first.made, patches=patches, lists=lists
    )


def _why_gone(row: Any, decided: dict[str, dict[str, tuple[str, str]]]) -> str:
    """Say why a patch is not in use any more, as far as its row tells."""
    keys = {"shot": row.shot, "pair": f"{row.shot}:{row.phone}", "patch": row.patch}
    for kind, key in keys.items():
        if decided[kind].get(key, ("", ""))[0] == "reject":
            return f"{kind} rejected"
    if row.reason == "superseded" or not row.current:
        return "cut or aligned again"
    if not row.keep:
        return f"gates: {row.reason}"
    return "not asked for"
