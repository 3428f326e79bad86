"""Which rows of shards are of use, and how they come to lie elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import ColumnElement, Engine, bindparam, delete, exists, func, or_, select, update

from dpedkit.db.engine import make_engine, reading, writing
from dpedkit.db.rows import id_of
from dpedkit.db.schema import Alignment, Patch, Shard
from dpedkit.db.schema_runs import SnapshotPatch
from dpedkit.db.upsert import upsert


class ShardRows:
    """The rows of shards that are of use: those of patches of current alignments, and all that a snapshot holds.

    What gates or people turned away is of use, too: they may change their minds.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def used(self) -> dict[str, list[int]]:
        """Return the rows of each shard that the index names, oldest shard first, rows in order; some have none."""
        with reading(self._engine) as connection:
            shards = connection.execute(select(Shard.id, Shard.name).order_by(Shard.id)).all()
            rows: dict[int, list[int]] = {shard_id: [] for shard_id, _ in shards}
            of_use = select(Patch.shard_id, Patch.row).distinct().where(_of_use()).order_by(Patch.shard_id, Patch.row)
            for shard_id, row in connection.execute(of_use):
                rows[shard_id].append(row)
        return {name: rows[shard_id] for shard_id, name in shards}

    def useless(self) -> int:
        """Return how many patches are of no use."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(Patch).where(~_of_use())).scalar_one()

    def forget(self) -> int:
        """Remove the patches that are of no use, and return how many.

        Their pairs are cut again if ever those alignments become current again.
        """
        with writing(self._engine) as connection:
            old = select(Patch.alignment_id).where(~_of_use())
            connection.execute(update(Alignment).where(Alignment.id.in_(old)).values(patches_key=None))
            return connection.execute(delete(Patch).where(~_of_use())).rowcount

    def move(self, places: Mapping[tuple[str, int], int], shard: str) -> None:
        """Say that the pixels of rows lie in `shard` now, all at once.

        places  (shard, row) as it was -> row in the new shard
        """
        with writing(self._engine) as connection:
            upsert(connection, Shard, ["name"], [{"name": shard}])
            new_id = id_of(connection, Shard, "name", shard)
            old_ids = {name: id_of(connection, Shard, "name", name) for name in {name for name, _ in places}}
            rows = connection.execute(
                select(Patch.id, Patch.shard_id, Patch.row).where(Patch.shard_id.in_(old_ids.values()))
            ).all()
            new_row = {(old_ids[name], row): new for (name, row), new in places.items()}
            moved = [
                {"which": patch_id, "to": new_row[shard_id, row]}
                for patch_id, shard_id, row in rows
                if (shard_id, row) in new_row
            ]
            if moved:
                move = update(Patch).where(Patch.id == bindparam("which"))
                connection.execute(move.values(shard_id=new_id, row=bindparam("to")), moved)

    def drop_empty(self) -> set[str]:
        """Remove the shards that no patch lies in from the index; return those that it still names."""
        with writing(self._engine) as connection:
            connection.execute(delete(Shard).where(~exists().where(Patch.shard_id == Shard.id)))
            return set(connection.execute(select(Shard.name)).scalars())


@contextmanager
def shard_rows(root: Path, url: str) -> Iterator[ShardRows]:
    """Open the index of the workspace `root`, which must be of this version's schema; raises as `read_index` does."""
    engine = make_engine(url, root)
    try:
        yield ShardRows(engine)
    finally:
        engine.dispose()


def _of_use() -> ColumnElement[bool]:
    current = exists().where(Alignment.id == Patch.alignment_id, Alignment.current)
    return or_(current, exists().where(SnapshotPatch.patch_id == Patch.id))
