"""Cameras that libgphoto2 can reach, and how a conversation with one begins and ends.

libgphoto2 keeps its settings and its list of drivers in process-wide variables without a lock; what touches them
happens under `LIBRARY`. Everything else runs in parallel, one thread per camera.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import Any

import gphoto2 as gp

from dpedkit.capture.drivers import Seen
from dpedkit.capture.drivers.gphoto2_calls import exit_camera, keep_photos_on_card
from dpedkit.capture.drivers.gphoto2_errors import explain
from dpedkit.errors import CameraError, CameraNotFound

LIBRARY = threading.Lock()
SERIALS = ("eosserialnumber", "serialnumber")  # the one printed on an EOS first, then the one of its PTP interface
_PTPIP_PORT = 15740  # what the standard says


def detect() -> list[Seen]:
    """Return each camera on USB; the address lacks the serial where another program holds it."""
    found = []
    for model, port in _usb_ports():
        camera = _camera_at(port, model)
        serial = trouble = ""
        try:
            _start(camera)
            serial = _serials(camera)[0]
        except gp.GPhoto2Error as error:
            refusal = explain(error.code, error.string, model, port, "connecting")
            trouble = f"{refusal.cause}; {refusal.remedy}"
        hang_up(camera)
        found.append(Seen(model, f"usb:{serial}", trouble))
    return found


def open_ptpip(name: str, address: str) -> Any:
    """Return a started camera.

    name     of the device, for messages
    address  "ptpip:HOST[:PORT]"; commands and events go to the same port

    Raises:
        CameraNotFound: nothing answers there, or it is talking to someone else.
        CameraError: libgphoto2 is in the mode where it sees only its own virtual camera.
    """
    if "VCAMERADIR" in os.environ:
        raise CameraError(f"{name}: VCAMERADIR is set, so libgphoto2 sees its virtual camera only", "unset VCAMERADIR")
    _, host, port, *_ = *address.split(":"), ""
    try:
        path = f"ptpip:{socket.gethostbyname(host)}:{port or _PTPIP_PORT}:{port or _PTPIP_PORT}"
        camera = _camera_at(path, "PTP/IP Camera")
        _start(camera)
    except (OSError, gp.GPhoto2Error) as error:
        remedy = "switch its Wi-Fi on, end other programs that are connected to it, then try again"
        raise CameraNotFound(name, address, remedy=remedy) from error
    return camera


def open_usb(name: str, address: str) -> Any:
    """Return a started camera.

    name     of the device, for messages
    address  "usb:SERIAL", leading zeros do not matter, or "usb:" for the only one

    Raises:
        CameraNotFound: none of that serial number is connected.
        CameraError: several fit, or another program holds one that might.
    """
    wanted = address.partition(":")[2].lstrip("0")
    ports = _usb_ports()
    if not wanted and len(ports) > 1:
        there = ", ".join(f"{seen.model} {seen.address}" for seen in detect())
        raise CameraError(f"{name}: {len(ports)} cameras are connected: {there}", "name one of them in the rig file")
    refusal: gp.GPhoto2Error | None = None
    seen: list[str] = []
    for model, port in ports:
        camera = _camera_at(port, model)
        try:
            _start(camera)
            serials = _serials(camera)
            if not wanted or wanted in [serial.lstrip("0") for serial in serials]:
                return camera
            seen.append(f"{model} usb:{serials[0]}")
        except gp.GPhoto2Error as error:
            refusal = error
        hang_up(camera)
    if refusal is not None:
        raise explain(refusal.code, refusal.string, name, address, "connecting") from refusal
    raise CameraNotFound(name, address, seen)


def hang_up(camera: Any) -> None:
    """End a conversation, whatever state it is in."""
    with LIBRARY:
        exit_camera(camera)


def _start(camera: Any) -> None:
    with LIBRARY:
        keep_photos_on_card()
        camera.init()


def _usb_ports() -> list[tuple[str, str]]:
    """Return (model, port) of what libgphoto2 sees on USB."""
    with LIBRARY:
        found = gp.Camera.autodetect()
    return [(model, port) for model, port in found.items() if port.startswith("usb:")]


def _camera_at(port: str, model: str) -> Any:
    """Return a camera that has not been started yet."""
    camera, ports, models = gp.Camera(), gp.PortInfoList(), gp.CameraAbilitiesList()
    with LIBRARY:
        ports.load()
        models.load()
        camera.set_port_info(ports[ports.lookup_path(port)])
        camera.set_abilities(models[models.lookup_model(model)])
    return camera


def _serials(camera: Any) -> list[str]:
    serials = []
    for name in SERIALS:
        with suppress(gp.GPhoto2Error):  # it does not have this one
            serials.append(str(camera.get_single_config(name).get_value()))
    return serials or [""]
