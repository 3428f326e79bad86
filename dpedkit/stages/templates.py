"""Pages from the templates that lie beside this module; every value is escaped, and None shows as nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import jinja2


def render(name: str, fields: Mapping[str, object]) -> str:
    """Return the page that template `name` makes of its fields; a field that it asks for and does not get is a bug."""
    loader = jinja2.FunctionLoader(resource)  # templates import parts from one another
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown)
    return environment.get_template(name).render(fields)


def resource(name: str) -> str:
    """Return the text of a file that lies beside this module."""
    return resources.files("dpedkit.stages").joinpath(name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    return "" if value is None else value
