"""What leaves the corpus: the patches that are in use, or a named snapshot's, with all that is known of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeAlias

import pandas as pd
from sqlalchemy import Connection, select
from sqlalchemy.orm import aliased

from dpedkit.db.decisions import digest_of_decisions
from dpedkit.db.frames import Query, read_frame
from dpedkit.db.members import check_alike, hash_of, in_use
from dpedkit.db.naming import find_named
from dpedkit.db.records import SplitName
from dpedkit.db.schema import Alignment, Device, Patch, Photo, Shard, Shot
from dpedkit.db.schema_runs import NamedSnapshotPart, Snapshot, SnapshotPatch
from dpedkit.db.splits import SPLITS
from dpedkit.errors import CorpusError, UsageError
from dpedkit.types import Json

_PRIVATE = ("id", "key", "alignment_id", "shard_id", "keep", "reason")
_Lists: TypeAlias = Callable[[str, SplitName], Query]


@dataclass(frozen=True, slots=True)
class Listing:
    """Lists of patches, one for each phone and split.

    parts    (phone, split) -> a row per patch, in the order of a snapshot: patch shot scene shard row x y size match,
             its scores, those of its pair (residual_px residual_p95_px inliers overlap gates), and of both photos
             dslr phone_path dslr_path phone_sha256 dslr_sha256
    made     what made it: where, gates, decisions; of a snapshot all that it remembers
    devices  the DSLR and those phones: name -> role, model, serial
    """

    parts: dict[tuple[str, SplitName], pd.DataFrame]
    made: Json
    devices: dict[str, dict[str, str]]

    @property
    def hash(self) -> str:
        """SHA-256 over all lists: that of the named snapshot which holds the same."""
        return hash_of(f"{phone} {split} {hash_of(part['patch'])}" for (phone, split), part in self.parts.items())

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many patches there are: phone -> split -> patches."""
        found: dict[str, dict[str, int]] = {}
        for (phone, split), part in self.parts.items():
            found.setdefault(phone, {})[split] = len(part)
        return found

    def only(self, splits: Collection[SplitName]) -> Listing:
        """Return the lists of some splits."""
        return replace(self, parts={key: part for key, part in self.parts.items() if key[1] in splits})


def read_listing(
    connection: Connection, snapshot: str, phones: Collection[str], splits: Collection[SplitName], where: str
) -> Listing:
    """Return the patches of a named snapshot or, where it is "", those in use that a query finds.

    phones, splits  empty: all

    Raises:
        CorpusError: no such snapshot, no such phone, or no patches; patches of one phone that differ in size or tone.
        UsageError: a query for a snapshot, which is a list already.
        QueryError: the query cannot be read, or asks for what is not there.
    """
    if snapshot and where.strip():
        raise UsageError(
            "a snapshot is a list already: --where cannot choose from it", "`dpedkit snapshot create --where` makes one"
        )
    known = sorted(connection.execute(select(Device.name).filter_by(role="phone")).scalars())
    if unknown := sorted(set(phones) - set(known)):
        raise CorpusError(f"the corpus has no phone {unknown[0]!r}", f"phones: {', '.join(known) or 'none'}")
    lists, made = _frozen(connection, snapshot) if snapshot else _in_use(connection, where)
    parts: dict[tuple[str, SplitName], pd.DataFrame] = {}
    for phone, split in itertools.product(known, sorted(SPLITS)):
        if (phones and phone not in phones) or (splits and split not in splits):
            continue
        found = _read(connection, lists(phone, split))
        if len(found):
            check_alike(phone, set(found["size"]), set(found["match"]))
            parts[phone, split] = found
    if not parts:
        raise CorpusError("there are no such patches to export", "`dpedkit status` shows what is in use; ask for less")
    gates = sorted({str(name) for part in parts.values() for name in part["gates"].dropna().unique()})
    return Listing(parts, {**made, "gates": gates}, _devices(connection, parts))


def _devices(connection: Connection, parts: dict[tuple[str, SplitName], pd.DataFrame]) -> dict[str, dict[str, str]]:
    names = {phone for phone, _ in parts} | {str(name) for part in parts.values() for name in part["dslr"].unique()}
    found = connection.execute(select(Device).where(Device.name.in_(names)).order_by(Device.role, Device.name))
    return {row.name: {"role": row.role, "model": row.model, "serial": row.serial} for row in found}


def _in_use(connection: Connection, where: str) -> tuple[_Lists, Json]:
    made = {"where": where, "decisions": digest_of_decisions(connection)}
    return lambda phone, split: in_use(phone, split, where), made


def _frozen(connection: Connection, name: str) -> tuple[_Lists, Json]:
    named = find_named(connection, name)

    def lists(phone: str, split: SplitName) -> Query:
        return (
            select(SnapshotPatch.patch_id)
            .join(Snapshot, SnapshotPatch.snapshot_id == Snapshot.id)
            .join(NamedSnapshotPart, NamedSnapshotPart.snapshot_id == Snapshot.id)
            .where(NamedSnapshotPart.named_id == named.id, Snapshot.phone == phone, Snapshot.split == split)
        )

    return lists, named.made


def _read(connection: Connection, ids: Query) -> pd.DataFrame:
    """Return the rows of one list, in order of their keys."""
    photo, dslr, dslr_device = aliased(Photo), aliased(Photo), aliased(Device)
    own = [column for column in Patch.__table__.c if column.name not in _PRIVATE]
    statement = (
        select(
            Patch.key.label("patch"),
            Shot.key.label("shot"),
            Shot.scene,
            Shard.name.label("shard"),
            *own,
            Alignment.residual_px,
            Alignment.residual_p95_px,
            Alignment.inliers,
            Alignment.overlap,
            Alignment.gates,
            dslr_device.name.label("dslr"),
            photo.path.label("phone_path"),
            dslr.path.label("dslr_path"),
            photo.sha256.label("phone_sha256"),
            dslr.sha256.label("dslr_sha256"),
        )
        .join_from(Patch, Shard, Patch.shard_id == Shard.id)
        .join(Alignment, Patch.alignment_id == Alignment.id)
        .join(photo, Alignment.phone_photo_id == photo.id)
        .join(dslr, Alignment.dslr_photo_id == dslr.id)
        .join(dslr_device, dslr.device_id == dslr_device.id)
        .join(Shot, photo.shot_id == Shot.id)
        .where(Patch.id.in_(ids))
    )
    return read_frame(connection, statement).sort_values("patch", ignore_index=True)
