"""The workspace: one folder with the settings, the index, the photos, the patches and the runs."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from dpedkit.errors import NoWorkspace, UsageError
from dpedkit.files import storage_error, write_atomic
from dpedkit.settings import Table, check, read_toml

SETTINGS_FILE = "dpedkit.toml"


class ImageSettings(Table):
    """What is done with image files.

    limit_mp  photos with more megapixels than this are refused as decompression bombs
    prefer    which of RAW and JPEG of the same shot is aligned
    """

    limit_mp: float = Field(default=178, gt=0)
    prefer: Literal["jpeg", "raw"] = "jpeg"


class AlignSettings(Table):
    """mode  "field": sub-pixel, with lenses and parallax; "paper": one homography, as published with DPED."""

    mode: Literal["field", "paper"] = "field"


class PatchSettings(Table):
    """How pairs are cut and judged.

    size_px    side of a patch
    stride_px  step from one patch to the next; None: size_px, they tile without overlap
    count      at most so many from each pair, drawn evenly; None: all
    match      how the DSLR's tone is brought to the phone's: not at all, by a gain and an offset, or by a curve
    gates      name of the policy that says which to keep: one of dpedkit's own, or of the folder gates/
    """

    size_px: int = Field(default=100, ge=16, le=1024)
    stride_px: int | None = Field(default=None, ge=1)
    count: int | None = Field(default=None, ge=1)
    match: Literal["none", "gain", "curve"] = "none"
    gates: str = "default"


class SplitSettings(Table):
    """Shares of the shots; a shot is never divided, nor are shots that show the same: see `dpedkit.db.links`.

    same_bits, soon_s, soon_bits, place_m  when two shots are taken to show the same
    """

    seed: int = Field(default=0, ge=0)
    train: float = Field(default=0.7, ge=0, le=1)
    val: float = Field(default=0.1, ge=0, le=1)
    test: float = Field(default=0.2, ge=0, le=1)
    same_bits: int = Field(default=10, ge=-1, le=64)
    soon_s: float = Field(default=60, ge=0)
    soon_bits: int = Field(default=18, ge=-1, le=64)
    place_m: float = Field(default=10, ge=0)

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitSettings:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test must be 1, they are {total:g}")
        return self


class Settings(Table):
    """dpedkit.toml.

    database  "sqlite:///FILE" relative to the workspace, or any SQLAlchemy URL
    jobs      worker processes for align and build-patches; 0: one per processor
    cluster   "tcp://HOST:PORT" of a Dask scheduler whose workers do that work instead
    """

    database: str = "sqlite:///corpus.db"
    jobs: int = Field(default=0, ge=0)
    cluster: str = ""
    images: ImageSettings = ImageSettings()
    align: AlignSettings = AlignSettings()
    patches: PatchSettings = PatchSettings()
    split: SplitSettings = SplitSettings()


SETTINGS_TEMPLATE = """\
# dpedkit workspace. Every key may be left out; what stands here are the defaults.

database = "sqlite:///corpus.db"   # relative to this folder, or postgresql+psycopg://USER@HOST/NAME
jobs = 0                           # worker processes; 0: one per processor
# cluster = "tcp://HOST:8786"      # left out: this machine; else a Dask scheduler, whose workers do the work

[images]
limit_mp = 178                     # larger photos are refused as decompression bombs
prefer = "jpeg"                    # or "raw": which of the two is aligned where a shot has both

[align]
mode = "field"                     # or "paper": as published with DPED; `dpedkit align --compare-modes` shows both

[patches]
size_px = 100
# stride_px = 100                  # left out: edge to edge; smaller than size_px: patches overlap
# count = 200                      # left out: every patch; else at most so many from each pair
match = "none"                     # "gain" or "curve": bring the DSLR's tone to the phone's
gates = "default"                  # which to keep: `dpedkit gates` lists the policies; yours are gates/NAME.toml

