"""The shutter button of a camera, pressed at a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import gphoto2 as gp

from dpedkit.capture.camera import Release
from dpedkit.capture.drivers.gphoto2_errors import BUSY, LOST

EOS_RELEASE = "eosremoterelease"
_PRESS = ("Press Full MF", "Immediate", "Press Full")  # the first is of libgphoto2 2.5.34, the others are older
_LET_GO = ("Release", "Release Full")
_SPIN_NS = 2_000_000
_BUSY_NS = 1_000_000_000
_PAUSE_S = 0.01


class ShutterButton(NamedTuple):
    """What presses it, which may return where the photo will be (libgphoto2's CameraFilePath), and what lets it go."""

    press: Callable[[], Any]
    let_go: Callable[[], object]


def eos_button(camera: Any) -> ShutterButton | None:
    """Return Canon's remote release; None where its choices have names nobody knows."""
    widget = camera.get_single_config(EOS_RELEASE)
    choices = list(widget.get_choices())
    press, let_go = (next((name for name in names if name in choices), "") for names in (_PRESS, _LET_GO))
    return (
        ShutterButton(_chooser(camera, widget, press), _chooser(camera, widget, let_go)) if press and let_go else None
    )


def ptp_button(camera: Any) -> ShutterButton:
    """Return the plain capture every camera has that can be fired."""
    if camera.get_abilities().operations & gp.GP_OPERATION_TRIGGER_CAPTURE:
        return ShutterButton(camera.trigger_capture, lambda: None)
    return ShutterButton(lambda: camera.capture(gp.GP_CAPTURE_IMAGE), lambda: None)


def press_at(button: ShutterButton, at_ns: int, clock_ns: Callable[[], int]) -> tuple[Release, Any]:
    """Press the button at a moment, and as long as the camera is busy for up to a second again; let it go.

    at_ns     host wall clock, ns
    clock_ns  tells it
    ->        when the press that worked was given, and what it returned

    Raises:
        GPhoto2Error: it refused.
    """
    while (left_ns := at_ns - clock_ns()) > 0:
        if left_ns > _SPIN_NS:
            time.sleep((left_ns - _SPIN_NS) / 1e9)
    given_up_ns = clock_ns() + _BUSY_NS
    while True:
        earliest_ns = clock_ns()
        try:
            place = button.press()
        except gp.GPhoto2Error as error:
            if error.code != BUSY or clock_ns() > given_up_ns:
                if error.code not in LOST:
                    with suppress(gp.GPhoto2Error):  # it may have gone half-way down
                        button.let_go()
                raise
        else:
            break
        time.sleep(_PAUSE_S)
    return Release(earliest_ns, clock_ns()), place


def _chooser(camera: Any, widget: Any, choice: str) -> Callable[[], None]:
    def choose() -> None:
        widget.set_value(choice)
        camera.set_single_config(EOS_RELEASE, widget)

    return choose
