"""The index of an alignment report: every pair that was tried, worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dpedkit.stages.align_page import PairView
from dpedkit.stages.templates import render

STATUSES = ("aligned", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class PhoneRow:
    """All pairs of one phone; residuals in phone px, None where none is aligned.

    counts          pairs by status
    residual_px     median over its aligned pairs
    worst_px        the largest
    trusted_share   median over its aligned pairs
    """

    phone: str
    counts: Mapping[str, int]
    residual_px: float | None
    worst_px: float | None
    trusted_share: float | None
    patches: int
    kept: int


def index_page(views: Sequence[PairView], thumbs: Mapping[str, str], failed: Mapping[str, str]) -> str:
    """Return the index as HTML.

    views   in the order in which they are to stand
    thumbs  slug -> picture, relative to the index
    failed  slug -> why the pair has no page
    """
    phones = sorted({view.phone for view in views})
    fields = {
        "views": views,
        "statuses": {status: sum(view.status == status for view in views) for status in STATUSES},
        "phones": [_phone_row(phone, [view for view in views if view.phone == phone]) for phone in phones],
        "thumbs": thumbs,
        "failed": failed,
    }
    return render("align_index.html", fields)


def _phone_row(phone: str, views: Sequence[PairView]) -> PhoneRow:
    residuals = [view.residual_px for view in views if view.residual_px is not None]
    trusted = [view.trusted_share for view in views if view.trusted_share is not None]
    return PhoneRow(
        phone=phone,
        counts={status: sum(view.status == status for view in views) for status in STATUSES},
        residual_px=float(np.median(residuals)) if residuals else None,
        worst_px=max(residuals, default=None),
        trusted_share=float(np.median(trusted)) if trusted else None,
        patches=sum(view.patches for view in views),
        kept=sum(view.kept for view in views),
    )
