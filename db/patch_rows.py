"""The patches that a query names, half a million of them in seconds.

What the patches of a pair share is found once for all of them: in the database, a patch costs one look-up by number;
here, text is repeated by number, too. To have the database hand it over with every patch takes several times longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import CTE, ColumnElement, Connection, SQLColumnExpression, and_, case, func, select
from sqlalchemy.orm import aliased

from dpedkit.db import queries
from dpedkit.db.decisions import decided, not_rejected, read_held, verdict_of
from dpedkit.db.filters import Fields, condition
from dpedkit.db.frames import Query, read_frame
from dpedkit.db.schema import Alignment, Patch, Shard, Shot
from dpedkit.db.selecting import columns_of
from dpedkit.db.where import parse
from dpedkit.db.where_tree import named, set_apart
from dpedkit.types import I64

_FIRST = ("patch", "alignment", "shot", "session", "scene", "split", "phone", "dslr", "shard")
_LAST = queries.SHARED[queries.SHARED.index("residual_px") :]
_VERDICTS = ("verdict", "pair_verdict", "shot_verdict", "used")
_OF_PAIR = {*queries.SHARED, "pair_verdict", "shot_verdict"}
_IN_ORDER = ("shot", "phone", "dslr")


def patch_fields() -> Fields:
    """Return what may be asked of a patch."""
    return _fields(_of_pair())


def find_patches(where: str, *which: ColumnElement[bool]) -> Query:
    """Return the query of the patches of current alignments, or of `which`; raises as `read_patches` does."""
    shared, conditions = _asked(where, *which)
    return queries.patches().join(shared, shared.c.alignment_id == Patch.alignment_id).where(*conditions)


def read_patches(connection: Connection, where: str, alignment: str = "") -> pd.DataFrame:
    """Return the patches that a query finds, as `Corpus.patches` documents.

    Raises:
        QueryError: it cannot be read or asks for what is not there.
    """
    return _read(connection, where, *([Alignment.key == alignment] if alignment else []))


def page_of_patches(connection: Connection, where: str, limit: int, offset: int = 0) -> tuple[int, pd.DataFrame]:
    """Return how many patches a query finds, and some of them; raises as `read_patches` does.

    Counted by alignment, in one pass, they tell which alignments the page is from: nothing else is read.
    """
    shared, conditions = _asked(where)
    asked = [Patch.alignment_id == shared.c.alignment_id, queries.in_use(), *conditions]
    counted = select(func.count()).select_from(Patch).where(*asked).correlate(shared).scalar_subquery()
    columns = (shared.c.alignment_id, *(shared.c[name] for name in _IN_ORDER))
    counts = _in_order(read_frame(connection, select(*columns, counted.label("count"))))
    counts = counts[counts["count"] > 0]  # so that a page is never from more alignments than it has rows
    ends = counts["count"].to_numpy(np.int64).cumsum()
    first, last = np.searchsorted(ends, offset, side="right"), np.searchsorted(ends, offset + limit) + 1
    before = int(ends[first - 1]) if first else 0
    ids = counts["alignment_id"].iloc[first:last].tolist()
    which = [Alignment.id.in_(ids)] if len(ids) < len(counts) or not ids else []  # a database takes some thousands
    whole = _read(connection, where, *which)
    page = whole.iloc[offset - before : offset - before + limit].reset_index(drop=True)
    return int(ends[-1]) if len(ends) else 0, page


def _read(connection: Connection, where: str, *which: ColumnElement[bool]) -> pd.DataFrame:
    pairs = _in_order(read_frame(connection, queries.aligned().where(*which)))
    return _joined(connection, read_frame(connection, find_patches(where, *which)), pairs)


def _of_pair() -> Mapping[str, SQLColumnExpression[Any]]:
    """Return what the patches of an alignment share, and what was decided of their pair and shot."""
    pair, shot = queries.PAIR_KEY, Shot.key
    verdicts = (verdict_of("pair", pair).label("pair_verdict"), verdict_of("shot", shot).label("shot_verdict"))
    usable = not_rejected(pair=pair, shot=shot).label("usable")
    return columns_of(queries.aligned().add_columns(*verdicts, usable))


def _fields(of_pair: Mapping[str, SQLColumnExpression[Any]]) -> Fields:
    own = {name: column for name, column in columns_of(queries.patches()).items() if not name.endswith("_id")}
    columns = {name: of_pair[name] for name in queries.SHARED} | own
    columns |= {
        "verdict": case(*((_PATCH.in_(decided("patch", verdict)), verdict) for verdict in ("accept", "reject"))),
        "pair_verdict": of_pair["pair_verdict"],
        "shot_verdict": of_pair["shot_verdict"],
        "used": and_(Patch.keep, of_pair["usable"], not_rejected(patch=_PATCH)),
    }
    return Fields(columns, "patch", _PATCH)


def _asked(where: str, *which: ColumnElement[bool]) -> tuple[CTE, list[ColumnElement[bool]]]:
    """Return alignments with what is asked of them, once for each, and what is then asked of each of their patches."""
    of_pair = _of_pair()
    tree, parts = set_apart(parse(where), _OF_PAIR) if where.strip() else (None, {})
    wanted = {*_IN_ORDER, *(named(tree) if tree else ())}
    if "used" in wanted:
        wanted.add("usable")
    columns = {name: column for name, column in of_pair.items() if name in wanted}
    columns |= {name: condition(where, _fields(of_pair), part) for name, part in parts.items()}
    shared = (
        queries.aligned()
        .with_only_columns(
            Alignment.id.label("alignment_id"), *(column.label(name) for name, column in columns.items())
        )
        .where(*which)
        .cte("aligned")
        .prefix_with("MATERIALIZED")
    )
    if tree is None:
        return shared, []
    found = {name: shared.c[name] for name in columns}
    fields = _fields({**of_pair, **found})
    rest = replace(fields, columns={**fields.columns, **{name: found[name] for name in parts}})
    return shared, [condition(where, rest, tree)]


class _ByNumber:
    """A patch by its key, but looked for by number, which costs a fraction."""

    def in_(self, keys: Query, /) -> ColumnElement[bool]:
        twin = aliased(Patch)
        return Patch.id.in_(select(twin.id).where(twin.key.in_(keys)).correlate(None))


_PATCH = _ByNumber()


def _in_order(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs.sort_values(list(_IN_ORDER), ignore_index=True)


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
