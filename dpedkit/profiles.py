"""Colour profiles: pixels into sRGB, and from there into the profile that a photo carries."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Return a photo's pixels, of whatever mode and in whatever profile it carries, as RGB in sRGB, 8 bit.

    Transparency is dropped: the colours under it are shown as they are stored.

    Raises:
        ValueError: its numbers are fractions, whose white nothing tells.
    """
    if image.mode == "F":
        raise ValueError("its pixels are fractions; those of photos are whole numbers of up to 16 bits")
    if image.mode.startswith("I"):  # 16-bit gray: 65535 / 257 = 255
        gray = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(gray / 257), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("L" if image.mode in ("LA", "1") else "RGB")
    profile = _profile(icc, "RGB" if image.mode == "RGB" else image.mode)
    if profile is not None:
        try:
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return converted if converted is not None else image.convert("RGB")
        except ImageCms.PyCMSError:
            pass  # a profile that does not fit its pixels: they are taken for sRGB, as viewers do
    return image.convert("RGB")


def to_profile(image: Image.Image, icc: bytes) -> tuple[Image.Image, bytes]:
    """Convert sRGB pixels into an RGB profile; return them with the profile to embed."""
    profile = _profile(icc, "RGB")
    if profile is None:
        return image, icc if _is_srgb(icc) else b""
    try:
        converted = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), profile, outputMode="RGB")
    except ImageCms.PyCMSError:
        return image, b""
    return (converted, icc) if converted is not None else (image, b"")


def _profile(icc: bytes, mode: str) -> ImageCms.ImageCmsProfile | None:
    """Return the profile to convert from; None where there is none, it is sRGB, or it is for other pixels."""
    space = {"RGB": b"RGB ", "CMYK": b"CMYK", "L": b"GRAY"}[mode]
    if icc[16:20] != space or _is_srgb(icc):
        return None
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ImageCms.PyCMSError):
        return None


def _is_srgb(icc: bytes) -> bool:
    try:
        return bool(icc) and "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
    except (OSError, ImageCms.PyCMSError):
        return False
