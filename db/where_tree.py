"""A query as a tree, and its text."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Operator = Literal["=", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, in lower case; `at` is where it stands in the text."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text, or true or false."""

    value: float | str | bool
    at: int = field(default=0, compare=False)


Value: TypeAlias = "Column | Constant"


@dataclass(frozen=True, slots=True)
class Compare:
    """One value beside another; a missing one makes it false, whatever the operator."""

    operator: Operator
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """Whether a column is one of some constants."""

    column: Column
    constants: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """Whether a text column looks like a pattern, in whatever case."""

    column: Column
    pattern: Constant


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a column has no value."""

    column: Column


@dataclass(frozen=True, slots=True)
class IsTrue:
    """A column of true and false, by itself."""

    column: Column


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Where


@dataclass(frozen=True, slots=True)
class Every:
    """All of two or more."""

    parts: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of two or more."""

    parts: tuple[Where, ...]


Where: TypeAlias = "Compare | OneOf | Like | Missing | IsTrue | Not | Every | Some"


def unparse(where: Where) -> str:
    """Return a text that `parse` reads as the same tree."""
    match where:
        case Compare(operator, left, right):
            text = f"{_word(left)} {operator} {_word(right)}"
        case OneOf(column, constants):
            text = f"{column.name} in ({', '.join(map(_word, constants))})"
        case Like(column, pattern):
            text = f"{column.name} like {_word(pattern)}"
        case Missing(column):
            text = f"{column.name} is missing"
        case IsTrue(column):
            text = column.name
        case Not(part):
            text = f"not ({unparse(part)})"
        case Every(parts) | Some(parts):
            joint = " and " if isinstance(where, Every) else " or "
            text = joint.join(
                f"({unparse(part)})" if isinstance(part, Every | Some) else unparse(part) for part in parts
            )
    return text


def named(where: Where) -> set[str]:
    """Return the columns that a tree names."""
    match where:
        case Compare(_, left, right):
            return {value.name for value in (left, right) if isinstance(value, Column)}
        case OneOf(column) | Like(column) | Missing(column) | IsTrue(column):
            return {column.name}
        case Not(part):
            return named(part)
        case Every(parts) | Some(parts):
            return set().union(*map(named, parts))


def set_apart(where: Where, columns: AbstractSet[str]) -> tuple[Where, dict[str, Where]]:
    """Return a tree whose largest parts that name only these columns are columns themselves, and what these stand for.

    Their names have a space, so that no query can ask for them.
    """
    parts: dict[str, Where] = {}

    def rest(of: Where) -> Where:
        if named(of) <= columns:
            name = f"part {len(parts)}"
            parts[name] = of
            return IsTrue(Column(name))
        match of:
            case Not(part):
                return Not(rest(part))
            case Every(of_all):
                return Every(tuple(map(rest, of_all)))
            case Some(of_any):
                return Some(tuple(map(rest, of_any)))
        return of

    return rest(where), parts


def _word(value: Value) -> str:
    if isinstance(value, Column):
        return value.name
    if isinstance(value.value, str):
        return "'" + value.value.replace("'", "''") + "'"
    return str(value.value).lower() if isinstance(value.value, bool) else repr(value.value)
