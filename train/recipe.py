"""Recipes: everything that decides a training run but the pictures. A TOML file states what differs from DPED's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from dpedkit.errors import RecipeError, SettingsError
from dpedkit.settings import Table, check, nearest, read_toml

_SHIPPED = resources.files("dpedkit.train.recipes")


class GeneratorRecipe(Table):
    """The generator's size and what it is before training.

    width   channels of every hidden layer
    blocks  residual blocks
    start   "noise": small random weights, as DPED's; "matrix": weights that return the phone's photo through the 3x3
            colour matrix and offset that fit the training patches best, to improve on
    """

    width: int = Field(64, ge=3)
    blocks: NonNegativeInt = 4
    start: Literal["noise", "matrix"] = "noise"


class DiscriminatorRecipe(Table):
    """The discriminator's size: `scale` multiplies the width of every hidden layer."""

    scale: PositiveFloat = 1.0


class LossRecipe(Table):
    """What each term counts. One of weight 0 is not computed: without content no VGG, without texture no discriminator.

    The first four are DPED's. `pixel` is colour without its blur, for recipes that can afford no VGG.
    """

    content: NonNegativeFloat = 10.0
    texture: NonNegativeFloat = 1.0
    colour: NonNegativeFloat = 0.5
    tv: NonNegativeFloat = 2000.0
    pixel: NonNegativeFloat = 0.0


class Recipe(Table):
    """A training run's settings; the defaults are those of the authors' code.

    lr                  Adam's learning rate
    schedule            "constant": the best validation's weights are the run's result; or "cosine": falling to 0 along
                        half a cosine, and the last weights are the result, since only they have settled
    batch               pairs per step, drawn with replacement
    iterations          generator steps; each is followed by a discriminator step on another batch
    eval_every          iterations between validations, which also save a checkpoint
    validation_patches  at most so many pairs, evenly spaced over the validation split, are scored
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")  # part of its runs' folder names
    summary: str = ""
    generator: GeneratorRecipe = GeneratorRecipe()
    discriminator: DiscriminatorRecipe = DiscriminatorRecipe()
    losses: LossRecipe = LossRecipe()
    lr: PositiveFloat = 5e-4
    schedule: Literal["constant", "cosine"] = "constant"
    batch: PositiveInt = 50
    iterations: PositiveInt = 20_000
    eval_every: PositiveInt = 1_000
    validation_patches: PositiveInt = 512


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with dpedkit."""
    return sorted(item.name.removesuffix(".toml") for item in _SHIPPED.iterdir() if item.name.endswith(".toml"))


def load_recipe(name_or_path: str | Path, overrides: Mapping[str, str] | None = None) -> Recipe:
    """Return a recipe by its name, or from a .toml file, with some values replaced.

    overrides  dotted key -> value as TOML, a bare word standing for itself: {"lr": "1e-4", "generator.start": "matrix"}

    Raises:
        RecipeError: no such recipe, or an unknown key or a wrong value in it or in `overrides`.
    """
    try:
        table = _read(name_or_path)
        for key, text in (overrides or {}).items():
            _put(table, key, text)
        return check(Recipe, {"name": Path(name_or_path).stem, **table}, f"recipe {name_or_path}")
    except SettingsError as error:
        raise RecipeError(error.cause, error.remedy) from None


def _read(name_or_path: str | Path) -> dict[str, Any]:
    """Return the TOML table of a shipped recipe or of a file."""
    if str(name_or_path).endswith(".toml"):
        return read_toml(Path(name_or_path))
    name, known = str(name_or_path), recipe_names()
    if name not in known:
        raise RecipeError(
            f"no recipe {name!r}{nearest(name, known)}",
            f"recipes: {', '.join(known)}; or give the path of a .toml file",
        )
    return tomllib.loads((_SHIPPED / f"{name}.toml").read_text(encoding="utf-8"))


def _put(table: dict[str, Any], key: str, text: str) -> None:
    """Set a dotted key of nested tables."""
    *parents, last = key.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise RecipeError(f"--set {key}: {parent} is a value, not a table", "see the recipe's keys")
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text
