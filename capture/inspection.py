"""A look at every device of a rig before a session: opened, made ready and asked, all side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpedkit.capture.camera import Camera, CameraFile, CameraInfo, ClockOffset
from dpedkit.capture.connect import make_camera
from dpedkit.capture.orders import suffix_of
from dpedkit.capture.rig import Device, Rig
from dpedkit.capture.shot import Role
from dpedkit.errors import CameraError, DpedError


@dataclass(frozen=True, slots=True)
class Condition:
    """How a device was found.

    device   its name in the rig
    missing  why it could not be opened or asked; then nothing below is known
    refusal  why it could not be made ready; None: its settings are applied and verified
    info     who it is and how it feels
    clock    its clock against the host's; None where it has none that can be read
    photos   what is on it
    trouble  what may keep photos from coming, in the device's own words; "" where nothing seems wrong
    """

    device: str
    missing: DpedError | None = None
    refusal: DpedError | None = None
    info: CameraInfo | None = None
    clock: ClockOffset | None = None
    photos: frozenset[CameraFile] = frozenset()
    trouble: str = ""


def inspect(rig: Rig, addresses: Mapping[str, str], keys: Path) -> list[Condition]:
    """Open every device of a rig, apply its settings and ask how it is; what goes wrong is in its condition.

    addresses  device name -> where it is now
    keys       folder of this computer's adb key
    """
    cameras = {device.name: make_camera(device, addresses[device.name], keys) for device in rig.devices}
    return inspect_cameras(cameras)


def inspect_cameras(cameras: Mapping[str, Camera], *, prepare: bool = True) -> list[Condition]:
    """Look at unopened cameras, one thread for each, and leave them closed.

    prepare  False: change nothing on them
    """

    def look(item: tuple[str, Camera]) -> Condition:
        name, camera = item
        try:
            with explained(name):
                return _look(name, camera, prepare)
        except DpedError as error:
            return Condition(name, missing=error)
        finally:
            camera.close()

    with ThreadPoolExecutor(max(1, len(cameras)), "inspect") as threads:
        return list(threads.map(look, cameras.items()))


def _look(name: str, camera: Camera, prepare: bool) -> Condition:
    refusal = None
    camera.open()
    info = camera.info()  # also of a device that then refuses a setting
    if prepare:
        try:
            camera.prepare()
            info = camera.info()
        except DpedError as error:
            refusal = error
    return Condition(
        name,
        refusal=refusal,
        info=info,
        clock=camera.clock_offset() if prepare else None,
        photos=camera.list_photos(),
        trouble=camera.diagnose() if prepare else "",
    )


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What `dpedkit devices` shows of one device: info, or the error that stands in its way."""

    name: str
    role: Role
    address: str
    info: CameraInfo | None = None
    clock: ClockOffset | None = None
    error: DpedError | None = None


def probe(rig: Rig, addresses: Mapping[str, str], keys: Path) -> list[DeviceReport]:
    """Ask every device of a rig who it is, changing none of its settings; a missing one has its error in its report."""

    def ask(device: Device) -> DeviceReport:
        address = addresses[device.name]
        camera = make_camera(device, address, keys)
        try:
            with explained(device.name):
                camera.open()
                return DeviceReport(device.name, device.role, address, camera.info(), camera.clock_offset())
        except DpedError as error:
            return DeviceReport(device.name, device.role, address, error=error)
        finally:
            camera.close()

    with ThreadPoolExecutor(len(rig.devices), "probe") as threads:
        return list(threads.map(ask, rig.devices))


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn what no driver should raise into an error of that device, so that the other devices go on."""
    try:
        yield
    except DpedError:
        raise
    except OSError as error:
        raise CameraError(f"{name}: {error}", "check its cable and run `dpedkit devices`") from error
    except Exception as error:
        raise CameraError(
            f"{name}: its driver failed with {type(error).__name__}: {error}",
            "this is a fault of the driver: please report it with the output of the same command and -vv",
        ) from error


def largest_files(photos: Iterable[CameraFile]) -> dict[str, int]:
    """Return the endings of photos -> the largest file of each, bytes; lower case without the dot."""
    largest: dict[str, int] = {}
    for photo in photos:
        largest[_ending(photo)] = max(largest.get(_ending(photo), 0), photo.size_bytes)
    return largest


def newest_endings(photos: Iterable[CameraFile]) -> frozenset[str]:
    """Return the endings of the files that the last release made, RAW and JPEG; lower case without the dot."""
    known = list(photos)
    newest = max(known, key=lambda photo: (photo.written_s or 0, photo.path), default=None)
    return frozenset(_ending(photo) for photo in known if newest and _stem(photo) == _stem(newest))


def _ending(photo: CameraFile) -> str:
    return suffix_of(photo).removeprefix(".")


def _stem(photo: CameraFile) -> str:
    return photo.path.rpartition(".")[0]
