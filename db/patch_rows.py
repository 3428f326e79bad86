"""The patches that a query names, half a million of them in seconds.

What the patches of a pair share is found once for all of them: in the database, a patch costs one look-up by number;
here, text is repeated by number, too. To have the database hand it over with every patch takes several times longer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sqlalchemy import Connection, func, select

from dpedkit.db import queries
from dpedkit.db.decisions import not_rejected, read_held, verdict_of
from dpedkit.db.filters import Fields, condition
from dpedkit.db.frames import read_frame
from dpedkit.db.schema import Patch, Shard
from dpedkit.db.selecting import Rows, columns_of
from dpedkit.types import I64

_FIRST = ("patch", "alignment", "shot", "session", "scene", "split", "phone", "dslr", "shard")
_SHARED = ("residual_px", "residual_p95_px", "inliers", "overlap", "trusted_share", "sharpness_ratio", "gates")
_VERDICTS = ("verdict", "pair_verdict", "shot_verdict", "used")


def patch_rows() -> Rows:
    """Return the query of the patches of all current alignments, and what may be asked of them."""
    shared = queries.aligned().cte("aligned").prefix_with("MATERIALIZED")
    statement = queries.patches().join(shared, shared.c.alignment_id == Patch.alignment_id)
    own = {name: column for name, column in columns_of(statement).items() if not name.endswith("_id")}
    columns = {name: shared.c[name] for name in (*_FIRST, *_SHARED) if name in shared.c} | own
    columns |= {
        "verdict": verdict_of("patch", Patch.key),
        "pair_verdict": verdict_of("pair", shared.c.pair),
        "shot_verdict": verdict_of("shot", shared.c.shot),
        "used": Patch.keep & not_rejected(Patch.key, shared.c.pair, shared.c.shot),
    }
    return statement, Fields(columns, "patch", Patch.key)


def count_patches(connection: Connection, where: str) -> int:
    """Return how many patches a query finds.

    Raises:
        QueryError: it cannot be read or asks for what is not there.
    """
    return sum(_counts(connection, where).values())


def read_patches(connection: Connection, where: str, limit: int | None = None, offset: int = 0) -> pd.DataFrame:
    """Return the patches that a query finds, as `Corpus.patches` documents; raises as `count_patches` does."""
    statement, fields = patch_rows()
    if where.strip():
        statement = statement.where(condition(where, fields))
    pairs = read_frame(connection, queries.aligned()).sort_values(["shot", "phone", "dslr"], ignore_index=True)
    before = 0
    if limit is not None or offset:
        counts = _counts(connection, where)
        alignments = [number for number in pairs["alignment_id"].tolist() if number in counts]
        ends = np.cumsum([counts[number] for number in alignments], dtype=np.int64)
        first = int(np.searchsorted(ends, offset, side="right"))
        last = None if limit is None else int(np.searchsorted(ends, offset + limit)) + 1
        before = int(ends[first - 1]) if first else 0
        statement = statement.where(Patch.alignment_id.in_(alignments[first:last]))
    whole = _joined(connection, read_frame(connection, statement), pairs)
    end = None if limit is None else offset - before + limit
    return whole.iloc[offset - before : end].reset_index(drop=True)


def _counts(connection: Connection, where: str) -> Mapping[int, int]:
    """Return how many patches of each alignment a query finds, by the alignment's id."""
    statement, fields = patch_rows()
    counted = statement.with_only_columns(Patch.alignment_id, func.count()).group_by(Patch.alignment_id)
    if where.strip():
        counted = counted.where(condition(where, fields))
    return {int(alignment_id): int(count) for alignment_id, count in connection.execute(counted)}


def _joined(connection: Connection, found: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Give patches the columns of their pairs and shards, in order of `pairs` and of their places in the shards."""
    shards = read_frame(connection, select(Shard.id.label("shard_id"), Shard.name.label("shard")).order_by(Shard.name))
    pair_at = _places(pairs["alignment_id"], found["alignment_id"])
    shard_at = _places(shards["shard_id"], found["shard_id"])
    order = np.lexsort((found["row"], shard_at, pair_at))
    is_in_order = bool((order[1:] > order[:-1]).all())  # as cut: the usual case
    own = found if is_in_order else found.take(order).reset_index(drop=True)
    wanted = [name for name in ("pair", *_FIRST, *_SHARED) if name in pairs]
    shared = pairs[wanted].take(pair_at[order]).reset_index(drop=True)
    shared["shard"] = shards["shard"].take(shard_at[order]).reset_index(drop=True)
    columns = {str(name): shared[name] for name in shared} | {str(name): own[name] for name in own}
    held = {
        kind: {key: verdict for key, (verdict, _) in read_held(connection, kind).items() if verdict}
        for kind in ("patch", "pair", "shot")
    }
    rejected = pd.Series(data=False, index=own.index)
    for name, kind in zip(_VERDICTS, held, strict=False):
        columns[name] = columns[kind].map(held[kind]) if held[kind] else pd.Series(index=own.index, dtype=object)
        columns[name] = columns[name].astype("str")
        rejected |= columns[name] == "reject"
    columns["used"] = own["keep"] & ~rejected
    scores = [str(name) for name in own if name not in ("patch", "alignment_id", "shard_id")]
    return pd.DataFrame({name: columns[name] for name in (*_FIRST, *scores, *_SHARED, *_VERDICTS)})


def _places(ids: pd.Series[int], wanted: pd.Series[int]) -> I64:
    """Return where each of `wanted` stands in `ids`."""
    places = np.zeros(int(ids.max()) + 1 if len(ids) else 0, dtype=np.int64)
    places[ids.to_numpy()] = np.arange(len(ids))
    found: I64 = places[wanted.to_numpy()]
    return found
