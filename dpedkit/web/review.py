"""The review page: look at pairs, accept and reject them."""

from __future__ import annotations

from anyio import CapacityLimiter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dpedkit.stages.reviewing import ORDERS, SHOWN, Gallery
from dpedkit.web.app import package_files, page_of
from dpedkit.web.asking import answer, found, json_fields, number

START = "/review"
PAGE = 60
_MOST = 200
_DRAWING = 8  # threads that may be taken by pictures, so that decisions never wait for those
_FILES = ("review.css", "review.js", "grid.js", "viewer.js", "stage.js", "overlays.js", "address.js")


def review_routes(gallery: Gallery, columns: dict[str, str]) -> list[BaseRoute]:
    """Return the routes of the review page.

    columns  what a query may ask of pairs, for the page to suggest
    """
    drawing = CapacityLimiter(_DRAWING)

    async def page(_request: Request) -> Response:
        return page_of("review.html")

    async def pairs(request: Request) -> Response:
        given = request.query_params
        order, show = given.get("order", "shot"), given.get("show", "all")
        if order not in ORDERS or show not in SHOWN:
            raise HTTPException(400, "no such order or choice")
        offset, limit = number(given.get("offset", "0")), min(number(given.get("limit", str(PAGE))), _MOST)
        after = frozenset(filter(None, given.get("after", "").split(",", _MOST)))
        return await answer(gallery.page, given.get("where", ""), show, order, offset, limit, after)

    async def names(_request: Request) -> Response:
        return JSONResponse(columns)

    async def counts(_request: Request) -> Response:
        return await answer(gallery.counts)

    async def pair(request: Request) -> Response:
        return await answer(gallery.pair, request.path_params["id"])

    async def picture(request: Request) -> Response:
        words = (request.path_params[name] for name in ("id", "key", "name"))
        drawn = await found(gallery.picture, *words, threads=drawing)
        lasts = "private, max-age=31536000, immutable" if drawn.lasting else "no-store"
        return Response(drawn.data, media_type="image/jpeg", headers={"Cache-Control": lasts})

    async def decide(request: Request) -> Response:
        given = await json_fields(request, verdict=str, seen=int)
        return await answer(gallery.decide, request.path_params["id"], given["verdict"], given["seen"])

    async def undo(request: Request) -> Response:
        given = await json_fields(request, batch=int)
        return await answer(gallery.undo, request.path_params["id"], given["batch"])

    return [
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
