"""A camera's settings by name, as libgphoto2 shows them: set, and read back."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import gphoto2 as gp

from dpedkit.capture.drivers.gphoto2_connect import LIBRARY
from dpedkit.capture.drivers.gphoto2_errors import BUSY
from dpedkit.errors import CameraError

Value = str | int | float | bool

_PATIENCE_S = 3.0
_PAUSE_S = 0.05
_REMEDY = "correct the device's settings in the rig file"


def setting_names(camera: Any) -> frozenset[str]:
    """Return the names of all settings a camera has."""
    names: set[str] = set()
    tree = camera.get_config()  # must outlive its branches; list_config would not let other threads run
    sections = [tree]
    while sections:
        for widget in sections.pop().get_children():
            if widget.get_type() in (gp.GP_WIDGET_SECTION, gp.GP_WIDGET_WINDOW):
                sections.append(widget)
            else:
                names.add(widget.get_name())
    return frozenset(names)


def read_setting(camera: Any, name: str) -> Value:
    """Return a setting's value: the name of its choice, a text or a number."""
    value: Value = camera.get_single_config(name).get_value()
    return value


def apply_setting(
    camera: Any, device: str, names: Collection[str], name: str, wanted: Value, *, patience_s: float = _PATIENCE_S
) -> None:
    """Set one setting and read it back.

    device      how to call the camera in messages
    names       of the settings the camera has
    patience_s  how long a busy camera is asked again

    Raises:
        CameraError: no such setting or choice (it names those there are), or the camera did not keep it.
        GPhoto2Error: the camera refused, or stayed busy; it is for a while after a photo.
    """
    if name not in names:
        raise CameraError(f"{device} has no setting {name!r}; it has: {', '.join(sorted(names))}", _REMEDY)
    given_up_s = time.monotonic() + patience_s
    while True:
        widget = camera.get_single_config(name)
        value = _fitting(widget, device, name, wanted)
        try:
            with LIBRARY:
                widget.set_value(value)
                camera.set_single_config(name, widget)
            break
        except gp.GPhoto2Error as error:
            if error.code != BUSY or time.monotonic() > given_up_s:
                raise
        time.sleep(_PAUSE_S)
    if (kept := read_setting(camera, name)) != value:
        remedy = "set its mode dial to M and its lens to MF, and leave its menus"
        raise CameraError(f"{device} was told {name} = {value!r} and says {kept!r}", remedy)


def _fitting(widget: Any, device: str, name: str, wanted: Value) -> Value:
    """Return the value as the widget's kind wants it."""
    kind = widget.get_type()
    if kind == gp.GP_WIDGET_TEXT:
        return str(wanted)
    if kind in (gp.GP_WIDGET_RADIO, gp.GP_WIDGET_MENU):
        choices = list(widget.get_choices())
        if str(wanted) not in choices:
            raise CameraError(f"{device} has no {name} {str(wanted)!r}; it has: {', '.join(choices)}", _REMEDY)
        return str(wanted)
    try:
        return float(wanted) if kind == gp.GP_WIDGET_RANGE else int(wanted)
    except ValueError:
        raise CameraError(f"{device} takes a number for {name}, not {wanted!r}", _REMEDY) from None
