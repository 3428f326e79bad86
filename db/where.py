"""The query language: text to a tree. No database, no columns: only the grammar.

    query       = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation    = "not" negation | "(" query ")" | test
    test        = value ("=" | "!=" | "<" | "<=" | ">" | ">=") value
                | column ["not"] "in" "(" literal {"," literal} ")"
                | column ["not"] "like" text            * stands for any characters, ? for one
                | column "is" ["not"] "missing"
                | column                                of a column that is true or false
    value       = column | literal
    literal     = 12.5 | -3e-2 | 'text' | "text" | true | false

Words are read in whatever case; a quote within text is written twice. `==` is `=`, `<>` is `!=`, `null` is `missing`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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

LONGEST = 4_000
"""Characters that a query may have."""
DEEPEST = 50
"""Parentheses and negations that may lie within each other."""


def parse(text: str) -> Where:
    """Return the tree of a query.

    Raises:
        QueryError: it cannot be read; says at which character.
    """
    if len(text) > LONGEST:
        raise QueryError("a query may have 4,000 characters", text[:LONGEST], LONGEST)
    return _Parser(text).query()


_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
      | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<word>[^\W\d]\w*)
      | (?P<sign><=|>=|!=|<>|==|[=<>(),])""",
    re.VERBOSE,
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # no database holds them
_SIGNS = {"==": "=", "<>": "!="}
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
_RESERVED = frozenset({"and", "or", "not", "in", "like", "is", "missing", "null", "true", "false"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    """Recursive descent, a method for each line of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._read())
        self._next = 0
        self._depth = 0

    def query(self) -> Where:
        if self._peek().kind == "end":
            raise self._error("a query is wanted, such as: residual_px < 0.2")
        where = self._some()
        if self._peek().kind != "end":
            raise self._error("'and' or 'or' is wanted here")
        return where

    def _read(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise QueryError(self._unreadable(at), self._text, at)
            kind, text = str(found.lastgroup), found.group()
            if kind == "word" and text.lower() in _RESERVED:
                kind, text = "reserved", text.lower()
            if kind != "space":
                yield _Token(kind, _SIGNS.get(text, text), at)
            at = found.end()
        yield _Token("end", "", at)

    def _unreadable(self, at: int) -> str:
        character = self._text[at]
        if character in "'\"":
            return "this quote is never closed"
        if character.isdigit() or (character in "+-." and self._text[at + 1 : at + 2].isdigit()):
            return "this is no number; a name does not begin with a digit"
        return f"{character!r} has no meaning here"

    def _some(self) -> Where:
        return self._joined("or", self._every, Some)

    def _every(self) -> Where:
        return self._joined("and", self._negation, Every)

    def _joined(self, word: str, part: Callable[[], Where], join: Callable[[tuple[Where, ...]], Where]) -> Where:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else join(tuple(parts))

    def _negation(self) -> Where:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error(f"more than {DEEPEST} parentheses and negations within each other")
        if self._takes("not"):
            where: Where = Not(self._negation())
        elif self._takes("("):
            where = self._some()
            self._wants(")")
        else:
            where = self._test()
        self._depth -= 1
        return where

    def _test(self) -> Where:
        left = self._value()
        token = self._peek()
        if token.text in _OPERATORS and token.kind == "sign":
            self._next += 1
            right = self._value()
            return Compare(token.text, left, right)  # type: ignore[arg-type]  # it is one of them
        if isinstance(left, Constant):
            raise self._error("a comparison is wanted here, such as: <")
        if self._takes("is"):
            is_not = self._takes("not")
            if not (self._takes("missing") or self._takes("null")):
                raise self._error("'missing' is wanted here")
            return Not(Missing(left)) if is_not else Missing(left)
        if self._takes("not"):
            return Not(self._membership(left, "'in' or 'like' is wanted here"))
        if token.text in ("in", "like"):
            return self._membership(left, "")
        return IsTrue(left)

    def _membership(self, column: Column, otherwise: str) -> Where:
        if self._takes("like"):
            pattern = self._constant("a text is wanted here, such as: 'street*'")
            return Like(column, pattern)
        if not self._takes("in"):
            raise self._error(otherwise)
        self._wants("(")
        wanted = "a number or a text is wanted here"
        constants = [self._constant(wanted)]
        while self._takes(","):
            constants.append(self._constant(wanted))
        self._wants(")")
        return OneOf(column, tuple(constants))

    def _constant(self, wanted: str) -> Constant:
        at = self._next
        value = self._value()
        if isinstance(value, Column):
            self._next = at
            raise self._error(wanted)
        return value

    def _value(self) -> Value:
        token = self._peek()
        self._next += 1
        match token.kind:
            case "word":
                return Column(token.text.lower(), token.at)
            case "number":
                number = float(token.text)
                if math.isfinite(number):
                    return Constant(number, token.at)
                self._next -= 1
                raise self._error("this number is too large")
            case "text" if not _UNSTORABLE.search(token.text):
                quote = token.text[0]
                return Constant(token.text[1:-1].replace(2 * quote, quote), token.at)
            case "text":
                self._next -= 1
                raise self._error("there is a character that cannot be in a text")
            case "reserved" if token.text in ("true", "false"):
                return Constant(token.text == "true", token.at)
        self._next -= 1
        raise self._error("a column or a value is wanted here")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _takes(self, text: str) -> bool:
        """Take the next token if it is this word or sign."""
        token = self._peek()
        if token.kind in ("reserved", "sign") and token.text == text:
            self._next += 1
            return True
        return False

    def _wants(self, text: str) -> None:
        if not self._takes(text):
            raise self._error(f"{text!r} is wanted here")

    def _error(self, cause: str) -> QueryError:
        return QueryError(cause, self._text, self._peek().at)
