"""What was decided: conditions over the current decisions, and how new ones take their place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    SQLColumnExpression,
    String,
    and_,
    bindparam,
    func,
    insert,
    not_,
    select,
    true,
    update,
)
from sqlalchemy.orm import aliased

from dpedkit.db.frames import Query
from dpedkit.db.records import Conflict, Decided
from dpedkit.db.schema import Decision
from dpedkit.errors import CorpusError
from dpedkit.types import Json

Key: TypeAlias = "SQLColumnExpression[str]"


class Keyed(Protocol):
    """A row, as decisions know it: the column of its key, or what else tells whether that is among some."""

    def in_(self, keys: Query, /) -> ColumnElement[bool]:
        """Whether a query of keys returns its own."""


VERDICT = "verdict"
TAG = "tag:"
RULE = "rule "
"""How the name of a rule begins, where a person's name would stand."""


def pair_key(shot: Key, phone: Key) -> ColumnElement[str]:
    """Return the key by which decisions know a pair: SHOT:PHONE."""
    return shot.concat(":").concat(phone)


def not_rejected(**keys: Keyed) -> ColumnElement[bool]:
    """Whether none of these is rejected: kind -> key, as in `not_rejected(shot=Shot.key)`."""
    return and_(*(not_(key.in_(decided(kind, "reject"))) for kind, key in keys.items()))


def held(verdict: Key) -> ColumnElement[str]:
    """Return a verdict that may be nothing: undecided."""
    return func.nullif(verdict, "", type_=String)


def verdict_of(kind: str, key: Key) -> ColumnElement[str]:
    """Return what holds for a row: "accept", "reject", or nothing."""
    found = aliased(Decision)
    return (
        select(held(found.verdict))
        .where(found.kind == kind, found.key == key, found.topic == VERDICT, found.current)
        .scalar_subquery()
    )


def read_held(connection: Connection, kind: str, tag: str = "") -> dict[str, tuple[str, str]]:
    """Return the decisions that hold for rows of this kind, on a tag or else the verdict: key -> verdict, who."""
    rows = connection.execute(_current(kind, TAG + tag if tag else VERDICT))
    return {row.key: (row.verdict, row.who) for row in rows}


def digest_of_decisions(connection: Connection) -> Json:
    """Return what stands for all verdicts that hold: how many, and the SHA-256 over them."""
    rows = connection.execute(
        select(Decision.kind, Decision.key, Decision.verdict).where(
            Decision.topic == VERDICT, Decision.current, Decision.verdict != ""
        )
    )
    listing = sorted(f"{kind} {key} {verdict}\n" for kind, key, verdict in rows)
    return {"verdicts": len(listing), "sha256": hashlib.sha256("".join(listing).encode()).hexdigest()}


def has_tag(kind: str, key: Keyed, tag: str) -> ColumnElement[bool]:
    """Whether a row has a tag."""
    return _tagged(kind, key, Decision.topic == TAG + tag)


def has_tags(kind: str, key: Keyed, like: str = "%") -> ColumnElement[bool]:
    r"""Whether a row has a tag that looks like a pattern of SQL in lower case, its \ before signs that are meant."""
    return _tagged(kind, key, func.lower(Decision.topic).like(TAG + like, escape="\\"))


def read_tags(connection: Connection, kind: str) -> dict[str, list[str]]:
    """Return the tags of rows of this kind: key -> its tags, sorted."""
    on = (Decision.kind == kind) & (Decision.verdict == "on") & Decision.current & Decision.topic.like(TAG + "%")
    found: dict[str, list[str]] = {}
    for key, topic in connection.execute(select(Decision.key, Decision.topic).where(on).order_by(Decision.topic)):
        found.setdefault(key, []).append(topic.removeprefix(TAG))
    return found


def _tagged(kind: str, key: Keyed, topic: ColumnElement[bool]) -> ColumnElement[bool]:
    on = (Decision.kind == kind) & (Decision.verdict == "on") & Decision.current
    return key.in_(select(Decision.key).where(on, topic))


def decided(kind: str, verdict: str) -> Query:
    """Return the keys of rows of this kind for which a verdict holds."""
    found = (Decision.kind == kind) & (Decision.topic == VERDICT) & (Decision.verdict == verdict)
    return select(Decision.key).where(found, Decision.current)


