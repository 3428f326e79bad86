"""The application that all pages join: routes behind the guard, errors as cause and remedy, files of this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dpedkit.errors import (
    AnswerRefused,
    DpedError,
    ImageError,
    MissingExtra,
    QueryError,
    QueueFull,
    StorageError,
    UnknownCode,
    UsageError,
    WorkerDied,
)
from dpedkit.stages.overview import missing_extra
from dpedkit.stages.templates import render, resource
from dpedkit.web.guard import Guard

_KINDS = {"css": "text/css", "js": "text/javascript"}
_STATUS = (
    *((UsageError, 400), (UnknownCode, 404), (AnswerRefused, 409)),
    *((MissingExtra, 501), (ImageError, 422), (WorkerDied, 422), (QueueFull, 503), (StorageError, 507)),
)


_SHARED = ("site.css", "compare.css", "compare.js", "pictures.js", "api.js")


def make_app(
    routes: Sequence[BaseRoute],
    *,
    hosts: frozenset[str] | None,
    token: str = "",
    uploads: Mapping[str, int] = MappingProxyType({}),
) -> Guard:
    """Return the application that serves `routes`, and what all pages share.

    hosts, token, uploads  as in `Guard`
    """
    handlers: Any = {
        DpedError: _explain,
        HTTPException: _refuse,
        ClientDisconnect: _gone,
        ModuleNotFoundError: _lack,
        Exception: _fail,
    }
    everything = [*routes, Route("/favicon.ico", _icon), *package_files(*_SHARED)]
    return Guard(Starlette(routes=everything, exception_handlers=handlers), hosts, token, uploads)


def page_of(template: str, /, **fields: object) -> Response:
    """Return the page that a template beside this module makes of its fields."""
    return HTMLResponse(render(template, fields, package="dpedkit.web"))


def package_files(*names: str) -> list[Route]:
    """Return routes for files that lie beside this module: each by its name, and no path is ever looked up."""
    return [Route(f"/static/{name}", _file(name)) for name in names]


def _file(name: str) -> Any:
    text, kind = resource(name, package="dpedkit.web"), _KINDS[name.rpartition(".")[2]]

    async def serve(_request: Request) -> Response:
        return Response(text, media_type=kind, headers={"Cache-Control": "no-cache"})

    return serve


async def _icon(_request: Request) -> Response:
    return Response(status_code=204)


async def _explain(request: Request, error: Exception) -> Response:
    """Answer with an error's cause and remedy."""
    assert isinstance(error, DpedError)
    document: dict[str, object] = {"error": error.cause, "remedy": error.remedy}
    if isinstance(error, QueryError):
        document |= {"pointed": error.pointed, "problem": error.problem}
    return _told(request, document, next((status for kind, status in _STATUS if isinstance(error, kind)), 500))


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _told(request, {"error": error.detail, "remedy": ""}, error.status_code)


async def _gone(request: Request, _error: Exception) -> Response:
    return _told(request, {"error": "the request was cut short", "remedy": "send it again"}, 400)


async def _lack(request: Request, error: Exception) -> Response:
    assert isinstance(error, ModuleNotFoundError)
    absent = missing_extra(error)
    return await (_explain(request, absent) if absent else _fail(request, error))


async def _fail(request: Request, error: Exception) -> Response:
    document = {"error": f"{type(error).__name__}: {error}", "remedy": "this is a bug in dpedkit"}
    return _told(request, document, 500)


def _told(request: Request, document: Mapping[str, object], status: int) -> Response:
    """Return an error as a page to who follows a link, and as JSON to our scripts."""
    if request.headers.get("accept", "").startswith("text/html"):
        return HTMLResponse(render("error.html", document, package="dpedkit.web"), status)
    return JSONResponse(document, status)
