"""What the index says must be there, and where it contradicts itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from dpedkit.db.engine import make_engine, reading
from dpedkit.db.schema import Decision, Patch, Photo, Shard, Shot
from dpedkit.db.schema_runs import Snapshot, SnapshotPatch


@dataclass(frozen=True, slots=True)
class Index:
    """What the index holds.

    photos   path relative to the workspace -> (SHA-256, size in bytes)
    shards   file name -> how many rows it must have at least; 0: no patch lies in it
    broken   what contradicts itself, a line each
    adrift   decisions on what is not there any more, by kind; they do no harm
    """

    photos: dict[str, tuple[str, int]]
    shards: dict[str, int]
    broken: list[str]
    adrift: dict[str, list[str]]


def read_index(root: Path, url: str) -> Index:
    """Read the index of the workspace `root`, which must be of this version's schema.

    Raises:
        CorpusError: the database is not sound enough to be read.
        StorageError: it cannot be reached.
    """
    engine = make_engine(url, root)
    try:
        with reading(engine) as connection:
            wanted = (
                select(Shard.name, func.coalesce(func.max(Patch.row), -1) + 1)
                .outerjoin(Patch, Patch.shard_id == Shard.id)
                .group_by(Shard.name)
            )
            photos = connection.execute(select(Photo.path, Photo.sha256, Photo.size_bytes))
            return Index(
                photos={path: (sha256, size_bytes) for path, sha256, size_bytes in photos},
                shards={name: int(rows) for name, rows in connection.execute(wanted)},
                broken=_contradictions(connection) + _lists(connection),
                adrift=_adrift(connection),
            )
    finally:
        engine.dispose()


def _contradictions(connection: Connection) -> list[str]:
    """Return what SQLite finds wrong with its file; PostgreSQL watches references all the time."""
    if connection.dialect.name != "sqlite":
        return []
    found = [str(line) for (line,) in connection.exec_driver_sql("PRAGMA integrity_check") if line != "ok"]
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        found.append(f"row {row} of {table} names a row of {parent} that is not there")
    return found


def _lists(connection: Connection) -> list[str]:
    """Return the snapshots that do not have as many patches as they were frozen with."""
    counted = (
        select(Snapshot.hash, Snapshot.patches, func.count(SnapshotPatch.patch_id))
        .outerjoin(SnapshotPatch, SnapshotPatch.snapshot_id == Snapshot.id)
        .group_by(Snapshot.id, Snapshot.hash, Snapshot.patches)
        .order_by(Snapshot.hash)
    )
    return [
        f"snapshot {name[:12]} has {found} patches, not {frozen}"
        for name, frozen, found in connection.execute(counted)
        if found != frozen
    ]


def _adrift(connection: Connection) -> dict[str, list[str]]:
    found = {}
    for kind, known in (("shot", Shot.key), ("patch", Patch.key)):
        lost = select(Decision.key).where(Decision.kind == kind, Decision.current, Decision.key.not_in(select(known)))
        if keys := sorted({key for (key,) in connection.execute(lost)}):
            found[kind] = keys
    return found
