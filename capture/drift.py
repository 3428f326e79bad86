"""What changed on a camera from one shot to the next: phones fired from outside cannot be locked, only watched."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dpedkit.capture.shot import ShotResult, StoredPhoto
from dpedkit.images import PhotoMeta

_EXPOSURE_EV = 0.3  # cameras step in thirds
_FOCUS = 0.1  # of the distance
_COLOUR = 0.15  # of red against blue, natural logarithm, beside the DSLR's; another scene moves that by up to 0.1


def drifts(before: ShotResult, after: ShotResult) -> list[str]:
    """Return what a camera changed between two shots, as short words: "exposure sony", "white balance sony".

    Exposure is what the photo's header says of time, aperture and sensitivity; focus its distance; white balance its
    mode, or a shift of the mean colour that the DSLR does not see (a change of scene, it sees, too).
    """
    old, new = _telling(before.photos), _telling(after.photos)
    words = [
        f"{word} {device}"
        for device in new
        if device in old and (was := old[device].meta) and (now := new[device].meta)
        for word in _changed(was, now)
    ]
    for device in _recoloured(list(old.values()), list(new.values())):
        if f"white balance {device}" not in words:
            words.append(f"white balance {device}")
    return words


def _telling(photos: Sequence[StoredPhoto]) -> dict[str, StoredPhoto]:
    """Return each device's photo that tells most: its picture rather than its RAW, whose colours nobody sees here."""
    telling: dict[str, StoredPhoto] = {}
    for photo in photos:
        if photo.colour or photo.device not in telling:
            telling[photo.device] = photo
    return telling


def _changed(was: PhotoMeta, now: PhotoMeta) -> list[str]:
    words = []
    if (ev := _exposure_ev(now)) is not None and (old := _exposure_ev(was)) is not None:
        words += ["exposure"] if abs(ev - old) > _EXPOSURE_EV else []
    if was.focus_m is not None and now.focus_m is not None and not _is_near(was.focus_m, now.focus_m):
        words.append("focus")
    if None not in (was.auto_white, now.auto_white) and was.auto_white != now.auto_white:
        words.append("white balance")
    if now.flash and not was.flash:
        words.append("flash")
    return words


def _exposure_ev(meta: PhotoMeta) -> float | None:
    """Return how bright the camera meant the photo to be: log2(time * sensitivity / aperture^2), in stops."""
    if not meta.exposure_s or not meta.iso:
        return None
    return math.log2(meta.exposure_s * meta.iso / (meta.f_number or 1) ** 2)


def _is_near(was_m: float, now_m: float) -> bool:
    if math.isinf(was_m) or math.isinf(now_m):
        return was_m == now_m
    return abs(now_m - was_m) <= _FOCUS * was_m


def _recoloured(old: Sequence[StoredPhoto], new: Sequence[StoredPhoto]) -> list[str]:
    """Return the phones whose colour moved against the DSLR's."""
    was, now = _warmth_beside_dslr(old), _warmth_beside_dslr(new)
    return [phone for phone in now if phone in was and abs(now[phone] - was[phone]) > _COLOUR]


def _warmth_beside_dslr(photos: Sequence[StoredPhoto]) -> dict[str, float]:
    """Return phone -> log(red / blue) of its mean colour, less the DSLR's: what white balance moves first."""
    warmth = {
        (photo.role, photo.device): math.log(photo.colour[0] / photo.colour[2])
        for photo in photos
        if photo.colour and min(photo.colour) > 0
    }
    dslr = next((value for (role, _), value in warmth.items() if role == "dslr"), None)
    return {} if dslr is None else {device: value - dslr for (role, device), value in warmth.items() if role == "phone"}
