"""The application that all pages join: routes behind the guard, errors as cause and remedy, files of this package."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dpedkit.errors import DpedError, QueryError
from dpedkit.web.guard import Guard

_KINDS = {"css": "text/css", "js": "text/javascript", "html": "text/html"}


def make_app(routes: Sequence[BaseRoute], *, hosts: frozenset[str] | None, token: str = "") -> Guard:
    """Return the application that serves `routes`.

    hosts, token  as in `Guard`
    """
    handlers: Any = {DpedError: _explain, HTTPException: _refuse, ClientDisconnect: _gone, Exception: _fail}
    return Guard(Starlette(routes=list(routes), exception_handlers=handlers), hosts, token)


def package_files(*names: str) -> list[Route]:
    """Return routes for files that lie beside this module: each by its name, and no path is ever looked up."""
    return [Route(f"/static/{name}", _file(name)) for name in names]


def package_text(name: str) -> str:
    """Return the text of a file that lies beside this module."""
    return resources.files("dpedkit.web").joinpath(name).read_text(encoding="utf-8")


def _file(name: str) -> Any:
    text, kind = package_text(name), _KINDS[name.rpartition(".")[2]]

    async def serve(_request: Request) -> Response:
        return Response(text, media_type=kind, headers={"Cache-Control": "no-cache"})

    return serve


async def _explain(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DpedError)
    document = {"error": error.cause, "remedy": error.remedy}
    if isinstance(error, QueryError):
        document |= {"pointed": error.pointed, "problem": error.problem}
    return JSONResponse(document, 400 if error.exit_code == 2 else 500)


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail, "remedy": ""}, error.status_code)


async def _gone(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "the request was cut short", "remedy": "send it again"}, 400)


async def _fail(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"{type(error).__name__}: {error}", "remedy": "this is a bug in dpedkit"}, 500)
