"""How good a generator is on pairs that it does not learn from, as a number and as a picture."""

from __future__ import annotations

import textwrap

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from dpedkit.train.batches import to_tensor
from dpedkit.train.metrics import psnr_per_image
from dpedkit.train.networks import Enhancer
from dpedkit.types import I64, U8, PairSource

_AT_A_TIME = 16
_SHOWN = 6
_LINE_PX, _MARGIN_PX = 15, 3  # of captions


@torch.no_grad()
def validate(generator: Enhancer, pairs: PairSource, limit: int, device: torch.device) -> float:
    """Return the mean PSNR, dB, of up to `limit` enhanced patches, clipped to [0, 1], against the DSLR's."""
    rows = _spaced(len(pairs), limit)
    scores: list[float] = []
    for start in range(0, len(rows), _AT_A_TIME):
        phone, dslr = pairs.read_batch(rows[start : start + _AT_A_TIME])
        enhanced = generator(to_tensor(phone, device)).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        scores.extend(psnr_per_image(enhanced, dslr))
    return float(np.mean(scores))


@torch.no_grad()
def picture(generator: Enhancer, pairs: PairSource, device: torch.device, caption: str) -> U8:
    """Return a few patches side by side, evenly spaced: the phone's above, enhanced, and the DSLR's below.

    caption  written under them; may be empty
    """
    phone, dslr = pairs.read_batch(_spaced(len(pairs), _SHOWN))
    enhanced = generator(to_tensor(phone, device)).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    rows = (phone, np.rint(enhanced * 255).astype(np.uint8), dslr)
    shown: U8 = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    return _captioned(shown, caption) if caption else shown


def _captioned(rgb: U8, caption: str) -> U8:
    """Return [H, W, 3] with black on white lines below."""
    font, width = ImageFont.load_default(), rgb.shape[1]
    lines = textwrap.wrap(caption, max(1, int(width / font.getlength("n"))))
    strip = Image.new("RGB", (width, _LINE_PX * len(lines) + _MARGIN_PX), "white")
    ImageDraw.Draw(strip).multiline_text((_MARGIN_PX, 0), "\n".join(lines), "black", font)
    below: U8 = np.asarray(strip)
    return np.concatenate([rgb, below])


def _spaced(count: int, limit: int) -> I64:
    return np.unique(np.linspace(0, count - 1, min(limit, count)).astype(np.int64))
