"""The overview: what the workspace holds, what needs attention, what to do next."""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dpedkit.stages.overview import Finding, Status, status, workspace_findings
from dpedkit.web.app import package_files, page_of
from dpedkit.web.asking import found
from dpedkit.workspace import Workspace

START = "/"


def overview_routes(workspace: Workspace) -> list[BaseRoute]:
    """Return the route of the overview."""

    def look() -> tuple[Status, list[Finding]]:
        return status(workspace), workspace_findings(workspace)

    async def page(_request: Request) -> Response:
        state, findings = await found(look)
        return page_of(
            "overview.html",
            name=workspace.root.name,
            state=state,
            counts=state.counts,
            run_states=Counter(state.runs.values()),
            findings=findings,
        )

    return [Route(START, page), *package_files("overview.css")]
