"""What is true of a simulated photo. For checks that say so; no command may learn from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dpedkit.capture.simulate.optics import View
from dpedkit.errors import CorpusError
from dpedkit.types import F64, Json


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one photo.

    release          which of the camera's releases it is, counted from 1 since it was switched on
    released_ns      when the release took effect, host wall clock
    shutter_ns       when the shutter opened, host wall clock
    clock_offset_ns  device clock minus host clock at that moment
    scene, shot      the scene's index, and which photo of that scene it is
    view             geometry
    look             exposure and colour as they were at this shot: names and numbers
    """

    camera: str
    release: int
    released_ns: int
    shutter_ns: int
    clock_offset_ns: int
    clock_drift_ppm: float
    scene: int
    shot: int
    view: View
    look: Json


def load_truth(folder: Path, sha256: str) -> Truth:
    """Return the truth about the photo whose file has that hash.

    folder  the "truth" folder of a rig's state

    Raises:
        CorpusError: no simulated camera took such a photo.
    """
    try:
        record = json.loads((folder / f"{sha256}.json").read_text())
    except FileNotFoundError:
        raise CorpusError(
            f"{folder} knows no photo {sha256[:12]}", "only photos of this simulated rig have a truth"
        ) from None
    return Truth(**{**record, "view": View.from_json(record["view"])})


def phone_to_dslr(phone: Truth, dslr: Truth, points: F64) -> F64:
    """Return where in the DSLR's photo the things lie that the phone shows at `points`.

    points  [N, 2]  (x, y), px of the phone's photo
    ->      [N, 2]  (x, y), px of the DSLR's photo
    """
    return dslr.view.from_plane(phone.view.to_plane(points))


def dslr_to_phone(dslr: Truth, phone: Truth, points: F64) -> F64:
    """Return the inverse of `phone_to_dslr`."""
    return phone.view.from_plane(dslr.view.to_plane(points))
