"""The review page: look at pairs, accept and reject them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dpedkit.errors import CorpusError
from dpedkit.stages.reviewing import ORDERS, SHOWN, Gallery
from dpedkit.web.app import package_files, package_text

START = "/review"
PAGE = 60
_MOST = 200
_DRAWING = 8  # threads that may be taken by pictures, so that decisions never wait for those
_FILES = (
    *("review.css", "review.js", "grid.js", "viewer.js", "stage.js"),
    *("pictures.js", "overlays.js", "address.js", "api.js"),
)


def review_routes(gallery: Gallery, columns: dict[str, str]) -> list[BaseRoute]:
    """Return the routes of the review page.

    columns  what a query may ask of pairs, for the page to suggest
    """
    drawing = CapacityLimiter(_DRAWING)

    async def page(_request: Request) -> Response:
        return HTMLResponse(package_text("review.html"))

    async def pairs(request: Request) -> Response:
        given = request.query_params
        order, show = given.get("order", "shot"), given.get("show", "all")
        if order not in ORDERS or show not in SHOWN:
            raise HTTPException(400, "no such order or choice")
        offset, limit = _number(given.get("offset", "0")), min(_number(given.get("limit", str(PAGE))), _MOST)
        after = frozenset(filter(None, given.get("after", "").split(",", _MOST)))
        return await _answer(gallery.page, given.get("where", ""), show, order, offset, limit, after)

    async def names(_request: Request) -> Response:
        return JSONResponse(columns)

    async def counts(_request: Request) -> Response:
        return await _answer(gallery.counts)

    async def pair(request: Request) -> Response:
        return await _answer(gallery.pair, request.path_params["id"])

    async def picture(request: Request) -> Response:
        words = (request.path_params[name] for name in ("id", "key", "name"))
        found = await _or_404(gallery.picture, *words, threads=drawing)
        lasts = "private, max-age=31536000, immutable" if found.lasting else "no-store"
        return Response(found.data, media_type="image/jpeg", headers={"Cache-Control": lasts})

    async def decide(request: Request) -> Response:
        given = await _json(request, verdict=str, seen=int)
        return await _answer(gallery.decide, request.path_params["id"], given["verdict"], given["seen"])

    async def undo(request: Request) -> Response:
        given = await _json(request, batch=int)
        return await _answer(gallery.undo, request.path_params["id"], given["batch"])

    async def home(_request: Request) -> Response:
        return RedirectResponse(START)

    async def icon(_request: Request) -> Response:
        return Response(status_code=204)

    return [
        Route("/", home),
        Route("/favicon.ico", icon),
        Route(START, page),
        Route("/api/columns", names),
        Route("/api/counts", counts),
        Route("/api/pairs", pairs),
        Route("/api/pairs/{id}", pair),
        Route("/api/pairs/{id}/decide", decide, methods=["POST"]),
        Route("/api/pairs/{id}/undo", undo, methods=["POST"]),
        Route("/pictures/{id}/{key}/{name}", picture),
        *package_files(*_FILES),
    ]


async def _answer(ask: Callable[..., Any], *words: Any) -> Response:
    return JSONResponse(await _or_404(ask, *words))


async def _or_404(ask: Callable[..., Any], *words: Any, threads: CapacityLimiter | None = None) -> Any:
    """Ask on another thread; what the corpus does not hold is not there."""
    try:
        return await to_thread.run_sync(ask, *words, limiter=threads)
    except CorpusError as error:
        raise HTTPException(404, error.cause) from error


async def _json(request: Request, **wanted: type) -> dict[str, Any]:
    """Return the fields of a JSON body, each of its type."""
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415, "want application/json")
    try:
        given = await request.json()
        found = {name: given[name] for name in wanted}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HTTPException(400, f"want an object with {', '.join(wanted)}") from error
    for name, kind in wanted.items():
        if type(found[name]) is not kind:
            raise HTTPException(400, f"{name} is not a {kind.__name__}")
        if kind is int and not 0 <= found[name] < 1 << 63:  # databases count no further
            raise HTTPException(400, f"{name} is out of range")
    return found


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise HTTPException(400, "want a number")
    return int(text)
