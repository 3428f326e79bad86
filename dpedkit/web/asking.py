"""What visitors ask, checked; and what they are answered, worked out on other threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dpedkit.errors import CorpusError


async def answer(ask: Callable[..., Any], *words: Any) -> Response:
    """Answer with the JSON of what `ask` returns."""
    return JSONResponse(await found(ask, *words))


async def found(ask: Callable[..., Any], *words: Any, threads: CapacityLimiter | None = None) -> Any:
    """Return what `ask` does, on another thread; what the corpus does not hold is not there (404)."""
    try:
        return await to_thread.run_sync(ask, *words, limiter=threads)
    except CorpusError as error:
        raise HTTPException(404, error.cause) from error


async def json_fields(request: Request, **wanted: type) -> dict[str, Any]:
    """Return the fields of a JSON body, each of its type; anything else is refused (400, 415)."""
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415, "want application/json")
    try:
        given = await request.json()
        fields = {name: given[name] for name in wanted}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HTTPException(400, f"want an object with {', '.join(wanted)}") from error
    for name, kind in wanted.items():
        if type(fields[name]) is not kind:
            raise HTTPException(400, f"{name} is not a {kind.__name__}")
        if kind is int and not 0 <= fields[name] < 1 << 63:  # databases count no further
            raise HTTPException(400, f"{name} is out of range")
    return fields


def number(text: str) -> int:
    """Return a number of an address; anything else is refused (400)."""
    if not text.isdecimal() or len(text) > 9:
        raise HTTPException(400, "want a number")
    return int(text)
