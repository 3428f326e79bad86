"""What a photo tells of itself: sharpness, clipping, noise, exposure, colour, and a hash of its looks.

Arrays in, numbers out. A photo is measured beside being decoded, so each measure looks at no more pixels than it needs,
and says at which scale; docs/corpus.md has the tests and figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from dpedkit.types import F32, F64, U8, Bools

MEASURES_VERSION = "1"
"""Raised whenever the same photo would give other numbers: what an older version measured is measured again."""

_WORKING_PX = 1_500_000  # for sharpness: below the size of every camera's photos, so that phones and DSLRs compare
_SOFT_PX = 0.8  # as much as keeps the noise that is left at that scale out of the gradients
_AGAIN_PX = 1.6
_BLOCK_PX = 24
_BANDS = 8
_BAND_PX = 34  # a row of blocks and what the blurs reach beyond it
_LIVELIEST = 0.1
_LEAST_ENERGY = 1e-3  # levels^2; less is rounding
_ROUNDING = 1 / 12  # levels^2

_SAMPLES = 150_000  # pixels behind clipping, means and hash: a share is known to 0.3%
_BLACK, _WHITE = 2, 253  # as the patches' scores have it

_NOISE_PX = 500_000  # of the photo's own pixels
NOISE_BLOCK_PX = 16
_FLATTEST = 0.1
_FLATTEST_BIAS = 0.91  # a tenth of the blocks of pure noise lie below this share of its deviation
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)

_HASH_PX = 128


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured on one photo.

    sharpness   how many times the deviation of its blur goes into its diagonal, seen at 1.5 million pixels
    clipped     share of pixels <= 2 or >= 253, in the channel that has most
    noise       standard deviation of one pixel's luma, of 255, where the photo is flat
    mean_red    mean of the picture in linear light, 0 to 1; the others likewise
    phash       perceptual hash: 64 bits as 16 hex digits; how many bits differ counts
    """

    sharpness: float
    clipped: float
    noise: float
    mean_red: float
    mean_green: float
    mean_blue: float
    phash: str


