"""Queries of `dpedkit.db.where` as conditions of a statement: its values are bound, its columns are looked up."""

from __future__ import annotations

import operator
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Float,
    Integer,
    SQLColumnExpression,
    String,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from dpedkit.db.decisions import Keyed, has_tag, has_tags
from dpedkit.db.where import parse
from dpedkit.db.where_tree import (
    Column,
    Compare,
    Constant,
    Every,
    IsTrue,
    Like,
    Missing,
    Not,
    OneOf,
    Some,
    Value,
    Where,
)
from dpedkit.errors import QueryError
from dpedkit.settings import nearest

Kind: TypeAlias = Literal["number", "text", "truth"]
TAG = "tag"

_KINDS: Mapping[type[Any], Kind] = {Boolean: "truth", Float: "number", Integer: "number", String: "text"}
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True, eq=False)
class Fields:
    """What a query may name.

    columns  name -> expression
    kind     "pair", "patch" or "" where there are no tags
    key      by which decisions know the row
    ids      by which the database knows it
    """

    columns: Mapping[str, SQLColumnExpression[Any]]
    kind: str = ""
    key: Keyed | None = None
    ids: tuple[SQLColumnExpression[int], ...] = ()

    def kinds(self) -> dict[str, Kind]:
        """Return the kind of every column that can be asked for, in order."""
        return {name: kind for name, column in self.columns.items() if (kind := _kind(column))}


def condition(text: str, fields: Fields, where: Where | None = None) -> ColumnElement[bool]:
    """Return a query as a condition.

    where  the tree of a part of `text`; left out: of all of it

    A comparison with a missing value is false, and `not` of it true, as in Python with its NaN; not as in SQL.

    Raises:
        QueryError: it cannot be read, names an unknown column, or compares what cannot be compared.
    """
    return _Compiler(text, fields).of(where or parse(text))


def _kind(column: SQLColumnExpression[Any]) -> Kind | None:
    sort = getattr(column, "type", None)
    return next((kind for sql, kind in _KINDS.items() if isinstance(sort, sql)), None)


class _folded(FunctionElement[str]):  # noqa: N801  (functions of SQL are named so)
    """A text in lower case, for `like`; SQLite's own takes any case for the same, and half a million calls are slow."""

    name, type, inherit_cache = "folded", String(), True


@compiles(_folded)
def _lower(element: _folded, compiler: SQLCompiler, **words: Any) -> str:
    return f"lower({compiler.process(element.clauses, **words)})"


@compiles(_folded, "sqlite")
def _as_is(element: _folded, compiler: SQLCompiler, **words: Any) -> str:
    return compiler.process(element.clauses, **words)


class _Compiler:
    def __init__(self, text: str, fields: Fields) -> None:
        self._text, self._fields, self._kinds = text, fields, fields.kinds()

    def of(self, where: Where) -> ColumnElement[bool]:  # noqa: PLR0911  (one for each kind of node)
        match where:
            case Compare():
                return self._compare(where)
            case OneOf(column, constants):
                return or_(*(self._compare(Compare("=", column, constant)) for constant in constants))
            case Like(column, pattern):
                return self._like(column, pattern)
            case Missing(column):
                if self._is_tag(column):
                    return not_(has_tags(self._fields.kind, self._key))
                return self._column(column).is_(None)
            case IsTrue(column):
                if self._kind_of(column) != "truth":
                    raise self._error("this column is not true or false: a comparison is wanted", column)
                return and_(self._column(column))
            case Not(part):
                return not_(func.coalesce(self.of(part), false()))
            case Every(parts):
                return and_(*(self.of(part) for part in parts))
            case Some(parts):
                return or_(*(self.of(part) for part in parts))

    def _compare(self, where: Compare) -> ColumnElement[bool]:
        left, right = where.left, where.right
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Column) and self._is_tag(one):
                return self._tag(where, other)
        kinds = self._kind_of(left), self._kind_of(right)
        if kinds[0] != kinds[1]:
            raise self._error(f"a {kinds[0]} cannot be compared with a {kinds[1]}", right)
        if kinds[0] == "truth" and where.operator not in ("=", "!="):
            raise self._error("true and false can only be compared with = and !=", right)
        compared: ColumnElement[bool] = _OPERATORS[where.operator](self._value(left), self._value(right))
        return compared

    def _like(self, column: Column, pattern: Constant) -> ColumnElement[bool]:
        if not isinstance(pattern.value, str) or (not self._is_tag(column) and self._kind_of(column) != "text"):
            raise self._error("only a text is like a text", pattern)
        escaped = "".join(f"\\{character}" if character in "\\%_" else character for character in pattern.value)
        sql = escaped.replace("*", "%").replace("?", "_").translate(_LOWER)
        if self._is_tag(column):
            return has_tags(self._fields.kind, self._key, like=sql)
        return _folded(self._column(column)).like(sql, escape="\\")

    def _tag(self, where: Compare, other: Value) -> ColumnElement[bool]:
        if not isinstance(other, Constant) or not isinstance(other.value, str) or where.operator not in ("=", "!="):
            raise self._error("a tag can be = or != a text", other)
        found = has_tag(self._fields.kind, self._key, other.value)
        return found if where.operator == "=" else not_(found)

    @property
    def _key(self) -> Keyed:
        assert self._fields.key is not None, "tags are only looked for where rows have a key"
        return self._fields.key

    def _is_tag(self, column: Column) -> bool:
        return column.name == TAG and self._fields.key is not None

    def _value(self, value: Value) -> SQLColumnExpression[Any]:
        return self._column(value) if isinstance(value, Column) else literal(value.value)

    def _column(self, column: Column) -> SQLColumnExpression[Any]:
        self._kind_of(column)
        return self._fields.columns[column.name]

    def _kind_of(self, value: Value) -> Kind:
        if isinstance(value, Constant):
            return {bool: "truth", str: "text"}.get(type(value.value), "number")  # type: ignore[return-value]
        if value.name not in self._kinds:
            known = [*self._kinds, *([TAG] if self._fields.key is not None else [])]
            raise self._error(f"no column {value.name!r}{nearest(value.name, known)}", value)
        return self._kinds[value.name]

    def _error(self, problem: str, value: Value) -> QueryError:
        return QueryError(problem, self._text, value.at)
