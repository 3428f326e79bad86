"""TOML files checked against pydantic models: workspace, rig and recipe files all complain in the same way."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from dpedkit.errors import SettingsError
from dpedkit.files import storage_error
from dpedkit.types import Json


class Table(BaseModel):
    """A TOML table: read only, and a key nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T", bound=Table)


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's contents.

    Raises:
        SettingsError: no such file, or not TOML.
        StorageError: the file cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.toml"))) or "none"
        raise SettingsError(f"no file {path}", f"TOML files that are there: {known}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}", "correct the file there") from None
    except OSError as error:
        raise storage_error(error, path) from error


def check(model: type[T], table: Mapping[str, Any], source: str) -> T:
    """Return `table` as a `model`.

    source  what the message calls the place the values come from: a file, or "--set"

    Raises:
        SettingsError: a wrong key or value; the message names the source, the key and, for an unknown key, the
            nearest known one.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise _explain(error, model, table, source) from None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ", did you mean 'x'?" for the known word closest to `word`; "" if none is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _explain(error: ValidationError, model: type[Table], table: Mapping[str, Any], source: str) -> SettingsError:
    """Turn pydantic's first complaint into one line of cause, with file and key, and one of remedy."""
    first, *others = error.errors()
    place = first["loc"]
    where = _named(place, table)
    cause = {
        "extra_forbidden": "unknown key",
        "missing": "this key is missing",
        "value_error": first["msg"].removeprefix("Value error, "),
    }.get(first["type"], f"{first['msg']}, found {first['input']!r}")
    remedy = "correct it there"
    if first["type"] == "extra_forbidden":
        keys = _keys_at(model, place[:-1])
        cause += nearest(str(place[-1]), keys)
        remedy = f"known keys: {', '.join(keys)}"
    if others:
        remedy += f" ({len(others)} more after this one)"
    return SettingsError(": ".join(part for part in (source, where, cause) if part), remedy)


def _named(place: Iterable[int | str], table: Any) -> str:
    """Return a key's path; an entry of a list of tables goes by its name, where it has one."""
    words: list[str] = []
    for step in place:
        try:
            table = table[step]
        except (KeyError, IndexError, TypeError):
            table = None
        if isinstance(step, int) and words:
            name = table.get("name", step) if isinstance(table, dict) else step
            words[-1] = f"{words[-1]} {name!r}"
        else:
            words.append(str(step))
    return ".".join(words)


def _keys_at(model: type[BaseModel], place: Iterable[int | str]) -> list[str]:
    """Return the keys that the table at `place` may have."""
    for step in place:
        for key, field in model.model_fields.items():
            if step in (key, field.alias):
                inner = [field.annotation, *get_args(field.annotation)]
                model = next((t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)), model)
    return sorted(field.alias or key for key, field in model.model_fields.items())


def leaves(table: Json, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables by their dotted keys."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
