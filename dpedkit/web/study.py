"""The page for subjects of a preference study: two pictures, one question, again and again.

Subjects are told which picture is where, and never whose it is.
"""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dpedkit.stages.study.collecting import Answers
from dpedkit.stages.study.plan import PICTURES
from dpedkit.types import Json
from dpedkit.web.app import package_files, page_of
from dpedkit.web.asking import found, json_fields

START = "/"
_LASTS = {"Cache-Control": "private, max-age=86400, immutable"}


def study_routes(answers: Answers, folder: Path) -> list[BaseRoute]:
    """Return the routes of a study's page; `folder` is the study's own."""
    plan = answers.plan
    pictures = {
        name: folder / PICTURES / name for name in {picture for trial in plan.trials for picture in trial.pictures}
    }

    async def page(_request: Request) -> Response:
        return page_of("study.html", plan=plan, pairs=len(plan.trials), practice=len(plan.of_kind("training")))

    async def start(request: Request) -> Response:
        await json_fields(request)
        return JSONResponse(await found(lambda: _session(answers, answers.start())))

    async def go_on(request: Request) -> Response:
        code = (await json_fields(request, code=str))["code"]
        return JSONResponse(await found(_session, answers, code))

    async def give(request: Request) -> Response:
        given = await json_fields(request, code=str, place=int, side=str, ms=int)
        side = given["side"]
        if side not in ("left", "right"):
            raise HTTPException(400, "a side is left or right")
        await found(answers.give, given["code"], given["place"], side, given["ms"])
        return JSONResponse((await found(answers.advance, given["code"]))._asdict())

    async def picture(request: Request) -> Response:
        path = pictures.get(request.path_params["name"])
        if path is None or not path.is_file():
            raise HTTPException(404, "no such picture")
        return FileResponse(path, headers=_LASTS)

    return [
        Route(START, page),
        Route("/api/start", start, methods=["POST"]),
        Route("/api/session", go_on, methods=["POST"]),
        Route("/api/answers", give, methods=["POST"]),
        Route("/pictures/{name}", picture),
        *package_files("study.css", "study.js"),
    ]


def _session(answers: Answers, code: str) -> Json:
    """Return what a subject's browser needs: all pairs in their order, and how many of them are done."""
    session = answers.session(code)
    return {
        "code": code,
        **answers.advance(code)._asdict(),
        "pairs": [{"left": each.left, "right": each.right, "practice": each.kind == "training"} for each in session],
    }
