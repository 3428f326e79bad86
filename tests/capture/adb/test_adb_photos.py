"""What is asked of a phone to find new photos, moment by moment."""

from __future__ import annotations

import stat

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.adb_photos import PhotoFinder
from dpedkit.capture.drivers.adb_sync import Entry, SyncClient

CAMERA = "/sdcard/DCIM/Camera"


class Card(SyncClient):
    """A phone's files in memory; counts what is asked."""

    def __init__(self) -> None:
        self.files: dict[str, int] = {}
        self.changed_s = 100
        self.listed: list[str] = []

    def put(self, name: str, size_bytes: int, at_s: int) -> None:
        self.files[name] = size_bytes
        self.changed_s = at_s

    def list_folder(self, folder: str) -> list[Entry]:
        self.listed.append(folder)
        if folder == "/sdcard/DCIM":
            return [Entry("Camera", stat.S_IFDIR, 0, self.changed_s), Entry(".thumbnails", stat.S_IFDIR, 0, 1)]
        return [Entry(name, stat.S_IFREG, size, 100) for name, size in self.files.items()]

    def stat(self, path: str) -> Entry:
        name = path.rpartition("/")[2]
        if name in self.files:
            return Entry(name, stat.S_IFREG, self.files[name], 100)
        return Entry(name, stat.S_IFDIR, 0, self.changed_s if path == CAMERA else 50)


def test_a_folder_is_listed_when_its_date_has_changed_else_rarely_and_whole_files_are_returned_again() -> None:
    now_s = 0.0
    ended: set[str] = set()
    finder = PhotoFinder(lambda photo: photo.name in ended, lambda: now_s)
    card = Card()
    assert finder.new(card, ()) == []
    assert card.listed.count(CAMERA) == 1

    now_s += 0.1
    assert finder.new(card, ()) == []
    assert card.listed.count(CAMERA) == 1  # nothing has changed

    card.put("a.jpg", 7, at_s=101)
    assert finder.new(card, ()) == []
    assert card.listed.count(CAMERA) == 2  # its date has

    now_s += 0.06
    assert finder.new(card, ()) == []  # it rests, but does not end as a JPEG
    card.files["a.jpg"] = 9
    ended.add("a.jpg")
    assert finder.new(card, ()) == []  # it has just grown
    now_s += 0.06
    assert finder.new(card, ()) == [CameraFile(f"{CAMERA}/a.jpg", 9)]
    assert finder.new(card, {f"{CAMERA}/a.jpg"}) == []

    card.files["b.jpg"] = 7  # in the same second: the folder's date is the same
    now_s += 0.06
    assert finder.new(card, {f"{CAMERA}/a.jpg"}) == []
    now_s += 0.25
    assert finder.new(card, {f"{CAMERA}/a.jpg"}) == []
    now_s += 1.6  # it does not end as a JPEG, but has not grown for long
    assert finder.new(card, {f"{CAMERA}/a.jpg"}) == [CameraFile(f"{CAMERA}/b.jpg", 7)]
