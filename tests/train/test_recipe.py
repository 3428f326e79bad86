from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import ValidationError

from dpedkit.errors import RecipeError
from dpedkit.train import Recipe, load_recipe, recipe_names
from dpedkit.train.losses import LossWeights


def test_dped_is_what_the_authors_code_trains() -> None:
    recipe = load_recipe("dped")
    assert recipe == Recipe(name="dped", summary=recipe.summary)
    weights = {name: weight for name, weight in recipe.losses.model_dump().items() if weight}
    assert weights == {"content": 10, "texture": 1, "colour": 0.5, "tv": 2000}
    assert recipe.generator.model_dump() == {"kind": "dped", "width": 64, "blocks": 4, "start": "noise"}
    assert recipe.betas == (0.9, 0.999)
    assert (recipe.lr, recipe.batch, recipe.iterations, recipe.eval_every) == (5e-4, 50, 20_000, 1_000)
    assert recipe.schedule == "constant"


def test_the_recipes_weights_are_the_losses_own() -> None:
    assert asdict(LossWeights()) == load_recipe("dped").losses.model_dump()


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_carries_its_name(name: str) -> None:
    assert load_recipe(name).name == name


def test_a_recipe_is_read_only() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_recipe("small").lr = 1.0  # type: ignore[misc]


def test_overrides_reach_nested_keys_and_read_toml_values() -> None:
    recipe = load_recipe("small", {"lr": "1e-4", "generator.width": "8", "generator.start": "noise", "losses.tv": "2"})
    assert (recipe.lr, recipe.generator.width, recipe.generator.start, recipe.losses.tv) == (1e-4, 8, "noise", 2.0)
    assert recipe.generator.blocks == load_recipe("small").generator.blocks


def test_a_file_states_differences_only(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("batch = 7\n[losses]\ncolour = 3\n")
    recipe = load_recipe(path)
    assert recipe.name == "mine"
    assert recipe.batch == 7
    assert recipe.losses.colour == 3
    assert recipe.losses.content == 10


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("smal", {}, r"no recipe 'smal', did you mean 'small'\?\nrecipes: .*dped, .*small"),
        ("small", {"iteration": "5"}, r"iteration: unknown key, did you mean 'iterations'\?"),
        ("small", {"losses.color": "5"}, r"losses.color: unknown key, did you mean 'colour'\?"),
        ("small", {"lr": "-1"}, r"lr: .*greater than 0, found -1"),
        ("small", {"lr": "fast"}, r"lr: .*valid number.*'fast'"),
        ("small", {"lr.x": "1"}, r"--set lr.x: lr is a value, not a table"),
        ("missing.toml", {}, r"no file missing.toml"),
    ],
)
def test_wrong_recipes_say_what_is_near(name: str, overrides: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(name, overrides)
    assert caught.value.remedy
    assert caught.value.exit_code == 2
