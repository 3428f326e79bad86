"""All pages of a workspace as one site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from dpedkit.db import Corpus
from dpedkit.stages.enhance_queue import Queue
from dpedkit.stages.reviewing import Gallery
from dpedkit.web.enhance import UPLOADS, enhance_routes
from dpedkit.web.guard import MOST_BODY_BYTES
from dpedkit.web.overview import overview_routes
from dpedkit.web.review import review_routes
from dpedkit.web.runs import runs_routes
from dpedkit.workspace import Workspace

if TYPE_CHECKING:
    from dpedkit.stages.models import Model


def site_routes(workspace: Workspace, corpus: Corpus, queue: Queue) -> list[BaseRoute]:
    """Return the routes of all pages."""

    def models_there_are() -> Mapping[str, Model]:
        from dpedkit.stages.models import models  # which imports torch: not before somebody asks for it

        return models(workspace, corpus)

    return [
        *overview_routes(workspace),
        *review_routes(Gallery(workspace, corpus), corpus.columns("pairs")),
        *runs_routes(workspace, corpus),
        *enhance_routes(queue, models_there_are),
    ]


def site_uploads(queue: Queue) -> Mapping[str, int]:
    """Return the paths that take files, and how many bytes: a little more than a photo may have, which is then said."""
    return {UPLOADS: queue.limits.photo_bytes + MOST_BODY_BYTES}
