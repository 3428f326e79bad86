"""Recipes: everything that decides a training run but the pictures. A TOML file states what differs from DPED's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Tag

from dpedkit.errors import RecipeError, SettingsError
from dpedkit.settings import Table, check, read_toml
from dpedkit.train.recipes import recipe_text, recipes
from dpedkit.types import Json

Share = Annotated[float, Field(ge=0, lt=1)]


class DpedRecipe(Table):
    """DPED's generator: its size and what it is before training.

    width   channels of every hidden layer
    blocks  residual blocks
    start   "noise": small random weights, as DPED's; "matrix": weights that return the phone's photo through the 3x3
            colour matrix and offset that fit the training patches best, to improve on
    """

    kind: Literal["dped"] = "dped"
    width: int = Field(default=64, ge=3)
    blocks: NonNegativeInt = 4
    start: Literal["noise", "matrix"] = "noise"


class SrcnnRecipe(Table):
    """SRCNN, which has one size."""

    kind: Literal["srcnn"]


class NafnetRecipe(Table):
    """NAFNet: channels at full size, times that the picture is halved, and blocks at the smallest size."""

    kind: Literal["nafnet"]
    width: PositiveInt = 16
    levels: NonNegativeInt = 3
    middle: NonNegativeInt = 1


class CsrnetRecipe(Table):
    """CSRNet: channels of what retouches, and of what looks at the whole photo."""

    kind: Literal["csrnet"]
    width: PositiveInt = 64
    condition: PositiveInt = 32


def _kind(table: Any) -> Any:
    return table.get("kind", "dped") if isinstance(table, dict) else getattr(table, "kind", None)


GeneratorRecipe = Annotated[
    Annotated[DpedRecipe, Tag("dped")]
    | Annotated[SrcnnRecipe, Tag("srcnn")]
    | Annotated[NafnetRecipe, Tag("nafnet")]
    | Annotated[CsrnetRecipe, Tag("csrnet")],
    Discriminator(_kind),
]


class DiscriminatorRecipe(Table):
    """The discriminator's size: `scale` multiplies the width of every hidden layer."""

    scale: PositiveFloat = 1.0


class LossRecipe(Table):
    """What each term counts. One of weight 0 is not computed: without content no VGG, without texture no discriminator.

    The first four are DPED's. `pixel` is colour without its blur, `l1` the mean absolute difference, `psnr` minus the
    PSNR in dB.
    """

    content: NonNegativeFloat = 10.0
    texture: NonNegativeFloat = 1.0
    colour: NonNegativeFloat = 0.5
    tv: NonNegativeFloat = 2000.0
    pixel: NonNegativeFloat = 0.0
    l1: NonNegativeFloat = 0.0
    psnr: NonNegativeFloat = 0.0


class Recipe(Table):
    """A training run's settings; the defaults are those of the authors' code.

    lr                  Adam's learning rate
    betas               how much of its two running means Adam keeps at each step
    schedule            "constant": the best validation's weights are the run's result; or "cosine": falling to 0 along
                        half a cosine, and the last weights are the result, since only they have settled
    ema                 share that the running mean of the generator's weights keeps of itself at each step, such as
                        0.999; it is then what is validated and used. 0: the weights themselves
    batch               pairs per step, drawn with replacement
    iterations          generator steps; each is followed by a discriminator step on another batch
    eval_every          iterations between validations, which also save a checkpoint
    patience            validations without a better one after which the run ends; 0: it runs to its end
    validation_patches  at most so many pairs, evenly spaced over the validation split, are scored
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")  # part of its runs' folder names
    summary: str = ""
    generator: GeneratorRecipe = DpedRecipe()
    discriminator: DiscriminatorRecipe = DiscriminatorRecipe()
    losses: LossRecipe = LossRecipe()
    lr: PositiveFloat = 5e-4
    betas: tuple[Share, Share] = (0.9, 0.999)
    schedule: Literal["constant", "cosine"] = "constant"
    ema: Share = 0.0
    batch: PositiveInt = 50
    iterations: PositiveInt = 20_000
    eval_every: PositiveInt = 1_000
    patience: NonNegativeInt = 0
    validation_patches: PositiveInt = 512


def recipe_names() -> list[str]:
    """Return the names of the recipes there are, dpedkit's own and those of installed packages."""
    return sorted(recipes())


def recipe_schema() -> Json:
    """Return the JSON Schema of a recipe's file, for editors. Its name may be left out: it is the file's."""
    schema = Recipe.model_json_schema()
    del schema["required"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


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
        name = Path(name_or_path).name.removesuffix(".toml")
        return check(Recipe, {"name": name, **table}, f"recipe {name_or_path}")
    except SettingsError as error:
        raise RecipeError(error.cause, error.remedy) from None


def _read(name_or_path: str | Path) -> dict[str, Any]:
    """Return the TOML table of a recipe by its name, or of a file."""
    if str(name_or_path).endswith(".toml"):
        return read_toml(Path(name_or_path))
    try:
        return tomllib.loads(recipe_text(str(name_or_path)))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {name_or_path} is not TOML: {error}", "tell those who made it") from None


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
