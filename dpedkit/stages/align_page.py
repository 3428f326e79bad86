"""One pair's page: a pure function of its photos, its alignment and its patches, for a worker process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dpedkit.align import Alignment
from dpedkit.files import write_atomic
from dpedkit.stages.align_drawing import (
    MASK_LEVELS,
    arrow_field,
    details,
    histogram,
    mask_cells,
    trusted_windows,
)
from dpedkit.stages.align_patch_grid import SCORES, patch_grid
from dpedkit.stages.align_pictures import DSLR, PHONE, TONED, detail_file, draw_aligned, draw_apart
from dpedkit.stages.templates import render
from dpedkit.types import Json

Facts = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair as the pages show it; what is not known is None.

    slug       what its files are called
    detail     what stands behind the reason, and what to do about it
    residual_px, residual_p95_px  phone px
    gates      the policy behind the patches' verdicts, "" where there are no patches
    """

    slug: str
    shot: str
    scene: str
    phone: str
    dslr: str
    status: str
    reason: str
    detail: str
    remedy: str
    mode: str
    residual_px: float | None
    residual_p95_px: float | None
    trusted_share: float | None
    overlap: float | None
    inliers: int | None
    patches: int
    kept: int
    gates: str

    @property
    def title(self) -> str:
        """The pair's name."""
        return f"{self.shot} {self.phone}"


@dataclass(frozen=True, slots=True)
class PageJob:
    """What a page is made of.

    key       changes with anything that the page shows
    page      its file
    pictures  folder of its pictures; where it is there already, the photos are not read
    lenses    whom the lenses' terms were learnt from
    model     the alignment, None where there is none
    patches   rows of `Corpus.patches`
    """

    view: PairView
    key: str
    page: Path
    pictures: Path
    phone: Path
    dslr: Path
    limit_px: int
    lenses: str
    model: Json | None
    patches: pd.DataFrame

    def __str__(self) -> str:
        return self.view.title


def make_page(job: PageJob) -> str:
    """Draw a pair's pictures, if they are not there, and write its page; return the pair's slug.

    Raises:
        ImageError: a photo of an aligned pair cannot be read.
        StorageError: the folder cannot be written.
    """
    alignment = Alignment.from_dict(job.model) if job.model else None
    if not job.pictures.exists():
        if alignment:
            draw_aligned(job.pictures, job.phone, job.dslr, alignment, limit_px=job.limit_px)
        else:
            draw_apart(job.pictures, job.phone, job.dslr, limit_px=job.limit_px)
    fields = {
        "key": job.key,
        "view": job.view,
        "folder": f"../{job.pictures.parent.name}/{job.pictures.name}",
        "files": {path.name for path in job.pictures.iterdir()},
        "names": {"phone": PHONE, "dslr": DSLR, "toned": TONED},
        "aligned": alignment is not None,
        **(_drawn(job, alignment) if alignment else {}),
    }
    write_atomic(job.page, render("align_pair.html", fields).encode())
    return job.view.slug


def is_fresh(page: Path, key: str) -> bool:
    """Whether the page is there and was made for `key`."""
    try:
        with page.open("rb") as stream:
            return key.encode() in stream.read(200)
    except FileNotFoundError:
        return False


def _drawn(job: PageJob, alignment: Alignment) -> dict[str, object]:
    width, height = alignment.warp.phone_size
    field, bars = arrow_field(alignment), histogram(alignment)
    return {
        "width": width,
        "height": height,
        "field": field,
        "mask": mask_cells(alignment),
        "mask_levels": MASK_LEVELS,
        "overlap": "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in alignment.overlap.tolist()) + "Z",
        "bars": bars,
        "alignment": alignment,
        "details": details(alignment),
        "detail_file": detail_file,
        "grid": patch_grid(job.patches) if len(job.patches) else None,
        "scores": SCORES,
        "facts": _facts(job, alignment),
    }


def _facts(job: PageJob, alignment: Alignment) -> Facts:
    warp, placed, view = alignment.warp, alignment.placed, job.view
    x, y = (side / 2 for side in warp.phone_size)
    (left, top), (right, bottom) = alignment.phone_to_dslr(np.array([[x, y], [x + 1, y]])).tolist()
    turned = math.degrees(math.atan2(bottom - top, right - left))
    facts = [
        ("mode", alignment.mode),
        (f"photo of {view.phone}", _size(warp.phone_size)),
        (f"photo of {view.dslr}", _size(warp.dslr_size)),
        ("scale", f"{warp.scale():.4f} px of {view.dslr} per px of {view.phone}"),
        (
            "rotation",
            f"{abs(turned):.2f}° {'clockwise' if turned > 0 else 'counter-clockwise'}, as {view.dslr} sees it",
        ),
        ("SIFT matches that agree", str(alignment.inliers)),
        (
            "windows",
            f"{len(placed)} of {placed.side_px:.0f} px looked for, {int(placed.found.sum())} found, "
            f"{int(trusted_windows(alignment).sum())} in trusted regions",
        ),
    ]
    if alignment.mode == "field":
        facts += [
            (f"lens of {view.phone}", _lens(warp.phone_radial, warp.phone_size)),
            (f"lens of {view.dslr}", _lens(warp.dslr_radial, warp.dslr_size)),
            ("lenses from", job.lenses),
            ("parallax mesh", _mesh(alignment)),
        ]
    return facts + ([("gates of the patches", view.gates)] if view.gates else [])


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]} px"


def _lens(radial: tuple[float, float], size: tuple[int, int]) -> str:
    """Return the terms, and what they come to where they do most: half a diagonal from the middle."""
    corner_px = sum(radial) * math.hypot(*size) / 2
    return f"k1 {radial[0]:+.5f}, k2 {radial[1]:+.5f}: {corner_px:+.1f} px at the corners"


def _mesh(alignment: Alignment) -> str:
    mesh = alignment.warp.mesh
    if mesh is None:
        return "none: the lenses explain the windows"
    moved = np.linalg.norm(mesh.displacement(alignment.placed.phone), axis=1)
    rows, columns = mesh.controls.shape[:2]
    return f"{columns} × {rows} control points; moves by {np.median(moved):.2f} px (median), {moved.max():.2f} at most"
