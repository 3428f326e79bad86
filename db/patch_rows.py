"""The patches that a query names, half a million of them in seconds.

What the patches of a pair share is found once for all of them: in the database, a patch costs one look-up by number;
here, text is repeated by number, too. To have the database hand it over with every patch takes several times longer.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sqlalchemy import CTE, ColumnElement, Connection, and_, case, func, select
from sqlalchemy.orm import aliased

from dpedkit.db import queries
from dpedkit.db.decisions import decided, not_rejected, read_held, verdict_of
from dpedkit.db.filters import Fields, condition
from dpedkit.db.frames import Query, read_frame
from dpedkit.db.schema import Alignment, Patch, Shard, Shot
from dpedkit.db.selecting import Rows, columns_of
from dpedkit.types import I64

_FIRST = ("patch", "alignment", "shot", "session", "scene", "split", "phone", "dslr", "shard")
_LAST = queries.SHARED[queries.SHARED.index("residual_px") :]
_VERDICTS = ("verdict", "pair_verdict", "shot_verdict", "used")


def patch_rows(*which: ColumnElement[bool]) -> Rows:
    """Return the query of the patches of all current alignments, or of `which`, and what may be asked of them."""
    shared = _shared(*which)
    return queries.patches().join(shared, shared.c.alignment_id == Patch.alignment_id), _fields(shared)


def read_patches(connection: Connection, where: str, alignment: str = "") -> pd.DataFrame:
    """Return the patches that a query finds, as `Corpus.patches` documents.

    Raises:
        QueryError: it cannot be read or asks for what is not there.
    """
    which = [Alignment.key == alignment] if alignment else []
    statement, fields = patch_rows(*which)
    if where.strip():
        statement = statement.where(condition(where, fields))
    pairs = _in_order(read_frame(connection, queries.aligned().where(*which)))
    return _joined(connection, read_frame(connection, statement), pairs)


def page_of_patches(connection: Connection, where: str, limit: int, offset: int = 0) -> tuple[int, pd.DataFrame]:
    """Return how many patches a query finds, and some of them; raises as `read_patches` does.

    Counted by alignment, in one pass, they tell which alignments the page is from: nothing else is read.
    """
    shared = _shared()
    fields = _fields(shared)
    wanted = [Patch.alignment_id == shared.c.alignment_id, queries.in_use()]
    if where.strip():
        wanted.append(condition(where, fields))
    counted = select(func.count()).select_from(Patch).where(*wanted).correlate(shared).scalar_subquery()
    named = (shared.c.alignment_id, shared.c.shot, shared.c.phone, shared.c.dslr)
    counts = _in_order(read_frame(connection, select(*named, counted.label("count"))))
    ends = counts["count"].to_numpy(np.int64).cumsum()
    first, last = np.searchsorted(ends, offset, side="right"), np.searchsorted(ends, offset + limit) + 1
    before = int(ends[first - 1]) if first else 0
    ids = counts["alignment_id"][first:last].tolist()
    few = _shared(Alignment.id.in_(ids))
    statement = queries.patches().join(few, few.c.alignment_id == Patch.alignment_id)
    if where.strip():
        statement = statement.where(condition(where, _fields(few)))
    pairs = _in_order(read_frame(connection, queries.aligned().where(Alignment.id.in_(ids))))
    whole = _joined(connection, read_frame(connection, statement), pairs)
    page = whole.iloc[offset - before : offset - before + limit].reset_index(drop=True)
    return int(ends[-1]) if len(ends) else 0, page


def _shared(*which: ColumnElement[bool]) -> CTE:
    """Return what the patches of alignments share, and what was decided of their pairs and shots."""
    pair, shot = queries.PAIR_KEY, Shot.key
    decided = (
        verdict_of("pair", pair).label("pair_verdict"),
        verdict_of("shot", shot).label("shot_verdict"),
        not_rejected(pair=pair, shot=shot).label("usable"),
    )
    return queries.aligned().add_columns(*decided).where(*which).cte("aligned").prefix_with("MATERIALIZED")


def _fields(shared: CTE) -> Fields:
    own = {name: column for name, column in columns_of(queries.patches()).items() if not name.endswith("_id")}
    columns = {name: shared.c[name] for name in queries.SHARED} | own
    columns |= {
        "verdict": case(*((_PATCH.in_(decided("patch", verdict)), verdict) for verdict in ("accept", "reject"))),
        "pair_verdict": shared.c.pair_verdict,
        "shot_verdict": shared.c.shot_verdict,
        "used": and_(Patch.keep, shared.c.usable, not_rejected(patch=_PATCH)),
    }
    return Fields(columns, "patch", _PATCH)


class _ByNumber:
    """A patch by its key, but looked for by number, which costs a fraction."""

    def in_(self, keys: Query, /) -> ColumnElement[bool]:
        twin = aliased(Patch)
        return Patch.id.in_(select(twin.id).where(twin.key.in_(keys)).correlate(None))


_PATCH = _ByNumber()


def _in_order(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.sort_values(["shot", "phone", "dslr"], ignore_index=True)


def _joined(connection: Connection, found: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Give patches the columns of their pairs and shards, in order of `pairs` and of their places in the shards."""
    shards = read_frame(connection, select(Shard.id.label("shard_id"), Shard.name.label("shard")).order_by(Shard.name))
    pair_at = _places(pairs["alignment_id"], found["alignment_id"])
    shard_at = _places(shards["shard_id"], found["shard_id"])
    order = np.lexsort((found["row"], shard_at, pair_at))
    is_in_order = bool((order[1:] > order[:-1]).all())  # as cut: the usual case
    own = found if is_in_order else found.take(order).reset_index(drop=True)
    shared = pairs.take(pair_at[order]).reset_index(drop=True)
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
    return pd.DataFrame({name: columns[name] for name in (*_FIRST, *scores, *_LAST, *_VERDICTS)})


def _places(ids: pd.Series[int], wanted: pd.Series[int]) -> I64:
    """Return where each of `wanted` stands in `ids`."""
    places = np.zeros(int(ids.max()) + 1 if len(ids) else 0, dtype=np.int64)
    places[ids.to_numpy()] = np.arange(len(ids))
    found: I64 = places[wanted.to_numpy()]
    return found
