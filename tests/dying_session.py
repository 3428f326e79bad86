"""`python dying_session.py WORKSPACE EVENT SHOTS`: fires a rig and dies, as by kill -9, after so many events."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from dpedkit.capture.events import Event, Notice
from dpedkit.stages.capture import run_session
from dpedkit.stages.wishes import Wish
from dpedkit.workspace import find_workspace

_heard = itertools.count(1)


def die(event: Event) -> None:
    if not isinstance(event, Notice) and next(_heard) == int(sys.argv[2]):
        os._exit(9)


run_session(find_workspace(Path(sys.argv[1])), "tripod", Wish(int(sys.argv[3]), scene="garden"), die)
