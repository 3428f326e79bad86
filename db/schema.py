"""The tables of the corpus, but for those of training in schema_runs.py.

    device   photo ── alignment ── patch ── snapshot_patch ── snapshot ── run      score
    session ── shot ── split                  shard                                decision
    session ── lens ── device

Ids are private to the database; everything outside names a row by its key: a shot by "SESSION/NUMBER", a photo by
its SHA-256, an alignment or a patch by the hash of what it was made from. Columns ending in `_ns` are nanoseconds of
the host's wall clock. Paths are relative to the workspace, with forward slashes. A change here needs a new file in
migrations/versions; a test compares the two.
"""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, MetaData, UniqueConstraint, true
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dpedkit.types import Json

Id = Annotated[int, mapped_column(primary_key=True)]
Ns = Annotated[int, mapped_column(BigInteger)]
Name = Annotated[str, mapped_column(unique=True)]


class Base(DeclarativeBase):
    """What all tables share: constraint names that later migrations can rely on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {Json: JSON, list[str]: JSON, float: Double}  # noqa: RUF012  (SQLAlchemy's own attribute)


class Device(Base):
    """A camera. `role` is "dslr" or "phone"."""

    __tablename__ = "device"
    id: Mapped[Id]
    name: Mapped[Name]
    role: Mapped[str]
    model: Mapped[str]
    serial: Mapped[str]


class Session(Base):
    """One run of the capture command, or one import."""

    __tablename__ = "session"
    id: Mapped[Id]
    name: Mapped[Name]
    rig: Mapped[str]
    started_ns: Mapped[Ns]
    settings: Mapped[Json]


class Shot(Base):
    """One firing of the rig. `skew_ns` is the largest shutter-time difference, known to +- `skew_bound_ns`.

    flags     short words, such as "skew"
    devices   device name -> what was known of it when it was fired, in the capture stage's own terms
    retry_of  key of the shot it repeats
    """

    __tablename__ = "shot"
    id: Mapped[Id]
    key: Mapped[Name]
    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"), index=True)
    number: Mapped[int]
    scene: Mapped[str]
    scheduled_ns: Mapped[Ns | None]
    status: Mapped[str]
    reason: Mapped[str]
    skew_ns: Mapped[Ns | None]
    skew_bound_ns: Mapped[Ns | None]
    flags: Mapped[list[str]]
    devices: Mapped[Json]
    retry_of: Mapped[str | None]


class Photo(Base):
    """A file a camera gave us, never rewritten; a shot may hold several of one device, each in its own format.

    format      the file's ending, lower case without the dot
    taken_at    its EXIF time as text
    release_ns  when the release command took effect
    latitude    degrees, north and east positive
    sharpness   this and what follows are `dpedkit.measures`; `measured` says by which version, None: not measured yet
    clipped     share of pixels
    noise       standard deviation of one pixel, grey levels
    mean_red    mean of the picture in linear light, 0 to 1
    phash       perceptual hash, 64 bits as hex digits
    picture     whether it is the one of its device and shot that pairs are made of
    """

    __tablename__ = "photo"
    __table_args__ = (UniqueConstraint("shot_id", "device_id", "format"),)
    id: Mapped[Id]
    shot_id: Mapped[int] = mapped_column(ForeignKey("shot.id"))
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"), index=True)
    sha256: Mapped[Name]
    path: Mapped[Name]
    format: Mapped[str]
    size_bytes: Mapped[Ns]
    width: Mapped[int | None]
    height: Mapped[int | None]
    device_path: Mapped[str]
    taken_at: Mapped[str]
    exposure_s: Mapped[float | None]
    f_number: Mapped[float | None]
    iso: Mapped[float | None]
    white_balance: Mapped[str | None]
    focus_m: Mapped[float | None]
    release_ns: Mapped[Ns | None]
    shutter_ns: Mapped[Ns | None]
    shutter_bound_ns: Mapped[Ns | None]
    sharpness: Mapped[float | None]
    clipped: Mapped[float | None]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    noise: Mapped[float | None]
    mean_red: Mapped[float | None]
    mean_green: Mapped[float | None]
    mean_blue: Mapped[float | None]
    phash: Mapped[str | None]
    measured: Mapped[str | None]
    picture: Mapped[bool] = mapped_column(server_default=true())


class Alignment(Base):
    """What the aligner found for one pair of photos; of a pair's alignments only the newest is `current`.

    mode           "field": the DSLR's photo on the phone's pixels; "paper": the published method
    trusted_share  share of the textured overlap where the map can be trusted
    patches_key    what its patches were cut with; None: not cut yet
    gates          NAME@VERSION#HASH of the policy whose verdict its patches carry; None: not judged by one
    tone           what was done to the DSLR's tone when its patches were cut, in the cutter's own terms
    gain_red       DSLR over phone, linear light, where both show the same
    sharpness_ratio  DSLR over phone, at the phone's scale, where both show the same
    measured       by which version of the measures those were found; None: not measured yet
    """

    __tablename__ = "alignment"
    id: Mapped[Id]
    key: Mapped[Name]
    phone_photo_id: Mapped[int] = mapped_column(ForeignKey("photo.id"), index=True)
    dslr_photo_id: Mapped[int] = mapped_column(ForeignKey("photo.id"), index=True)
    current: Mapped[bool]
    version: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str]
    model: Mapped[Json]
    residual_px: Mapped[float | None]
    residual_p95_px: Mapped[float | None]
    inliers: Mapped[int | None]
    overlap: Mapped[float | None]
    mode: Mapped[str] = mapped_column(server_default="field")
    trusted_share: Mapped[float | None]
    patches_key: Mapped[str | None]
    gates: Mapped[str | None]
    tone: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))
    gain_red: Mapped[float | None]
    gain_green: Mapped[float | None]
    gain_blue: Mapped[float | None]
    sharpness_ratio: Mapped[float | None]
    measured: Mapped[str | None]


class Lens(Base):
    """What the pairs of one session told of the lenses of a phone and a DSLR, in the aligner's own terms."""

    __tablename__ = "lens"
    __table_args__ = (UniqueConstraint("session_id", "phone_id", "dslr_id"),)
    id: Mapped[Id]
    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"))
    phone_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    dslr_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    terms: Mapped[Json]
    pairs: Mapped[int]
    created_ns: Mapped[Ns]


