"""What the store takes in and gives back: plain records, each field the column of the same name in schema.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from dpedkit.types import Json

SplitName = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A camera, known by its name in the rig file."""

    name: str
    role: Literal["dslr", "phone"]
    model: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One run of the capture command, or one import; `name` starts its shots' keys.

    settings  what the stage that made it wants to remember; `Store.update_session` changes it
    """

    name: str
    rig: str
    started_ns: int
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShotRecord:
    """One firing of the rig.

    key            "SESSION/NUMBER", for example "20261122-170301/0001"
    session        name of a session that was added before
    reason         why it is incomplete
    skew_ns        largest difference of shutter times, known to +- skew_bound_ns; None: not known
    flags          short words on what is odd about it, such as "skew" or "exposure sony"
    devices        device name -> what was known of it when it was fired; as JSON
    retry_of       key of the shot that it repeats, which was added before
    """

    key: str
    session: str
    number: int
    scene: str = ""
    scheduled_ns: int | None = None
    status: Literal["complete", "incomplete"] = "complete"
    reason: str = ""
    skew_ns: int | None = None
    skew_bound_ns: int | None = None
    flags: tuple[str, ...] = ()
    devices: Json = field(default_factory=dict)
    retry_of: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoRecord:
    """One photo of a shot, which may hold several of a device if each has a format of its own (RAW + JPEG).

    device         name of a device that was added before
    path           where its file lies, relative to the workspace, with forward slashes
    width, height  px; None where nobody could read it
    device_path    where it lay on the camera
    taken_at       its EXIF time, as text; "" where it has none
    white_balance  as the photo tells it
    focus_m        what it was focused at, m; infinity where it says so
    release_ns     when its release command took effect; None: not known
    shutter_ns     when its shutter opened, known to +- shutter_bound_ns; None: not known
    clipped        share of pixels, 0 to 1
    noise          this and the means and the hash are `dpedkit.measures`, as sharpness and clipped are
    measured       by which version of them; None: not measured
    latitude       where it was taken, degrees, north positive
    longitude      degrees, east positive
    format         "jpg", "cr2", ...; left out, the ending of `path` in lower case
    """

    device: str
    path: str
    sha256: str
    size_bytes: int
    width: int | None
    height: int | None
    device_path: str = ""
    taken_at: str = ""
    exposure_s: float | None = None
    f_number: float | None = None
    iso: float | None = None
    white_balance: str | None = None
    focus_m: float | None = None
    release_ns: int | None = None
    shutter_ns: int | None = None
    shutter_bound_ns: int | None = None
    sharpness: float | None = None
    clipped: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    noise: float | None = None
    mean_red: float | None = None
    mean_green: float | None = None
    mean_blue: float | None = None
    phash: str | None = None
    measured: str | None = None
    format: str = ""

    def __post_init__(self) -> None:
        """Take the format from the path where it is left out."""
        object.__setattr__(self, "format", self.format or PurePosixPath(self.path).suffix.lower().removeprefix("."))


@dataclass(frozen=True, slots=True)
class AlignmentRecord:
    """What the aligner found for two photos that were added before.

    key            hash of both photos' SHA-256, the options and the aligner's version
    reason         a short word for tables, where it was not aligned
    model          what maps the phone's points to the DSLR's, in the aligner's own terms
    overlap        share of the phone photo that the DSLR photo shows, 0 to 1
    mode           "field": the DSLR's photo on the phone's pixels; "paper": the published method
    trusted_share  share of the textured overlap where the map can be trusted
    """

    key: str
    phone_sha256: str
    dslr_sha256: str
    version: str
    status: Literal["aligned", "rejected", "failed"]
    reason: str = ""
    model: Json = field(default_factory=dict)
    residual_px: float | None = None
    residual_p95_px: float | None = None
    inliers: int | None = None
    overlap: float | None = None
    mode: Literal["field", "paper"] = "field"
    trusted_share: float | None = None


@dataclass(frozen=True, slots=True)
class LensRecord:
    """What the pairs of one session told of the lenses of a phone and a DSLR, which were added before.

    terms  in the aligner's own terms
    pairs  how many pairs they are from
    """

    session: str
    phone: str
    dslr: str
    terms: Json
    pairs: int


@dataclass(frozen=True, slots=True)
class PatchRecord:
    """One matched pair of squares.

    key     hash that stands for its pixels: its alignment's key, its place and size, the cutter's version
    row     its row in the shard
    x, y    its top left corner, px
    size    its side, px
    match   how the DSLR's tone was brought to the phone's before it was cut
    keep    whether it passed the gates; reason says which one it failed
    """

    key: str
    row: int
    x: int
    y: int
    size: int
    ncc: float | None = None
    crlb_px: float | None = None
    shift_px: float | None = None
    shift_x_px: float | None = None
    shift_y_px: float | None = None
    rotation_deg: float | None = None
    local_shift_px: float | None = None
    gain_red: float | None = None
    gain_green: float | None = None
    gain_blue: float | None = None
    offset_red: float | None = None
    offset_green: float | None = None
    offset_blue: float | None = None
    sharpness_phone: float | None = None
    sharpness_dslr: float | None = None
    clipped: float | None = None
    std: float | None = None
    confidence: float | None = None
    match: Literal["none", "gain", "curve"] = "none"
    keep: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """What was decided elsewhere since the one who decides now has looked: nothing was written about it."""

    key: str
    verdict: str
    who: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a batch of decisions.

    batch      its number, by which it can be undone; 0: nothing was new
    decided    how many were written
    by_people  how many a rule left alone, because a person had decided
    conflicts  those that were decided elsewhere meanwhile, and were left alone
    since      of an undo: how many were left alone, because something was decided about them since
    """

    batch: int
    decided: int
    by_people: int = 0
    conflicts: tuple[Conflict, ...] = ()
    since: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen, ordered list of patches; `hash` is the SHA-256 over their keys, in order."""

    hash: str
    phone: str
    split: SplitName
    patches: int
    created_ns: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One training run on a frozen list of patches."""

    name: str
    phone: str
    recipe: str
    snapshot_hash: str
    status: str = "running"
    config: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """How well a run or method (`name`) does for one phone on one split under one protocol."""

    name: str
    phone: str
    split: SplitName
    protocol: str
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None
    photos: int
    patches: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of everything there is; pairs and patches count current alignments only.

    photos  by device      pairs  by status ("new" where not aligned yet)
    splits  shots by split
    """

    sessions: int
    shots: int
    incomplete_shots: int
    photos: dict[str, int]
    pairs: dict[str, int]
    patches: int
    kept_patches: int
    splits: dict[str, int]
    snapshots: int
    runs: int
