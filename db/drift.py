"""What changed from shot to shot: each photo beside the previous one of its device in the same session.

The database computes it (window functions), so that queries can ask for it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Double, Label, SQLColumnExpression, Subquery, cast, func, literal, select

from dpedkit.db.schema import Photo, Shot

Number: TypeAlias = "SQLColumnExpression[Any]"

_LUMA = (0.2126, 0.7152, 0.0722)  # of linear R, G, B (ITU-R BT.709)


def previous_photos() -> Subquery:
    """Return of every photo, by its `id`, what the one before it had: NULL for the first, and where it is not measured.

    Photos of other formats are other series: of RAW and JPEG of one shot neither comes before the other.
    """
    series = (Shot.session_id, Photo.device_id, Photo.format)
    names = ("mean_red", "mean_green", "mean_blue", "sharpness")
    before = [
        func.lag(getattr(Photo, name)).over(partition_by=series, order_by=Shot.number).label(name) for name in names
    ]
    return select(Photo.id, *before).join_from(Photo, Shot).subquery("previous")


def drift(before: Subquery) -> tuple[Label[Any], ...]:
    """Return the drift columns of `Photo` against `previous_photos`.

    exposure_drift_ev  stops by which the picture is brighter
    white_drift        stops by which red and blue moved against green, both moves added
    sharpness_drift    share by which it is sharper, negative: less sharp
    """
    now, then = Photo.__table__.c, before.c
    red, blue = (
        stops(now[name] / positive(now.mean_green)) - stops(then[name] / positive(then.mean_green))
        for name in ("mean_red", "mean_blue")
    )
    exposure = stops(luma(now.mean_red, now.mean_green, now.mean_blue)) - stops(
        luma(then.mean_red, then.mean_green, then.mean_blue)
    )
    return (
        exposure.label("exposure_drift_ev"),
        (func.abs(red, type_=Double) + func.abs(blue, type_=Double)).label("white_drift"),
        (now.sharpness / positive(then.sharpness) - 1.0).label("sharpness_drift"),
    )


def luma(red: Number, green: Number, blue: Number) -> ColumnElement[Any]:
    """Return the luminance of linear R, G, B."""
    found: ColumnElement[Any] = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    return found


def stops(ratio: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the logarithm to base 2; NULL of zero."""
    return func.ln(positive(ratio), type_=Double) / literal(0.6931471805599453, Double)


def positive(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a value that is not negative; NULL for zero."""
    return func.nullif(value, 0.0, type_=Double)


def milliseconds(ns: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return nanoseconds as milliseconds."""
    return cast(ns, Double) / 1e6
