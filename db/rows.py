"""What the store's transactions are made of: rows found by their keys, added, retired and frozen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import PurePosixPath

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from dpedkit.db.frames import Query
from dpedkit.db.members import Members
from dpedkit.db.pictures import Prefer, mark
from dpedkit.db.records import PhotoRecord, Snapshot
from dpedkit.db.schema import Base, Device, Patch, Photo, Shot
from dpedkit.db.schema_runs import Snapshot as SnapshotRow
from dpedkit.db.schema_runs import SnapshotPatch
from dpedkit.db.upsert import row_of, upsert
from dpedkit.errors import CorpusError, KnownPhoto

_LIKE = (
    select(Shot.key, Device.name, Photo.sha256, Photo.path, Photo.format)
    .select_from(Photo)
    .join(Shot)
    .join(Device)
    .where(
        ((Photo.shot_id == bindparam("in_shot")) & (Photo.device_id == bindparam("of_device")))
        & (Photo.format == bindparam("in_format"))
        | (Photo.sha256 == bindparam("of_content"))
        | (Photo.path == bindparam("at_path"))
    )
)
"""What a new photo may clash with."""


def id_of(connection: Connection, table: type[Base], column: str, value: str) -> int:
    """Return the id of the row whose `column` is `value`."""
    found = connection.execute(_by(table, column), {"wanted": value}).scalar()
    if found is None:
        raise CorpusError(
            f"the corpus holds no {table.__tablename__} {value!r}", "`dpedkit status` shows what it holds"
        )
    return int(found)


@cache
def _by(table: type[Base], column: str) -> Query:
    columns = table.__table__.c
    return select(columns["id"]).where(columns[column] == bindparam("wanted"))


def add_photos(connection: Connection, shot: str, photos: Sequence[PhotoRecord], prefer: Prefer) -> None:
    """Add photos to a shot, or what is newly known about them; see `Store.add_shot`."""
    shot_id = id_of(connection, Shot, "key", shot)
    for photo in photos:
        if PurePosixPath(photo.path).is_absolute() or "\\" in photo.path:
            raise ValueError(f"want a path relative to the workspace with forward slashes, got {photo.path!r}")
        device_id = id_of(connection, Device, "name", photo.device)
        place = {"in_shot": shot_id, "of_device": device_id, "in_format": photo.format}
        for other in connection.execute(_LIKE, {**place, "of_content": photo.sha256, "at_path": photo.path}).all():
            if tuple(other) == (shot, photo.device, photo.sha256, photo.path, photo.format):
                continue
            if other.sha256 == photo.sha256:
                raise KnownPhoto(f"{photo.path} ({photo.device}, {shot})", other.key, other.name, other.path)
            raise CorpusError(
                f"{photo.path} ({photo.device}, {shot}) clashes with {other.path} ({other.name}, {other.key})",
                "a shot holds one photo of each device and format",
            )
        upsert(
            connection,
            Photo,
            ["shot_id", "device_id", "format"],
            [row_of(photo, "device", shot_id=shot_id, device_id=device_id)],
        )
    mark(connection, shot_id, prefer)


def retire(connection: Connection, patch_ids: Sequence[int]) -> None:
    """Remove patches, or keep those that a snapshot holds out of use."""
    if not patch_ids:
        return
    rows = [{"gone": patch_id} for patch_id in patch_ids]
    frozen = exists().where(SnapshotPatch.patch_id == Patch.id)
    connection.execute(delete(Patch).where(Patch.id == bindparam("gone"), ~frozen), rows)
    connection.execute(update(Patch).where(Patch.id == bindparam("gone")).values(keep=False, reason="superseded"), rows)


def frozen(connection: Connection, members: Members, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of a list, written if it is new: the same list is the same snapshot."""
    if connection.execute(select(SnapshotRow.id).filter_by(hash=snapshot.hash)).first() is None:
        freeze(connection, members, snapshot)
    row = connection.execute(select(SnapshotRow.__table__).filter_by(hash=snapshot.hash)).one()
    return Snapshot(row.hash, row.phone, row.split, row.patches, row.created_ns)


def freeze(connection: Connection, members: Members, snapshot: Snapshot) -> None:
    """Write a snapshot and its list."""
    upsert(connection, SnapshotRow, ["hash"], [row_of(snapshot)])
    snapshot_id = id_of(connection, SnapshotRow, "hash", snapshot.hash)
    rows = [
        {"snapshot_id": snapshot_id, "position": position, "patch_id": patch_id}
        for position, patch_id in enumerate(members.ids)
    ]
    connection.execute(insert(SnapshotPatch), rows)
