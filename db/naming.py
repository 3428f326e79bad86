"""Named snapshots: the lists of all phones and splits, frozen together for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Row, select

from dpedkit.db.decisions import digest_of_decisions
from dpedkit.db.frames import read_frame
from dpedkit.db.members import find_members, hash_of
from dpedkit.db.records import Snapshot as SnapshotRecord
from dpedkit.db.records import SplitName
from dpedkit.db.rows import frozen
from dpedkit.db.schema import Alignment, Device, Patch, Photo, Shot
from dpedkit.db.schema_runs import NamedSnapshot, NamedSnapshotPart, Snapshot, SnapshotPatch
from dpedkit.db.splits import SPLITS
from dpedkit.db.upsert import upsert
from dpedkit.errors import CorpusError, NoPatches
from dpedkit.types import Json


def name_snapshot(
    connection: Connection, name: str, where: str, phones: Sequence[str], made: Json, now_ns: int
) -> list[SnapshotRecord]:
    """Freeze what is in use; see `Store.name_snapshot`."""
    parts = [
        part
        for phone in phones or _phones(connection)
        for split in sorted(SPLITS)
        if (part := _part(connection, phone, split, where, now_ns))
    ]
    if not parts:
        raise CorpusError("no patches in use to freeze", "run `dpedkit build-patches`, or ask for less with --where")
    content_hash = hash_of(f"{part.phone} {part.split} {part.hash}" for part in parts)
    known = connection.execute(select(NamedSnapshot.hash).filter_by(name=name)).scalar()
    if known == content_hash:  # asked for again, by someone who did not see it end
        return parts
    if known is not None:
        raise CorpusError(
            f"there is a snapshot {name!r} of other patches already", "snapshots never change: choose another name"
        )
    row = {
        "name": name,
        "hash": content_hash,
        "made": made
        | {"where": where, "gates": _gates(connection, parts), "decisions": digest_of_decisions(connection)},
        "created_ns": now_ns,
    }
    upsert(connection, NamedSnapshot, ["name"], [row])
    named = connection.execute(select(NamedSnapshot.id).filter_by(name=name)).scalar_one()
    hashes = [part.hash for part in parts]
    ids = connection.execute(select(Snapshot.id).where(Snapshot.hash.in_(hashes))).scalars()
    keys = ["named_id", "snapshot_id"]
    upsert(connection, NamedSnapshotPart, keys, [{"named_id": named, "snapshot_id": part_id} for part_id in ids])
    return parts


def read_snapshots(connection: Connection, name: str = "") -> pd.DataFrame:
    """Return the parts of every named snapshot or of one, as `Corpus.snapshots` documents; raises as it does."""
    statement = (
        select(
            NamedSnapshot.name.label("snapshot"),
            NamedSnapshot.hash,
            NamedSnapshot.created_ns,
            NamedSnapshot.made,
            Snapshot.phone,
            Snapshot.split,
            Snapshot.patches,
            Snapshot.hash.label("list"),
        )
        .join_from(NamedSnapshot, NamedSnapshotPart)
        .join(Snapshot)
        .order_by(NamedSnapshot.created_ns, NamedSnapshot.name, Snapshot.phone, Snapshot.split)
    )
    if name:
        statement = statement.where(NamedSnapshot.id == find_named(connection, name).id)
    return read_frame(connection, statement)


def find_named(connection: Connection, name: str) -> Row[Any]:
    """Return the row of a named snapshot.

    Raises:
        CorpusError: there is none.
    """
    found = connection.execute(select(NamedSnapshot.__table__).filter_by(name=name)).one_or_none()
    if found is None:
        known = connection.execute(select(NamedSnapshot.name).order_by(NamedSnapshot.created_ns)).scalars()
        raise CorpusError(f"there is no snapshot {name!r}", f"snapshots: {', '.join(known) or 'none'}")
    return found


def read_members(connection: Connection, name: str) -> pd.DataFrame:
    """Return the patches of a named snapshot, as `Corpus.snapshot_patches` documents.

    Raises:
        CorpusError: no such snapshot.
    """
    statement = (
        select(
            Patch.key.label("patch"),
            Snapshot.phone,
            Snapshot.split,
            Shot.key.label("shot"),
            Patch.keep,
            Patch.reason,
            Alignment.gates,
            Alignment.current,
        )
        .join_from(NamedSnapshot, NamedSnapshotPart)
        .join(Snapshot)
        .join(SnapshotPatch, SnapshotPatch.snapshot_id == Snapshot.id)
        .join(Patch, SnapshotPatch.patch_id == Patch.id)
        .join(Alignment, Patch.alignment_id == Alignment.id)
        .join(Photo, Alignment.phone_photo_id == Photo.id)
        .join(Shot, Photo.shot_id == Shot.id)
        .where(NamedSnapshot.id == find_named(connection, name).id)
    )
    return read_frame(connection, statement).sort_values(["phone", "split", "patch"], ignore_index=True)


def _phones(connection: Connection) -> list[str]:
    return sorted(connection.execute(select(Device.name).filter_by(role="phone")).scalars())


def _part(connection: Connection, phone: str, split: SplitName, where: str, now_ns: int) -> SnapshotRecord | None:
    try:
        members = find_members(connection, phone, split, where)
    except NoPatches:
        return None
    return frozen(connection, members, SnapshotRecord(members.content_hash, phone, split, len(members.ids), now_ns))


def _gates(connection: Connection, parts: Sequence[SnapshotRecord]) -> list[str]:
    """Return the policies whose verdicts the patches carry."""
    statement = (
        select(Alignment.gates)
        .distinct()
        .join_from(Snapshot, SnapshotPatch)
        .join(Patch, SnapshotPatch.patch_id == Patch.id)
        .join(Alignment, Patch.alignment_id == Alignment.id)
        .where(Snapshot.hash.in_([part.hash for part in parts]), Alignment.gates.is_not(None))
    )
    return sorted(str(gates) for gates in connection.execute(statement).scalars())
