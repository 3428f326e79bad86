"""What was published for the three phones of DPED: for orientation, since it was measured on other photos."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Ignatov et al., ICCV 2017"
NOTE = f"Published: {SOURCE}, measured on other photos: for orientation, not to compare with"


@dataclass(frozen=True, slots=True)
class Published:
    """A method's PSNR, dB, and MS-SSIM on its authors' own test patches; the paper calls the latter SSIM."""

    method: str
    psnr: float
    ms_ssim: float


_FIGURES = {
    "iphone": {"APE": (17.28, 0.8631), "Dong": (19.27, 0.8992), "Johnson": (20.32, 0.9161), "DPED": (20.08, 0.9201)},
    "blackberry": {"APE": (18.91, 0.8922), "Dong": (18.89, 0.9134), "Johnson": (20.11, 0.9298),
                   "DPED": (20.07, 0.9328)},
    "sony": {"APE": (19.45, 0.9168), "Dong": (21.21, 0.9382), "Johnson": (21.33, 0.9434), "DPED": (21.81, 0.9437)},
}  # fmt: skip
_RECIPES = {"srcnn": "Dong", "johnson": "Johnson", "dped": "DPED"}
_EXTERNAL = "APE"


def published(phone: str, *, recipe: str = "", external: str = "") -> Published | None:
    """Return the figures that a run of a recipe, or pictures called APE, stand beside; None: there are none."""
    method = _RECIPES.get(recipe) or (_EXTERNAL if external.upper() == _EXTERNAL else "")
    figures = _FIGURES.get(phone, {}).get(method)
    return Published(method, *figures) if figures else None
