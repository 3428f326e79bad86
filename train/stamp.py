"""What must be said beside everything that a run made: how far its numbers and pictures may be taken for DPED's."""

from __future__ import annotations

from dpedkit.train.recipe import LossRecipe
from dpedkit.types import Json

_FOR_MAT = (10.0, 1.0)  # the authors' code's weight of the content loss, and the paper's


def stamp(config: Json) -> str:
    """Return it, one line; "" where nothing must be said.

    config  a run's config.json; {} of a generator that no run of ours has made

    Random VGG weights mean nothing. The loss of a recipe with content is the authors' with their VGG weights (.mat)
    only; with others the line names them, and the weight of the content loss as a multiple of the authors'.
    """
    if not config.get("for_results", True):
        return f"not for results: trained with {config['vgg']}"
    vgg = config.get("vgg", "no VGG")
    if vgg == "no VGG" or vgg.endswith(".mat"):
        return ""
    recipe = config["recipe"]
    return f"{recipe['name']}, {vgg} VGG, content x {recipe['losses']['content'] / LossRecipe().content:g}"


def advice(losses: LossRecipe, vgg: str) -> str:
    """Return what is to be known of VGG weights before a run starts, one line; "" where that is nothing.

    vgg  as `load_vgg` takes it
    """
    if not losses.content or vgg.endswith(".mat"):
        return ""
    if vgg.startswith("random:"):
        return "random VGG weights are for trying out: this run is not for results"
    if losses.content in _FOR_MAT:
        return (
            f"content counts {losses.content:g}, which is meant for the authors' VGG weights (.mat): "
            "`dpedkit vgg calibrate` measures what it should be with others"
        )
    return ""
