"""One TOML file per recipe, found by the name that `dpedkit train --recipe` calls it.

Another package brings a recipe with an entry point in the group "dpedkit.recipes":

    [project.entry-points."dpedkit.recipes"]
    soft = "my_package:soft.toml"

The file lies in that package. Listing the names imports nothing.
"""

from __future__ import annotations

from importlib import resources
from importlib.metadata import entry_points

from dpedkit.errors import RecipeError
from dpedkit.settings import nearest

ENTRY_POINTS = "dpedkit.recipes"


def recipes() -> dict[str, str]:
    """Return the recipes there are, dpedkit's own and those of installed packages: name -> "package:file"."""
    foreign = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    files = sorted(file.name for file in resources.files(__name__).iterdir() if file.name.endswith(".toml"))
    return foreign | {name.removesuffix(".toml"): f"{__name__}:{name}" for name in files}


def recipe_text(name: str) -> str:
    """Return the file of a recipe: what differs from DPED, and why.

    Raises:
        RecipeError: no such recipe, or the package that brings it does not hold its file.
    """
    known = recipes()
    if name not in known:
        raise RecipeError(
            f"no recipe {name!r}{nearest(name, known)}",
            f"recipes: {', '.join(sorted(known))}; or give the path of a .toml file",
        )
    package, _, file = known[name].partition(":")
    try:
        return (resources.files(package) / file).read_text(encoding="utf-8")
    except Exception as error:  # importing somebody's package may raise anything
        raise RecipeError(
            f"recipe {name!r} cannot be read from {known[name]}: {error}", "install that package again, or remove it"
        ) from error
