"""The runs: all of them, and one or several beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from dpedkit.db import Corpus
from dpedkit.web.app import package_files, page_of
from dpedkit.web.asking import found, number
from dpedkit.workspace import Workspace

if TYPE_CHECKING:
    from dpedkit.stages.run_facts import RunFacts
    from dpedkit.stages.run_list import RunInBrief

_MOST = 8  # beside each other
_REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"  # it brings all with it
Value = TypeVar("Value")


def runs_routes(workspace: Workspace, corpus: Corpus) -> list[BaseRoute]:
    """Return the routes of the pages of runs."""

    # what reads checkpoints imports torch, which takes seconds: not before somebody asks for it
    def facts(names: Sequence[str]) -> list[RunFacts]:
        from dpedkit.stages.run_facts import find_runs

        return find_runs(workspace, corpus, names)

    def briefly() -> list[RunInBrief]:
        from dpedkit.stages.run_list import list_runs

        return list_runs(workspace, corpus)

    async def every(_request: Request) -> Response:
        return page_of("runs.html", runs=await found(briefly))

    async def shown(request: Request) -> Response:
        from dpedkit.stages.run_facts import curves, settings

        runs = await found(facts, _names(request))
        brief = {run.name: run for run in await found(briefly)}
        fields = {
            "runs": runs,
            "brief": [brief[run.name] for run in runs],
            "charts": [each.caption for each in curves(runs)],
            "settings": settings(runs),
            "reports": [run.name for run in runs if _report(run).is_file()],
            "query": request.url.query,
        }
        return page_of("run.html", **fields)

    async def chart(request: Request) -> Response:
        from dpedkit.stages.run_facts import curves

        runs = await found(facts, _names(request))
        return _picked(curves(runs), request, lambda each: Response(each.draw(), media_type="image/svg+xml"))

    async def picture(request: Request) -> Response:
        run = (await found(facts, _names(request)))[0]
        return _picked(run.pictures, request, FileResponse)

    async def report(request: Request) -> Response:
        run = (await found(facts, _names(request)))[0]
        if not _report(run).is_file():
            raise HTTPException(404, f"no report of {run.name}: `dpedkit report {run.name}` writes one")
        return FileResponse(_report(run), headers={"Content-Security-Policy": _REPORT_POLICY})

    return [
        Route("/runs", every),
        Route("/runs/show", shown),
        Route("/runs/report", report),
        Route("/runs/chart/{number}", chart),
        Route("/runs/picture/{number}", picture),
        *package_files("runs.css"),
    ]


def _names(request: Request) -> list[str]:
    names = request.query_params.getlist("run")
    if not 0 < len(names) <= _MOST:
        raise HTTPException(400, f"choose 1 to {_MOST} runs")
    return names


def _picked(among: Sequence[Value], request: Request, answer: Callable[[Value], Response]) -> Response:
    at = number(request.path_params["number"])
    if at >= len(among):
        raise HTTPException(404, "no such picture")
    return answer(among[at])


def _report(run: RunFacts) -> Path:
    return run.folder / "report.html"
