"""Which patches a trainer gets, in which order, and where their pixels lie."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from dpedkit.db.decisions import not_rejected, pair_key
from dpedkit.db.frames import Query
from dpedkit.db.pairs import ShardPairs
from dpedkit.db.patch_rows import find_patches
from dpedkit.db.queries import is_picture
from dpedkit.db.schema import Alignment, Device, Patch, Photo, Shard, Shot, Split
from dpedkit.db.schema_runs import Snapshot, SnapshotPatch
from dpedkit.errors import CorpusError, NoPatches


@dataclass(frozen=True, slots=True)
class Members:
    """An ordered list of patches.

    ids           [N]  of their rows
    places        [N]  (shard, row)
    content_hash  SHA-256 over their keys, in order
    """

    ids: Sequence[int]
    places: Sequence[tuple[str, int]]
    content_hash: str

    def source(self, folder: Path) -> ShardPairs:
        """Return the patches' pixels, from the shards in `folder`."""
        names = sorted({shard for shard, _ in self.places})
        number = {name: index for index, name in enumerate(names)}
        shard_of = np.array([number[shard] for shard, _ in self.places], dtype=np.int64)
        row_of = np.array([row for _, row in self.places], dtype=np.int64)
        return ShardPairs(folder, names, shard_of, row_of, self.content_hash)


def find_members(connection: Connection, phone: str, split: str, where: str = "") -> Members:
    """Return one phone's patches in use in one split, of those that a query finds, ordered by key.

    Raises:
        CorpusError: there are none, or they are not all of one size and one kind of tone.
        QueryError: the query cannot be read, or asks for what is not there.
    """
    statement = _located().where(Patch.id.in_(in_use(phone, split, where)))
    rows = sorted(connection.execute(statement), key=lambda row: row.key)  # no database's own idea of an order
    if not rows:
        raise NoPatches(phone, split)
    check_alike(phone, {row.size for row in rows}, {row.match for row in rows})
    return _members(rows)


def in_use(phone: str, split: str, where: str = "") -> Query:
    """Return the query of the ids of one phone's patches in use in one split; raises QueryError as `find_members`."""
    photo, dslr = aliased(Photo), aliased(Photo)
    statement = (
        select(Patch.id)
        .join(Alignment, Patch.alignment_id == Alignment.id)
        .join(photo, Alignment.phone_photo_id == photo.id)
        .join(dslr, Alignment.dslr_photo_id == dslr.id)
        .join(Device, photo.device_id == Device.id)
        .join(Split, photo.shot_id == Split.shot_id)
        .join(Shot, photo.shot_id == Shot.id)
        .where(not_rejected(patch=Patch.key, pair=pair_key(Shot.key, Device.name), shot=Shot.key))
        .where(Patch.keep, Alignment.current, is_picture(photo), is_picture(dslr))
        .where(Device.name == phone, Split.split == split)
    )
    if where.strip():
        statement = statement.where(Patch.id.in_(find_patches(where).with_only_columns(Patch.id)))
    return statement


def check_alike(phone: str, sizes: Collection[int], tones: Collection[str]) -> None:
    """Refuse one phone's patches that are not all of one size and one kind of tone.

    Raises:
        CorpusError: they are not.
    """
    for what, found in (("sizes", {f"{size} px" for size in sizes}), ("tones", set(tones))):
        if len(found) > 1:
            raise CorpusError(
                f"patches of phone {phone!r} have several {what}: {', '.join(sorted(found))}",
                "run `dpedkit build-patches` again",
            )


def frozen_members(connection: Connection, content_hash: str) -> Members:
    """Return the patches of a snapshot.

    Raises:
        CorpusError: no such snapshot.
    """
    statement = (
        _located()
        .join(SnapshotPatch, SnapshotPatch.patch_id == Patch.id)
        .join(Snapshot, SnapshotPatch.snapshot_id == Snapshot.id)
        .where(Snapshot.hash == content_hash)
        .order_by(SnapshotPatch.position)
    )
    rows = connection.execute(statement).all()
    if not rows:
        raise CorpusError(f"the corpus holds no snapshot {content_hash!r}", "train on a snapshot of this workspace")
    return _members(rows)


def _located() -> Query:
    return select(Patch.id, Patch.key, Patch.size, Patch.match, Patch.row, Shard.name).join(
        Shard, Patch.shard_id == Shard.id
    )


def hash_of(lines: Iterable[str]) -> str:
    """Return the SHA-256 over the lines of a list: a patch's key each; or, over lists, "PHONE SPLIT HASH"."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _members(rows: Sequence[Any]) -> Members:
    return Members([row.id for row in rows], [(row.name, row.row) for row in rows], hash_of(row.key for row in rows))