def measure(rgb: U8) -> Measures:
    """Measure a photo: RGB uint8 [H, W, 3], upright, sRGB.

    Raises:
        ValueError: the array is of another shape or type.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
        raise ValueError(f"want RGB uint8 [H, W, 3], got {rgb.dtype} {rgb.shape}")
    step = (
        max(math.isqrt(rgb.shape[0] * rgb.shape[1] // _SAMPLES), 1) | 1
    )  # odd: on all places of a JPEG's blocks alike
    sample = np.ascontiguousarray(rgb[::step, ::step])
    clipped, (red, green, blue) = _clipping_and_means(sample)
    noise = _noise(rgb)
    return Measures(
        sharpness=_sharpness(rgb, noise),
        clipped=clipped,
        noise=noise,
        mean_red=red,
        mean_green=green,
        mean_blue=blue,
        phash=_phash(sample),
    )


def to_linear(levels: U8) -> F32:
    """Return sRGB levels in linear light, 0 to 1 (IEC 61966-2-1)."""
    linear: F32 = _LINEAR[levels]
    return linear


def edge_blur_px(
    bands: U8, *, soft_px: float, again_px: float, block_px: int, liveliest: float, noise: float = 0.0
) -> float:
    """Return the standard deviation of a photo's blur, px, with `soft_px` in it; infinity for mere shades.

    An edge blurred by a Gaussian of deviation s has gradient energy in proportion to 1 / s. Blurred once more, by a
    known t, it keeps s / sqrt(s^2 + t^2) of that energy, and the ratio of both tells s (the re-blur idea of Crete et
    al., The Blur Effect, SPIE 2007, here with Gaussians and energies). Fine texture loses more than an edge does, so s
    comes out too small rather than too large.

    bands      grays uint8 [N, H, W] from across one photo, each a row of blocks within a margin of at least a pixel
    soft_px    a blur that keeps noise out of the gradients
    again_px   the second blur
    liveliest  share of the blocks, `block_px` wide, that count: those with the strongest gradients, since a subject in
               focus before a blurred background is a sharp photo
    noise      deviation of white noise, whose energy is taken off
    """
    margin_px = (bands.shape[1] - block_px) // 2
    once = np.concatenate([gradient_energies(band, soft_px, block_px, (margin_px, margin_px), noise) for band in bands])
    chosen = np.unravel_index(np.argsort(-once, axis=None)[: max(round(liveliest * once.size), 1)], once.shape)
    # only what counts is blurred again: the chosen blocks side by side, each within half a block of what is around it
    aside = block_px // 2
    wide = np.pad(bands, ((0, 0), (0, 0), (aside, aside + block_px)), mode="reflect")
    lefts = margin_px + chosen[1] * block_px
    alone = np.hstack([wide[band, :, left : left + 2 * block_px] for band, left in zip(chosen[0], lefts, strict=True)])
    twice = gradient_energies(alone, math.hypot(soft_px, again_px), block_px, (margin_px, aside), noise)[:, ::2]
    return float(blur_px(once[chosen].sum(), twice.sum(), again_px))


def blur_px(before: F64, after: F64, again_px: float) -> F64:
    """Return the blur, px, of edges whose gradients have these energies before and after another of `again_px`."""
    kept = np.clip(after / np.maximum(before, 1e-12), 1e-9, 1.0)
    with np.errstate(divide="ignore"):
        blur: F64 = again_px / np.sqrt(1.0 / kept**2 - 1.0)
    return np.where(before < _LEAST_ENERGY, math.inf, blur)


def gradient_energies(
    gray: U8, sigma_px: float, block_px: int, margins_px: tuple[int, int] = (1, 1), noise: float = 0.0
) -> F64:
    """Return the mean squared gradient of each block [rows, cols] of a picture [H, W] that was blurred first.

    margins_px  what is left out above and below, and at the sides
    noise       deviation of white noise in the picture, whose energy is taken off
    """
    soft: F32 = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), sigma_px).astype(np.float32, copy=False)
    rows, cols = ((side - 2 * margin) // block_px for side, margin in zip(gray.shape, margins_px, strict=True))
    top, left = margins_px
    bottom, right = top + rows * block_px, left + cols * block_px
    across = soft[top:bottom, left + 1 : right + 1] - soft[top:bottom, left - 1 : right - 1]
    down = soft[top + 1 : bottom + 1, left:right] - soft[top - 1 : bottom - 1, left:right]
    across *= across
    down *= down
    energy = np.add(across, down, out=across)
    blocks: F64 = energy.reshape(rows, block_px, cols, block_px).mean(axis=(1, 3), dtype=np.float64)
    return blocks - _noise_energy(noise, sigma_px)


def _noise_energy(noise: float, sigma_px: float) -> float:
    """Return the mean squared gradient that white noise has after a Gaussian blur."""
    along = cv2.getGaussianKernel(round(8 * sigma_px + 1) | 1, sigma_px).ravel()
    same, apart = float(along @ along), float(along[2:] @ along[:-2])
    return 4 * noise**2 * same * (same - apart)


def _sharpness(rgb: U8, noise: float) -> float:
    """Return how many blurs go into the diagonal; 0 where there is nothing to see, or the photo is tiny.

    Bands across the photo are reduced to what they would be in a photo of 1.5 million pixels: photos of all sizes
    compare, and blur that only smaller pixels could show does not count.
    """
    height, width = rgb.shape[:2]
    scale = max(math.sqrt(height * width / _WORKING_PX), 1.0)
    band, size = round(_BAND_PX * scale), (round(width / scale), _BAND_PX)
    if height < band or size[0] < _BAND_PX:
        return 0.0
    tops = np.linspace(0, height - band, min(_BANDS, height // band)).astype(int).tolist()
    grays = (cv2.cvtColor(rgb[top : top + band], cv2.COLOR_RGB2GRAY) for top in tops)
    bands = np.stack([cv2.resize(gray, size, interpolation=cv2.INTER_AREA) for gray in grays]).astype(np.uint8)
    blur = edge_blur_px(
        bands,
        soft_px=_SOFT_PX,
        again_px=_AGAIN_PX,
        block_px=_BLOCK_PX,
        liveliest=_LIVELIEST,
        noise=math.sqrt((noise / scale) ** 2 + _ROUNDING),
    )
    return math.hypot(height, width) / scale / blur


def _clipping_and_means(sample: U8) -> tuple[float, list[float]]:
    """Return the share of clipped pixels and the mean of each channel in linear light."""
    levels = [cv2.calcHist([sample], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
    counts = np.stack(levels).astype(np.float64) / (sample.shape[0] * sample.shape[1])
    clipped = counts[:, : _BLACK + 1].sum(axis=1) + counts[:, _WHITE:].sum(axis=1)
    return float(clipped.max()), (counts @ _LINEAR).tolist()


def flat_noise(gray: U8) -> float:
    """Return the deviation of the noise of a picture [H, W], of 255 levels; 0 where no part of it is unclipped.

    Immerkaer, Fast Noise Variance Estimation, CVIU 64 (1996): a mask that is blind to shades, and to edges along its
    axes, leaves 6 times the noise. Texture adds to that, so it is taken block by block and only the flattest tenth
    counts, with the bias that pure noise has there.
    """
    spread, unclipped = _noise_of_blocks(gray)
    if not unclipped.any():
        return 0.0
    return float(np.quantile(spread[unclipped], _FLATTEST)) / _FLATTEST_BIAS


@dataclass(frozen=True, slots=True)
class NoiseBlocks:
    """A photo in blocks of `NOISE_BLOCK_PX`, from the top left corner; what is left over is not looked at.

    noise      [rows, cols]  deviation of the luma's noise, of 255 levels, where a block is flat; texture adds to it
    shades     [rows, cols]  deviation of the means of its squares of 4 x 4 px: what is there beside noise
    unclipped  [rows, cols]  whether all its pixels lie between black and white
    """

    noise: F32
    shades: F32
    unclipped: Bools


def noise_by_block(rgb: U8) -> NoiseBlocks:
    """Measure the noise of a photo, uint8 [H, W, 3], block by block, as `flat_noise` does."""
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
    spread, unclipped = _noise_of_blocks(gray)
    rows, cols = spread.shape
    if not spread.size:
        return NoiseBlocks(spread, spread, unclipped)
    block, square = NOISE_BLOCK_PX, 4
    inner = gray[: rows * block, : cols * block]
    size = cols * block // square, rows * block // square
    means = cv2.resize(inner.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    shades = means.reshape(rows, block // square, cols, block // square).std(axis=(1, 3))
    return NoiseBlocks(spread, shades.astype(np.float32, copy=False), unclipped)


def _noise_of_blocks(gray: U8) -> tuple[F32, Bools]:
    """Return each block's deviation of noise, and whether it is unclipped [rows, cols]."""
    block, (height, width) = NOISE_BLOCK_PX, gray.shape
    rows, cols = height // block, width // block
    if not rows or not cols:
        return np.zeros((rows, cols), np.float32), np.zeros((rows, cols), np.bool_)
    gray = np.ascontiguousarray(gray[: rows * block, : cols * block])
    rough = cv2.filter2D(gray, cv2.CV_32F, _IMMERKAER)
    rough = np.abs(rough, out=rough).reshape(rows, block, cols, block)
    inner = rough[:, 1:-1]  # rows of blocks that touch here may not touch in the photo
    spread = inner.mean(axis=(1, 3)) * (math.sqrt(math.pi / 2) / 6)
    blocks = gray.reshape(rows, block, cols, block)
    # along the columns first: NumPy takes a row of them at a time
    unclipped = (blocks.min(axis=1).min(axis=2) > _BLACK) & (blocks.max(axis=1).max(axis=2) < _WHITE)
    return spread.astype(np.float32, copy=False), unclipped


def _noise(rgb: U8) -> float:
    """Return the deviation of the noise of a photo's own pixels, from rows of blocks that are spread over it."""
    block, (height, width) = NOISE_BLOCK_PX, rgb.shape[:2]
    rows = height // block
    if not rows or width < block:
        return 0.0
    step = max(round(height * width / _NOISE_PX), 1)
    chosen = rgb[: rows * block].reshape(rows, block, width, 3)[min(step // 2, rows - 1) :: step]
    strips = np.ascontiguousarray(chosen).reshape(-1, width, 3)
    return flat_noise(cv2.cvtColor(strips, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False))


def _phash(sample: U8) -> str:
    """Return the perceptual hash of the imagehash package: signs of the lowest 8 x 8 cosine waves of 32 x 32 px."""
    from imagehash import phash

    gray = cv2.cvtColor(sample, cv2.COLOR_RGB2GRAY)
    tiny = cv2.resize(gray, (_HASH_PX, _HASH_PX), interpolation=cv2.INTER_AREA)
    return str(phash(Image.fromarray(tiny)))


def _srgb_curve() -> F32:
    level = np.arange(256) / 255
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _srgb_curve()
