"""The enhance page: send a photo, watch it, compare before and after, take it home."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from anyio import CapacityLimiter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dpedkit.errors import StorageError
from dpedkit.files import storage_error
from dpedkit.stages.enhance_jobs import Job
from dpedkit.stages.enhance_queue import Queue
from dpedkit.stages.uploads import Upload
from dpedkit.types import Json
from dpedkit.web.app import package_files, page_of
from dpedkit.web.asking import found, json_fields

if TYPE_CHECKING:
    from dpedkit.stages.models import Model

START = "/enhance"
UPLOADS = "/api/photos"
_COOKIE = "dpedkit-visitor"
_VISITOR = re.compile(r"[A-Za-z0-9_-]{22}")
_ARRIVING = 32  # photos that are received or looked at at a time; more wait before their first byte is read
_ARRIVE_S = 600
_MOST_NAME = 80
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def enhance_routes(queue: Queue, models: Callable[[], Mapping[str, Model]]) -> list[BaseRoute]:
    """Return the routes of the enhance page; `models` is asked anew for what there is to choose from."""
    arriving = CapacityLimiter(_ARRIVING)

    async def page(request: Request) -> Response:
        answer = page_of("enhance.html", limits=queue.limits)
        return _known(answer, _visitor(request))

    async def choices(_request: Request) -> Response:
        known = await found(models)
        return JSONResponse([{"name": each.name, "about": each.about, "stamp": each.stamp} for each in known.values()])

    async def send(request: Request) -> Response:
        visitor, name = _visitor(request), _clean(request.query_params.get("name", ""))
        known = await found(models)
        model = known.get(request.query_params.get("model", ""))
        if model is None:
            raise HTTPException(400, "no such model")
        with_place = request.query_params.get("place", "keep") == "keep"
        async with arriving:
            with queue.arriving(visitor, name) as upload:
                await _receive(request, upload, queue.limits.photo_bytes)
                job = await found(
                    lambda: queue.add(upload, visitor, model.name, model.path, with_place=with_place),
                    threads=CapacityLimiter(1),
                )
        told = await found(queue.jobs, visitor)
        return _known(JSONResponse(next(_told(*each) for each in told if each[0].id == job.id), 201), visitor)

    async def mine(request: Request) -> Response:
        jobs = await found(queue.jobs, _visitor(request))
        return JSONResponse([_told(job, place) for job, place in jobs])

    async def change(request: Request) -> Response:
        await json_fields(request)
        act = {"cancel": queue.cancel, "remove": queue.remove}.get(request.path_params["act"])
        if act is None:
            raise HTTPException(404, "no such thing to do")
        await found(act, _visitor(request), request.path_params["id"])
        return JSONResponse({})

    async def picture(request: Request) -> Response:
        what = request.path_params["what"]
        path, name = await found(queue.file, _visitor(request), request.path_params["id"], what)
        headers = {"Cache-Control": "private, max-age=3600"}
        if what == "result":
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
        return FileResponse(path, headers=headers)

    return [
        Route(START, page),
        Route("/api/models", choices),
        Route(UPLOADS, mine),
        Route(UPLOADS, send, methods=["POST"]),
        Route(f"{UPLOADS}/{{id}}/{{act}}", change, methods=["POST"]),
        Route("/photos/{id}/{what}", picture),
        *package_files("enhance.css", "enhance.js", "photos.js"),
    ]


async def _receive(request: Request, upload: Upload, most_bytes: int) -> None:
    """Write what is sent to the disk, piece by piece."""
    taken = 0
    try:
        with anyio.fail_after(_ARRIVE_S):
            async with await anyio.open_file(upload.photo, "wb") as file:
                async for piece in request.stream():
                    taken += len(piece)
                    if taken > most_bytes:
                        raise HTTPException(413, f"more than {most_bytes / 1e6:.0f} MB")
                    await file.write(piece)
    except TimeoutError as error:
        raise HTTPException(408, f"not here after {_ARRIVE_S} s") from error
    except OSError as error:
        raise StorageError("there is no room for this photo", storage_error(error, upload.photo).remedy) from error
    if not taken:
        raise HTTPException(422, f"{upload.name} is empty")


def _told(job: Job, before: int) -> Json:
    """Return what a page is told of a photo; before: how many are worked on before it."""
    return {
        "id": job.id,
        "name": job.upload.name,
        "model": job.model,
        "state": job.state,
        "size": job.size,
        "before": before,
        "share": job.upload.share if job.state == "working" else float(job.state == "done"),
        "stamp": job.stamp,
        "error": job.cause,
        "remedy": job.remedy,
        "result": job.upload.result_name,
    }


def _visitor(request: Request) -> str:
    """Return by what a browser is known here, a random text: who it is nobody asks."""
    given = request.cookies.get(_COOKIE, "")
    return given if _VISITOR.fullmatch(given) else secrets.token_urlsafe(16)


def _known(answer: Response, visitor: str) -> Response:
    answer.set_cookie(_COOKIE, visitor, httponly=True, samesite="strict")
    return answer


def _clean(name: str) -> str:
    """Return a file's name for people to read: no folders, nothing that a terminal or a page could take for more."""
    last = re.split(r"[/\\]", _UNPRINTABLE.sub("", name))[-1].strip(" .")
    stem, dot, suffix = last.rpartition(".")
    if not dot:
        stem, suffix = last, ""
    return f"{stem[:_MOST_NAME] or 'photo'}{dot}{suffix[:8]}"
