"""The DSLR's photo on the phone's pixels: low-passed, then sampled once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.types import F32, F64, U8, Bools

_BAND_ROWS = 512
_STEP = 8


def resample_dslr(phone_shape: tuple[int, ...], dslr: U8, alignment: Alignment) -> tuple[U8, Bools]:
    """Return the DSLR's photo as the phone's pixels would see it, and where it has any.

    phone_shape  shape of the phone's photo, [H, W, ...]
    dslr         RGB uint8 [H', W', 3], the photo that was aligned
    ->           uint8 [H, W, 3], and bool [H, W]: the pixel lies in the DSLR's photo

    Raises:
        ValueError: the photos are not those that were aligned.
    """
    height, width = phone_shape[:2]
    sizes = (width, height), (dslr.shape[1], dslr.shape[0])
    if sizes != (alignment.warp.phone_size, alignment.warp.dslr_size):
        raise ValueError(
            f"the alignment is for {alignment.warp.phone_size} and {alignment.warp.dslr_size}, not {sizes}"
        )
    picture = np.empty((height, width, 3), dtype=np.uint8)
    mask = np.empty((height, width), dtype=np.bool_)
    bands = [slice(top, min(top + _BAND_ROWS, height)) for top in range(0, height, _BAND_ROWS)]
    for rows, (part, known) in zip(bands, resample_rows(dslr, alignment, bands), strict=True):
        picture[rows], mask[rows] = part, known
    return picture, mask


def resample_rows(dslr: U8, alignment: Alignment, bands: Sequence[slice]) -> Iterator[tuple[U8, Bools]]:
    """Yield some rows each of what `resample_dslr` returns, so that the maps never weigh more than the photos.

    bands  rows of the phone's photo
    """
    width = alignment.warp.phone_size[0]
    if alignment.warp.is_identity:
        for rows in bands:
            yield dslr[rows].copy(), np.ones(dslr[rows].shape[:2], dtype=np.bool_)
        return
    source = _low_pass(dslr, alignment.warp.scale())
    last_x, last_y = dslr.shape[1] - 2, dslr.shape[0] - 2
    for rows in bands:
        map_x, map_y = _dense_map(alignment.phone_to_dslr, width, rows)
        part = cv2.remap(source, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        yield (
            part.astype(np.uint8, copy=False),
            (map_x >= 1) & (map_x <= last_x) & (map_y >= 1) & (map_y <= last_y),
        )


def _low_pass(dslr: U8, scale: float) -> U8:
    """Blur away what the phone's pixels, `scale` DSLR px wide, cannot hold; half their width is the deviation."""
    if scale <= 1.0:
        return dslr
    return cv2.GaussianBlur(dslr, (0, 0), 0.5 * (scale**2 - 1) ** 0.5).astype(np.uint8, copy=False)


def _dense_map(warp: Callable[[F64], F64], width: int, rows: slice) -> tuple[F32, F32]:
    """Return the DSLR px (x, y) of every pixel of some rows, interpolated between every eighth (exact to 0.002 px)."""
    height = rows.stop - rows.start
    xs, ys = ((np.arange(-1, -(-length // _STEP) + 1) + 0.5) * _STEP - 0.5 for length in (width, height))
    nodes = np.stack(np.meshgrid(xs, ys + rows.start), axis=-1)
    landed = warp(nodes.reshape(-1, 2)).reshape(nodes.shape).astype(np.float32)
    dense = cv2.resize(landed, None, fx=_STEP, fy=_STEP, interpolation=cv2.INTER_LINEAR)
    part = dense[_STEP : _STEP + height, _STEP : _STEP + width]
    return np.ascontiguousarray(part[..., 0]), np.ascontiguousarray(part[..., 1])
