from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from dpedkit.capture.camera import Camera, CameraFile
from dpedkit.capture.incoming import Incoming, Looked, look_at
from dpedkit.errors import CameraTimeout, DpedError, PullFailed, StorageError

PIECE_BYTES = 100


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


WHOLE = jpeg()


def damaged(at: int) -> bytes:
    """The photo with the marks that begin a JPEG's picture somewhere in its middle: no decoder takes that."""
    return WHOLE[:at] + (b"\xff\xc0" * 32) + WHOLE[at + 64 :]


class Wire:
    """A camera of which only pulling is asked: each try gives the next of its copies, or raises it half way."""

    name = "sony"

    def __init__(self, *copies: bytes | Exception) -> None:
        self._copies = list(copies)
        self.pulls = 0

    def pull(self, _photo: CameraFile, into: Path) -> Iterator[int]:
        copy = self._copies[min(self.pulls, len(self._copies) - 1)]
        self.pulls += 1
        data = WHOLE if isinstance(copy, Exception) else copy
        with into.open("wb") as stream:
            for begin in range(0, len(data), PIECE_BYTES):
                if isinstance(copy, Exception) and begin > len(data) // 2:
                    raise copy
                stream.write(data[begin : begin + PIECE_BYTES])
                stream.flush()
                yield begin


def incoming_of(wire: Wire, folder: Path, name: str = "IMG_1.JPG") -> Incoming:
    return Incoming(cast(Camera, wire), CameraFile(f"/DCIM/{name}", len(WHOLE)), folder, 0)


def pull(incoming: Incoming) -> Looked:
    """Pull as a session does: anew after each failure, as long as that is worth while."""
    while True:
        try:
            while not incoming.step():
                pass
            return incoming.look()
        except DpedError:
            if not incoming.may_try_again:
                raise


def files(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_photo_comes_in_pieces_under_another_name_and_is_stored_whole(tmp_path: Path) -> None:
    wire = Wire(WHOLE)
    incoming = incoming_of(wire, tmp_path)
    steps = 1
    while not incoming.step():
        assert all(name.startswith(".") and name.endswith(".part") for name in files(tmp_path))
        steps += 1
    assert steps > len(WHOLE) // PIECE_BYTES, "another shot could not be fired between two pieces"
    looked = incoming.look()
    assert (looked.sha256, looked.damage) == (hashlib.sha256(WHOLE).hexdigest(), "")
    assert looked.meta is not None
    assert (looked.meta.width, looked.meta.height) == (64, 48)
    assert looked.colour is not None
    incoming.store(tmp_path / "0001_sony.jpg")
    assert files(tmp_path) == ["0001_sony.jpg"]
    assert (tmp_path / "0001_sony.jpg").read_bytes() == WHOLE


@pytest.mark.parametrize(
    "once", [CameraTimeout("gone"), PullFailed("half"), WHOLE[:-1], WHOLE + b"\0", b"", damaged(len(WHOLE) // 2)]
)
@pytest.mark.parametrize("times", [1, 2])
def test_what_comes_wrong_is_pulled_again(tmp_path: Path, once: bytes | Exception, times: int) -> None:
    bad = [once] * times if not isinstance(once, bytes) or len(once) != len(WHOLE) else [once]
    wire = Wire(*bad, WHOLE)
    incoming = incoming_of(wire, tmp_path)
    assert pull(incoming).damage == ""
    assert wire.pulls == len(bad) + 1
    incoming.store(tmp_path / "0001_sony.jpg")
    assert (tmp_path / "0001_sony.jpg").read_bytes() == WHOLE


@pytest.mark.parametrize("always", [CameraTimeout("gone"), WHOLE[:-1], WHOLE + b"\0"])
def test_after_three_tries_it_is_over_and_nothing_is_left(tmp_path: Path, always: bytes | Exception) -> None:
    wire = Wire(always)
    with pytest.raises(DpedError) as caught:
        pull(incoming_of(wire, tmp_path))
    assert wire.pulls == 3
    assert files(tmp_path) == []
    if isinstance(always, bytes):
        assert f"announced {len(WHOLE)} bytes for /DCIM/IMG_1.JPG, {len(always)} came" in str(caught.value)


def test_the_same_damage_twice_is_what_the_device_has(tmp_path: Path) -> None:
    copy = damaged(len(WHOLE) // 2)
    wire = Wire(copy)
    looked = pull(incoming_of(wire, tmp_path))
    assert wire.pulls == 2
    assert looked.damage
    assert str(tmp_path) not in looked.damage
    assert looked.sha256 == hashlib.sha256(copy).hexdigest()
    assert looked.meta is not None, "its header can be read all the same"


def test_damage_that_is_another_each_time_is_not_what_the_device_has(tmp_path: Path) -> None:
    third = len(WHOLE) // 3
    wire = Wire(*(damaged(third + 70 * times) for times in range(3)))
    with pytest.raises(PullFailed, match=r"the copy of /DCIM/IMG_1\.JPG is damaged"):
        pull(incoming_of(wire, tmp_path))
    assert wire.pulls == 3
    assert files(tmp_path) == []


def test_damage_on_the_way_then_the_damage_of_the_device(tmp_path: Path) -> None:
    on_device = damaged(len(WHOLE) // 2)
    wire = Wire(damaged(len(WHOLE) // 3), on_device)
    assert pull(incoming_of(wire, tmp_path)).sha256 == hashlib.sha256(on_device).hexdigest()
    assert wire.pulls == 3


def test_a_raw_is_taken_as_it_comes(tmp_path: Path) -> None:
    wire = Wire(damaged(len(WHOLE) // 2))
    looked = pull(incoming_of(wire, tmp_path, "IMG_1.CR2"))
    assert (wire.pulls, looked.damage, looked.colour) == (1, "", None)


def test_a_file_of_no_known_kind_is_damaged_as_a_picture_and_fine_as_a_raw(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"no picture at all")
    assert look_at(path, is_raw=False).damage
    raw = look_at(path, is_raw=True)
    assert (raw.meta, raw.colour, raw.damage) == (None, None, "")


def test_a_heic_is_looked_at(tmp_path: Path) -> None:
    if find_spec("pillow_heif") is None:
        pytest.skip("pillow-heif is not installed")
    from dpedkit.capture.simulate.formats import encode_heic

    path = tmp_path / "a.heic"
    path.write_bytes(encode_heic(WHOLE, Image.Exif().tobytes(), 90))
    looked = look_at(path, is_raw=False)
    assert looked.meta is not None
    assert (looked.meta.width, looked.damage) == (64, "")
    path.write_bytes(path.read_bytes()[:-500])
    assert look_at(path, is_raw=False).damage


def test_stopping_half_way_leaves_nothing_and_closes_the_pull(tmp_path: Path) -> None:
    wire = Wire(WHOLE)
    incoming = incoming_of(wire, tmp_path)
    assert not incoming.step()
    assert len(files(tmp_path)) == 1
    incoming.stop()
    incoming.stop()
    assert files(tmp_path) == []
    assert pull(incoming).damage == ""
    assert wire.pulls == 2


def test_a_folder_that_cannot_be_written_is_no_fault_of_the_device(tmp_path: Path) -> None:
    incoming = incoming_of(Wire(WHOLE), tmp_path / "missing")
    with pytest.raises(StorageError):
        incoming.step()