[split]                            # shares of the shots; shots that show the same are never divided
seed = 0
train = 0.7
val = 0.1
test = 0.2
# same_bits = 10                   # of 64 bits of a perceptual hash: the same picture; -1: do not look
# soon_s = 60                      # shots of a session within so many seconds, that differ in
# soon_bits = 18                   # so many bits at most, are the same scene
# place_m = 10                     # photos within so many metres (GPS) are of one place; 0: do not look
"""


@dataclass(frozen=True)
class Workspace:
    """One workspace on disk."""

    root: Path
    settings: Settings

    @property
    def photos(self) -> Path:
        """Originals, exactly as the cameras gave them."""
        return self.root / "photos"

    @property
    def patches(self) -> Path:
        """Shards of patches."""
        return self.root / "patches"

    @property
    def runs(self) -> Path:
        """One folder per training run."""
        return self.root / "runs"

    @property
    def studies(self) -> Path:
        """One folder per preference study."""
        return self.root / "study"

    @property
    def reports(self) -> Path:
        """Pages to look at; they can be made again from all the rest."""
        return self.root / "reports"

    @property
    def gates(self) -> Path:
        """The user's own policies of which patches to keep."""
        return self.root / "gates"

    @property
    def keys(self) -> Path:
        """The ADB key that phones are asked to trust."""
        return self.root / "rigs" / "keys"

    def rig_file(self, name: str) -> Path:
        """Return the file of the rig called `name`."""
        return self.root / "rigs" / f"{name}.toml"

    def calibration_file(self, rig: str) -> Path:
        """Return the file that holds what `dpedkit calibrate` found about the devices of a rig."""
        return self.root / "rigs" / "calibration" / f"{rig}.json"

    def simulated(self, rig: str) -> Path:
        """Return the state folder of a simulated rig: memory cards, truth, ports."""
        return self.root / ".simulated" / rig

    def imported_models(self, trained: Set[str]) -> list[str]:
        """Return the names of the models below runs/ that no run of this workspace made; `trained` are the others."""
        return sorted({file.parent.name for file in self.runs.glob("*/best.safetensors")} - trained)

    def relative(self, path: Path) -> str:
        """Return `path` as the database holds it: relative to the workspace, with forward slashes."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()


def find_workspace(start: Path) -> Workspace:
    """Return the workspace that `start` lies in.

    Raises:
        NoWorkspace: there is no dpedkit.toml in `start` or any folder above it.
        SettingsError: its dpedkit.toml holds a wrong key or value.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        settings = folder / SETTINGS_FILE
        if settings.is_file():
            return Workspace(folder, check(Settings, read_toml(settings), str(settings)))
    raise NoWorkspace(
        f"no {SETTINGS_FILE} in {start.resolve()} or above",
        "make a workspace with `dpedkit init DIR`, or name one with -C DIR",
    )


def create_workspace(root: Path, rigs: Mapping[str, str]) -> Workspace:
    """Make a workspace in `root`, a new or empty folder; rigs gives each rig file's name and text.

    Raises:
        UsageError: `root` already holds a workspace, or something else.
        StorageError: the folder cannot be written.
    """
    if (root / SETTINGS_FILE).exists():
        raise UsageError(f"{root} is a workspace already", "use it as it is, or choose another folder")
    try:
        if root.exists() and any(root.iterdir()):
            raise UsageError(f"{root} is not empty", "choose a new or empty folder")
        for name in ("photos", "patches", "runs", "rigs"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, text in rigs.items():
            write_atomic(root / "rigs" / f"{name}.toml", text.encode())
        write_atomic(root / SETTINGS_FILE, SETTINGS_TEMPLATE.encode())  # last: only a whole workspace counts as one
    except NotADirectoryError as error:
        raise UsageError(f"{root} is a file", "choose a folder") from error
    except OSError as error:
        raise storage_error(error, root) from error
    return find_workspace(root)


def unused_name(folder: Path, name: str) -> str:
    """Return `name`, or "NAME-2", "NAME-3" and so on: the first that nothing in `folder` has."""
    candidate, again = name, 2
    while (folder / candidate).exists():
        candidate, again = f"{name}-{again}", again + 1
    return candidate
