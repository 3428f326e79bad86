"""The queries behind the DataFrames of `Corpus`, which documents their columns."""

from __future__ import annotations

from sqlalchemy import ColumnElement, SQLColumnExpression, case, func, select
from sqlalchemy.orm import aliased

from dpedkit.db.decisions import VERDICT, held, pair_key, verdict_of
from dpedkit.db.drift import drift, luma, milliseconds, previous_photos, stops
from dpedkit.db.frames import Query
from dpedkit.db.schema import Alignment, Decision, Device, Lens, Patch, Photo, Session, Shard, Shot, Split
from dpedkit.db.schema_runs import Run, Score

_phone, _dslr = aliased(Photo, name="phone_photo"), aliased(Photo, name="dslr_photo")

_phone_device, _dslr_device = aliased(Device, name="phone"), aliased(Device, name="dslr")
_decision = aliased(Decision, name="pair_decision")
PAIR_KEY = pair_key(Shot.key, _phone_device.name)
PAIR_IDS = (_phone.id, _dslr.id)
_PAIR = (
    Shot.key.label("shot"),
    Session.name.label("session"),
    Shot.scene,
    Split.split,
    _phone_device.name.label("phone"),
    _dslr_device.name.label("dslr"),
    _phone.path.label("phone_path"),
    _dslr.path.label("dslr_path"),
    _phone.sha256.label("phone_sha256"),
    _dslr.sha256.label("dslr_sha256"),
    Alignment.key.label("alignment"),
    Alignment.version,
    func.coalesce(Alignment.status, "new").label("status"),
    func.coalesce(Alignment.reason, "").label("reason"),
    Alignment.residual_px,
    Alignment.residual_p95_px,
    Alignment.inliers,
    Alignment.overlap,
    Alignment.mode,
    Alignment.trusted_share,
    Alignment.patches_key,
    Alignment.gates,
    Alignment.tone,
    Alignment.gain_red,
    Alignment.gain_green,
    Alignment.gain_blue,
    Alignment.sharpness_ratio,
)


SHARED = (
    *("alignment", "shot", "session", "scene", "split", "phone", "dslr"),
    *("residual_px", "residual_p95_px", "inliers", "overlap", "trusted_share", "sharpness_ratio", "gates"),
)
"""The columns of a pair that its patches have, too."""


def is_picture(photo: type[Photo]) -> ColumnElement[bool]:
    """Whether a photo is the one of its device and shot that stands for it in a pair; see `dpedkit.db.pictures`."""
    return photo.picture.expression


def sessions() -> Query:
    """Return every session."""
    return select(Session.name.label("session"), Session.rig, Session.started_ns, Session.settings).order_by(
        Session.started_ns, Session.id
    )


def shots() -> Query:
    """Return every shot with its session and split."""
    return (
        select(
            Shot.key.label("shot"),
            Session.name.label("session"),
            Shot.number,
            Shot.scene,
            Shot.scheduled_ns,
            Shot.status,
            Shot.reason,
            Shot.skew_ns,
            Shot.skew_bound_ns,
            Shot.flags,
            Shot.devices,
            Shot.retry_of,
            Split.split,
        )
        .join_from(Shot, Session)
        .outerjoin(Split)
        .order_by(Shot.key)
    )


def photos() -> Query:
    """Return every photo with its shot, device and split."""
    own = [column for column in Photo.__table__.c if column.name not in ("id", "shot_id", "device_id")]
    previous = previous_photos()
    return (
        select(
            Shot.key.label("shot"),
            Device.name.label("device"),
            Device.role,
            Split.split,
            *own,
            *drift(previous),
        )
        .join_from(Photo, Shot)
        .join(Device)
        .join(previous, previous.c.id == Photo.id)
        .outerjoin(Split, Split.shot_id == Shot.id)
        .order_by(Shot.key, Device.name, Photo.format)
    )


