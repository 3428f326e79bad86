"""What a photo's header tells, as columns of the corpus."""

from __future__ import annotations

from typing import Any

from dpedkit.images import PhotoMeta


def facts_of(meta: PhotoMeta | None) -> dict[str, Any]:
    """Return the fields of a PhotoRecord that its header fills; no width and height where nobody could read it."""
    if meta is None:
        return {"width": None, "height": None}
    return {
        "width": meta.width,
        "height": meta.height,
        "taken_at": meta.taken_at.isoformat() if meta.taken_at else "",
        "exposure_s": meta.exposure_s,
        "f_number": meta.f_number,
        "iso": meta.iso,
        "white_balance": {None: None, True: "auto", False: "manual"}[meta.auto_white],
        "focus_m": meta.focus_m,
        "latitude": meta.latitude,
        "longitude": meta.longitude,
    }