class Shard(Base):
    """A file of patches, named by its content, in the workspace's patches/ folder."""

    __tablename__ = "shard"
    id: Mapped[Id]
    name: Mapped[Name]


class Patch(Base):
    """One matched pair of squares, its scores, and where its pixels lie. `keep` is the gates' verdict.

    match  how the DSLR's tone was brought to the phone's before it was cut: "none", "gain", "curve"
    """

    __tablename__ = "patch"
    id: Mapped[Id]
    key: Mapped[Name]
    alignment_id: Mapped[int] = mapped_column(ForeignKey("alignment.id"), index=True)
    shard_id: Mapped[int] = mapped_column(ForeignKey("shard.id"), index=True)
    row: Mapped[int]
    x: Mapped[int]
    y: Mapped[int]
    size: Mapped[int]
    ncc: Mapped[float | None]
    crlb_px: Mapped[float | None]
    shift_px: Mapped[float | None]
    shift_x_px: Mapped[float | None]
    shift_y_px: Mapped[float | None]
    rotation_deg: Mapped[float | None]
    local_shift_px: Mapped[float | None]
    gain_red: Mapped[float | None]
    gain_green: Mapped[float | None]
    gain_blue: Mapped[float | None]
    offset_red: Mapped[float | None]
    offset_green: Mapped[float | None]
    offset_blue: Mapped[float | None]
    sharpness_phone: Mapped[float | None]
    sharpness_dslr: Mapped[float | None]
    clipped: Mapped[float | None]
    std: Mapped[float | None]
    confidence: Mapped[float | None]
    match: Mapped[str] = mapped_column(server_default="none")
    keep: Mapped[bool]
    reason: Mapped[str]


class Split(Base):
    """Which split a shot belongs to, for good. `seed` is the seed that put it there; -1: it came with its data."""

    __tablename__ = "split"
    shot_id: Mapped[int] = mapped_column(ForeignKey("shot.id"), primary_key=True)
    split: Mapped[str]
    seed: Mapped[Ns]


class Decision(Base):
    """What a person or a rule decided; the last one of a topic holds, none is erased.

    kind     "shot", "pair" or "patch"
    key      the shot's or patch's key; a pair's is SHOT:PHONE
    topic    "verdict", or "tag:NAME"
    verdict  "accept", "reject" or "" (undecided); of a tag "on" or ""
    batch    number of those that were made together, and are undone together
    undoes   the batch that this one undid
    restores id of the decision that holds again, where one was undone
    current  whether it is the last one of its kind, key and topic
    """

    __tablename__ = "decision"
    __table_args__ = (Index(None, "kind", "key"), Index(None, "batch"))
    id: Mapped[Id]
    kind: Mapped[str]
    key: Mapped[str]
    topic: Mapped[str] = mapped_column(server_default="verdict")
    verdict: Mapped[str]
    who: Mapped[str]
    why: Mapped[str]
    batch: Mapped[int] = mapped_column(server_default="0")
    undoes: Mapped[int | None]
    restores: Mapped[int | None]
    current: Mapped[bool] = mapped_column(server_default=true())
    decided_ns: Mapped[Ns]