def pairs() -> Query:
    """Return every phone and DSLR picture of the same shot, with their current alignment and its patches."""
    columns = (
        *_PAIR,
        stops(luma(Alignment.gain_red, Alignment.gain_green, Alignment.gain_blue)).label("gain_ev"),
        Alignment.measured,
        milliseconds(_phone.shutter_ns - _dslr.shutter_ns).label("skew_ms"),
        _phone.sharpness.label("sharpness_phone"),
        _dslr.sharpness.label("sharpness_dslr"),
        _of_its_patches(func.count()).label("patches"),
        _of_its_patches(func.count(), Patch.keep).label("kept"),
        _shard_of_a_pair().label("shard"),
        func.coalesce(_decision.id, 0).label("decision"),
        held(_decision.verdict).label("verdict"),
        _decision.who.label("decided_by"),
        _decision.why.label("decided_why"),
        verdict_of("shot", Shot.key).label("shot_verdict"),
    )
    return (
        _paired(select(*columns), outer=True)
        .outerjoin(
            _decision,
            (_decision.kind == "pair") & (_decision.key == PAIR_KEY) & (_decision.topic == VERDICT) & _decision.current,
        )
        .order_by(Shot.key, _phone_device.name, _dslr_device.name)
    )


def _of_its_patches(what: ColumnElement[int], *which: SQLColumnExpression[bool]) -> ColumnElement[int]:
    """Return what is asked of the patches of one pair: a page of pairs is not made to wait for those of all."""
    asked = select(what).select_from(Patch).where(Patch.alignment_id == Alignment.id, in_use(), *which)
    return asked.correlate(Alignment).scalar_subquery()


def _shard_of_a_pair() -> ColumnElement[str]:
    return select(Shard.name).where(Shard.id == _of_its_patches(func.min(Patch.shard_id))).scalar_subquery()


def aligned() -> Query:
    """Return what the patches of each current alignment share with it, its `alignment_id`, and `pair`, its key."""
    shared = [column for column in _PAIR if column.key in SHARED]
    return _paired(select(Alignment.id.label("alignment_id"), PAIR_KEY.label("pair"), *shared), outer=False)


def patches() -> Query:
    """Return every patch in use, with the ids of its alignment and shard."""
    own = [column for column in Patch.__table__.c if column.name not in ("id", "key")]
    return select(Patch.key.label("patch"), *own).where(in_use())


def in_use() -> ColumnElement[bool]:
    """Whether a patch is one of its alignment's: not one that only a snapshot holds."""
    return Patch.reason != "superseded"


def _paired(columns: Query, *, outer: bool) -> Query:
    """Join what makes a pair: two pictures of a shot and their alignment, if they have one or only where they do."""
    return (
        columns.join_from(
            _phone, _phone_device, (_phone.device_id == _phone_device.id) & (_phone_device.role == "phone")
        )
        .join(Shot, _phone.shot_id == Shot.id)
        .join(Session, Shot.session_id == Session.id)
        .join(_dslr, _dslr.shot_id == Shot.id)
        .join(_dslr_device, (_dslr.device_id == _dslr_device.id) & (_dslr_device.role == "dslr"))
        .outerjoin(Split, Split.shot_id == Shot.id)
        .join(
            Alignment,
            (Alignment.phone_photo_id == _phone.id) & (Alignment.dslr_photo_id == _dslr.id) & Alignment.current,
            isouter=outer,
        )
        .where(is_picture(_phone), is_picture(_dslr))
    )


def lenses() -> Query:
    """Return what every session told of its lenses."""
    return (
        select(
            Session.name.label("session"),
            _phone_device.name.label("phone"),
            _dslr_device.name.label("dslr"),
            Lens.terms,
            Lens.pairs,
            Lens.created_ns,
        )
        .join_from(Lens, Session)
        .join(_phone_device, Lens.phone_id == _phone_device.id)
        .join(_dslr_device, Lens.dslr_id == _dslr_device.id)
        .order_by(Session.started_ns, Session.id, _phone_device.name, _dslr_device.name)
    )


def decisions() -> Query:
    """Return every batch of decisions, a row for each verdict in it."""
    columns = (Decision.batch, Decision.who, Decision.why, Decision.kind, Decision.topic, Decision.verdict)
    return (
        select(
            Decision.batch,
            func.min(Decision.decided_ns).label("decided_ns"),
            *columns[1:],
            func.count().label("decisions"),
            func.sum(case((Decision.current, 1), else_=0)).label("current"),
            Decision.undoes,
        )
        .group_by(*columns, Decision.undoes)
        .order_by(Decision.batch, Decision.kind, Decision.topic, Decision.verdict)
    )


def runs() -> Query:
    """Return every training run."""
    return select(
        Run.name.label("run"), Run.phone, Run.recipe, Run.snapshot_hash, Run.status, Run.config, Run.created_ns
    ).order_by(Run.created_ns, Run.id)


def scores() -> Query:
    """Return every score."""
    own = [column for column in Score.__table__.c if column.name != "id"]
    return select(*own).order_by(Score.phone, Score.split, Score.protocol, Score.name)