def decide(
    connection: Connection,
    kind: str,
    topic: str,
    verdicts: Mapping[str, str],
    *,
    who: str,
    why: str,
    now_ns: int,
    over_people: bool,
    seen: Mapping[str, int] | None,
) -> Decided:
    """Write decisions as one batch; see `Store.decide`."""
    now = {row.key: row for row in connection.execute(_current(kind, topic))}
    conflicts = [
        Conflict(key, now[key].verdict, now[key].who) if key in now else Conflict(key, "", "")
        for key, known in (seen or {}).items()
        if (now[key].id if key in now else 0) != known
    ]
    barred = {conflict.key for conflict in conflicts}
    by_people = 0
    wanted: dict[str, str] = {}
    for key, verdict in verdicts.items():
        before = now.get(key)
        if key in barred or verdict == (before.verdict if before else ""):
            continue
        if who.startswith(RULE) and not over_people and before and not before.who.startswith(RULE):
            by_people += 1
            continue
        wanted[key] = verdict
    rows = [(kind, key, topic, verdict, None) for key, verdict in wanted.items()]
    batch = _write(connection, rows, who, why, now_ns)
    return Decided(batch, len(wanted), by_people, tuple(conflicts))


def undo(connection: Connection, batch: int | None, *, who: str, now_ns: int) -> Decided:
    """Restore what held before a batch; see `Store.undo`."""
    if batch is None:
        undone = select(Decision.undoes).where(Decision.undoes.is_not(None))
        last = select(func.max(Decision.batch)).where(Decision.undoes.is_(None), Decision.batch.not_in(undone))
        batch = connection.execute(last).scalar()
    remedy = "`dpedkit curate --history` lists what was decided"
    if batch is None:
        raise CorpusError("no decision is left to undo", remedy)
    made = connection.execute(select(func.count()).select_from(Decision).filter_by(batch=batch)).scalar_one()
    if not made:
        raise CorpusError(f"there is no batch {batch}", remedy)
    rows = [tuple(row) for row in connection.execute(_before(batch))]
    made_again = _write(connection, rows, who, f"undo of batch {batch}", now_ns, undoes=batch)
    return Decided(made_again, len(rows), 0, (), int(made) - len(rows))


def _before(batch: int) -> Query:
    """Return what held before a batch where the batch holds now, itself or restored, as rows for `_write`."""
    mine, now, earlier = aliased(Decision), aliased(Decision), aliased(Decision)
    last = (
        select(func.max(earlier.id))
        .where(earlier.kind == mine.kind, earlier.key == mine.key, earlier.topic == mine.topic, earlier.id < mine.id)
        .scalar_subquery()
    )
    before = aliased(Decision)
    return (
        select(
            mine.kind,
            mine.key,
            mine.topic,
            func.coalesce(before.verdict, "").label("verdict"),
            func.coalesce(before.restores, before.id).label("restores"),
        )
        .join(now, (now.kind == mine.kind) & (now.key == mine.key) & (now.topic == mine.topic) & now.current)
        .outerjoin(before, before.id == last)
        .where(mine.batch == batch, (now.id == mine.id) | (now.restores == mine.id))
    )


def _current(kind: str, topic: str) -> Query:
    columns = (Decision.id, Decision.key, Decision.verdict, Decision.who)
    return select(*columns).where(Decision.kind == kind, Decision.topic == topic, Decision.current)


def _write(
    connection: Connection,
    rows: Sequence[tuple[Any, ...]],
    who: str,
    why: str,
    now_ns: int,
    undoes: int | None = None,
) -> int:
    """Make rows (kind, key, topic, verdict, restores) current, as one batch, and return its number; 0: no rows."""
    if not rows:
        return 0
    batch = int(connection.execute(select(func.coalesce(func.max(Decision.batch), 0))).scalar_one()) + 1
    names = ("which_kind", "which", "about")
    replaced = update(Decision).where(
        Decision.kind == bindparam("which_kind"),
        Decision.key == bindparam("which"),
        Decision.topic == bindparam("about"),
        Decision.current == true(),
    )
    connection.execute(replaced.values(current=False), [dict(zip(names, row[:3], strict=True)) for row in rows])
    shared = {"who": who, "why": why, "batch": batch, "undoes": undoes, "current": True, "decided_ns": now_ns}
    columns = ("kind", "key", "topic", "verdict", "restores")
    connection.execute(insert(Decision), [dict(zip(columns, row, strict=True)) | shared for row in rows])
    return batch
