"""Pages from templates that lie beside the code; every value is escaped, and None shows as nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import jinja2


def render(name: str, fields: Mapping[str, object], *, package: str = "dpedkit.stages") -> str:
    """Return the page that template `name` makes of its fields; a field that it asks for and does not get is a bug.

    package  where it lies, with the templates that it names
    """
    loader = jinja2.FunctionLoader(lambda other: resource(other, package=package))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown, loader=loader)
    return environment.get_template(name).render(fields)


def resource(name: str, *, package: str = "dpedkit.stages") -> str:
    """Return the text of a file that lies in a package."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    return "" if value is None else value
