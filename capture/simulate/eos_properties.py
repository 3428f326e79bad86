"""The settings of a Canon EOS as its PTP extension shows them: codes, values, lists of choices.

Sensitivity, aperture and shutter speed are coded in eighths of a stop; the dial stops at thirds (0, 3 and 5 eighths).
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from enum import IntEnum

from dpedkit.capture.simulate.eos_body import EosSpec
from dpedkit.capture.simulate.exif import Dials
from dpedkit.capture.simulate.formats import RAW_ENDINGS
from dpedkit.capture.simulate.ptp import PtpError, Status


class Property(IntEnum):
    """EOS device properties."""

    APERTURE = 0xD101
    SHUTTER_SPEED = 0xD102
    ISO = 0xD103
    EXPOSURE_MODE = 0xD105
    DRIVE_MODE = 0xD106
    FOCUS_MODE = 0xD108
    WHITE_BALANCE = 0xD109
    CAMERA_TIME = 0xD113
    AUTO_POWER_OFF = 0xD114
    OWNER = 0xD115
    MODEL_ID = 0xD116
    AVAILABLE_SHOTS = 0xD11B
    CAPTURE_DESTINATION = 0xD11C
    IMAGE_FORMAT = 0xD120
    UTC_TIME = 0xD17C
    SERIAL_NUMBER = 0xD1AF
    EVF_OUTPUT = 0xD1B0
    ARTIST = 0xD1D0
    COPYRIGHT = 0xD1D1
    LENS_NAME = 0xD1D8


class Destination(IntEnum):
    """Where a photo goes: onto the card, or over the wire only."""

    CARD = 2
    HOST = 4


class Event(IntEnum):
    """What GetEvent reports."""

    OBJECT_ADDED = 0xC181
    TRANSFER_REQUESTED = 0xC186
    PROPERTY_CHANGED = 0xC189
    CHOICES_CHANGED = 0xC18A
    CAMERA_STATUS = 0xC18B


_TEXTS = (Property.OWNER, Property.SERIAL_NUMBER, Property.ARTIST, Property.COPYRIGHT, Property.LENS_NAME)
_READ_ONLY = (Property.MODEL_ID, Property.AVAILABLE_SHOTS, Property.SERIAL_NUMBER, Property.LENS_NAME)
_EOS_70D = 0x80000325
_MANUAL = 3
_LARGE_FINE, _LARGE_NORMAL, _RAW = (struct.pack("<5I", 1, 16, kind, 0, how) for kind, how in ((1, 3), (1, 2), (6, 4)))
"""How many files, then of each: 16, its kind (JPEG 1, raw 6), size (large 0) and compression."""
_RAW_AND_FINE = struct.pack("<9I", 2, 16, 6, 0, 4, 16, 1, 0, 3)
_APERTURES = (2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11, 13, 14, 16, 18, 20, 22)
_WHOLE_SECONDS = (30, 25, 20, 15, 13, 10, 8, 6, 5, 4, 3.2, 2.5, 2, 1.6, 1.3, 1, 0.8, 0.6, 0.5, 0.4, 0.3)
_PARTS_OF_SECONDS = (4, 5, 6, 8, 10, 13, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640)
_SHORT_PARTS = (800, 1000, 1250, 1600, 2000, 2500, 3200, 4000, 5000, 6400, 8000)
_SHUTTERS_S = (*_WHOLE_SECONDS, *(1 / part for part in (*_PARTS_OF_SECONDS, *_SHORT_PARTS)))
_ISOS = tuple(base * 2**octave for octave in range(7) for base in (100, 125, 160))[:19]
_AUTO = 0


def _number(value: int) -> bytes:
    return struct.pack("<I", value)


def _thirds(first: int, last: int) -> tuple[bytes, ...]:
    return tuple(_number(code) for code in range(first, last + 1) if code % 8 in (0, 3, 5))


_APERTURE_CODES, _SHUTTER_CODES, _ISO_CODES = _thirds(0x20, 0x50), _thirds(0x10, 0xA0), _thirds(0x48, 0x78)


@dataclass(slots=True)
class _Setting:
    """A value as it travels, and the values it may take (empty: any)."""

    value: bytes
    choices: tuple[bytes, ...] = ()


class Properties:
    """The settings of one camera; they outlive a session. Every method may be called from any thread."""

    def __init__(self, spec: EosSpec) -> None:
        self._lock = threading.Lock()
        self._spec = spec
        raw, jpeg = (any(name in kinds for name in spec.files) for kinds in (RAW_ENDINGS, ("jpg",)))
        self._first_format = {(True, True): _RAW_AND_FINE, (True, False): _RAW}.get((raw, jpeg), _LARGE_FINE)
        self._settings = {
            Property.EVF_OUTPUT: _Setting(_number(0)),
            Property.EXPOSURE_MODE: _Setting(_number(_MANUAL)),
            Property.FOCUS_MODE: _Setting(_number(_MANUAL)),
            Property.DRIVE_MODE: _Setting(_number(0), tuple(_number(mode) for mode in (0, 4, 5, 0x10, 0x11, 0x13))),
            Property.APERTURE: _Setting(_number(0x38), _APERTURE_CODES),
            Property.SHUTTER_SPEED: _Setting(_number(0x70), _SHUTTER_CODES),
            Property.ISO: _Setting(_number(0x48), (_number(_AUTO), *_ISO_CODES)),
            Property.WHITE_BALANCE: _Setting(_number(0), tuple(_number(code) for code in (0, 1, 8, 2, 3, 4, 5, 6, 9))),
            Property.CAMERA_TIME: _Setting(_number(0)),
            Property.UTC_TIME: _Setting(_number(0)),
            Property.AUTO_POWER_OFF: _Setting(_number(60)),
            Property.MODEL_ID: _Setting(_number(_EOS_70D)),
            Property.AVAILABLE_SHOTS: _Setting(_number(1)),
            Property.CAPTURE_DESTINATION: _Setting(_number(Destination.CARD), tuple(map(_number, Destination))),
            Property.IMAGE_FORMAT: _Setting(self._first_format, (_LARGE_FINE, _LARGE_NORMAL, _RAW_AND_FINE, _RAW)),
            Property.OWNER: _Setting(b"\0"),
            Property.ARTIST: _Setting(b"\0"),
            Property.COPYRIGHT: _Setting(b"\0"),
            Property.SERIAL_NUMBER: _Setting(spec.serial.encode() + b"\0"),
            Property.LENS_NAME: _Setting(b"EF-S18-55mm f/3.5-5.6 IS STM\0"),
        }

    def dials(self) -> Dials:
        """Return what is set, as photos tell it; the exposure mode is M."""
        with self._lock:
            values = {code: setting.value for code, setting in self._settings.items()}
        chosen, image_format = values[Property.ISO], values[Property.IMAGE_FORMAT]
        iso = self._spec.iso if chosen == _number(_AUTO) else _ISOS[_ISO_CODES.index(chosen)]
        raw = next((name for name in self._spec.files if name in RAW_ENDINGS), "cr2")
        files = {_RAW_AND_FINE: ("jpg", raw), _RAW: (raw,)}.get(image_format, ("jpg",))
        return Dials(
            f_number=_APERTURES[_APERTURE_CODES.index(values[Property.APERTURE])],
            iso=iso,
            exposure_s=_SHUTTERS_S[_SHUTTER_CODES.index(values[Property.SHUTTER_SPEED])],
            auto_white_balance=values[Property.WHITE_BALANCE] == _number(_AUTO),
            files=self._spec.files if image_format == self._first_format else files,
        )

    @staticmethod
    def known(code: int) -> Property:
        """Return the property of that code.

        Raises:
            PtpError: the camera has none.
        """
        try:
            return Property(code)
        except ValueError:
            raise PtpError(Status.PROPERTY_NOT_SUPPORTED) from None

    def number(self, code: Property) -> int:
        """Return a numeric property's value."""
        with self._lock:
            return int.from_bytes(self._settings[code].value[:4], "little")

    def update(self, code: Property, value: int) -> bool:
        """Let the camera itself change a numeric property; return whether it is a change."""
        with self._lock:
            changed = self._settings[code].value != _number(value)
            self._settings[code].value = _number(value)
            return changed

    def set(self, data: bytes) -> Property:
        """Apply a SetDevicePropValueEx dataset: its size, the property, the value; return the property.

        Raises:
            PtpError: a property that cannot be set, or a value that is none of its choices.
        """
        if len(data) < 9:
            raise PtpError(Status.INVALID_PARAMETER)
        code = self.known(struct.unpack_from("<I", data, 4)[0])
        if code in _READ_ONLY:
            raise PtpError(Status.ACCESS_DENIED)
        value = data[8:]
        with self._lock:
            setting = self._settings[code]
            if (setting.choices and value not in setting.choices) or (code in _TEXTS and not value.endswith(b"\0")):
                raise PtpError(Status.INVALID_PROPERTY_VALUE)
            setting.value = value
        return code

    def event(self, code: Property) -> bytes:
        """Return the record that tells a property's value."""
        with self._lock:
            return record(Event.PROPERTY_CHANGED, _number(code) + self._settings[code].value)

    def all_events(self) -> list[bytes]:
        """Return what the first GetEvent of a session tells: every value, then every list of choices."""
        with self._lock:
            lists = [
                record(
                    Event.CHOICES_CHANGED,
                    struct.pack("<III", code, 3, len(setting.choices)) + b"".join(setting.choices),
                )
                for code, setting in self._settings.items()
                if setting.choices
            ]
        return [self.event(code) for code in self._settings] + lists


def record(kind: Event, content: bytes) -> bytes:
    """Return one GetEvent record: its size, its kind, its content."""
    return struct.pack("<II", 8 + len(content), kind) + content


END_OF_EVENTS = struct.pack("<II", 8, 0)
