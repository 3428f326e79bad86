"""The DPED trainer: networks, losses, loop, metrics, enhancement. Nothing heavy is imported before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpedkit.train.compute import Compute, pick_compute
    from dpedkit.train.inference import enhance
    from dpedkit.train.loop import StepReport, Trained, train
    from dpedkit.train.recipe import Recipe, load_recipe, recipe_names, recipe_schema
    from dpedkit.train.recipes import recipe_text
    from dpedkit.train.weights import load_generator

__all__ = [
    "Compute",
    "Recipe",
    "StepReport",
    "Trained",
    "enhance",
    "load_generator",
    "load_recipe",
    "pick_compute",
    "recipe_names",
    "recipe_schema",
    "recipe_text",
    "train",
]

_HOMES = {
    "Compute": "compute",
    "pick_compute": "compute",
    "Recipe": "recipe",
    "StepReport": "loop",
    "Trained": "loop",
    "enhance": "inference",  # not enhance.py: the module would hide the function
    "load_generator": "weights",
    "load_recipe": "recipe",
    "recipe_names": "recipe",
    "recipe_schema": "recipe",
    "recipe_text": "recipes",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
