"""Hostile files, read in workers: each is a photo after all, or an error of one line, in little time and memory.

What is read must also be fit to be written again, with all that is kept of it, and to be stripped.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # hostile_files.py is the tests'

from hostile_files import Hostile, hostile

from dpedkit.errors import DpedError
from dpedkit.executor import Workers, run_parallel
from dpedkit.images import examine, read_meta, read_photo, read_small
from dpedkit.memory import limit_this_process
from dpedkit.photo_writing import write_photo
from dpedkit.stripping import strip_private

TIMEOUT_S = 60.0
MEMORY_BYTES = 1_000_000_000
"""What a worker has for its libraries and one picture."""
MOST_S = 8.0
"""Processor time that one may take: a picture of 170 megapixels, which some of them are, takes half of it."""


def feed(seeds: range) -> str:
    """Read the files of these seeds; return how many came out as what.

    Raises:
        AssertionError: one took its worker down, took too long or too much, was refused without a cause, or should
            have been read and was not, or the other way round.
    """
    words: Counter[str] = Counter()
    for outcome in run_parallel(judge, seeds, workers=Workers(1), timeout_s=TIMEOUT_S):
        assert outcome.value is not None, f"{outcome.item}: {outcome.error}"
        words[outcome.value] += 1
    return ", ".join(f"{count} {word}" for word, count in sorted(words.items()))


def judge(seed: int) -> str:
    """Read one file in a worker; return "read" or "refused"."""
    limit_this_process(MEMORY_BYTES)
    file = hostile(seed)
    told = (seed, file.kind, file.name)
    with tempfile.TemporaryDirectory() as folder:
        path = _place(Path(folder), file)
        began_s = time.process_time()
        refusal = _refusal(path, file)
        took_s = time.process_time() - began_s
    assert took_s < MOST_S, (told, took_s)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MEMORY_BYTES, told
    if refusal is None:
        assert file.fate != "refused", told
        return "read"
    assert file.fate != "read", (told, refusal)
    for line in refusal:
        assert line, (told, refusal)
        assert line.isprintable(), (told, refusal)  # so it is one line, too
    return "refused"


def _refusal(path: Path, file: Hostile) -> tuple[str, str] | None:
    """Return cause and remedy of a photo that is not read; None once it was read, written again and stripped."""
    try:
        meta = read_meta(path)
        examine(path)
        read_small(path, 64)
        photo = read_photo(path)
        assert meta == photo.meta
    except DpedError as error:
        return error.cause, error.remedy  # the error itself would keep the picture that it came of
    except Exception as error:
        raise AssertionError((file.kind, file.name)) from error
    assert photo.rgb.shape == (photo.meta.height, photo.meta.width, 3)
    if photo.rgb.size < 3_000_000:
        for suffix in (".jpg", ".png", ".tif"):
            write_photo(path.with_name(f"again{suffix}"), photo.rgb, like=photo, with_place=False)
            assert read_photo(path.with_name(f"again{suffix}")).rgb.shape == photo.rgb.shape
        if file.data.startswith((b"\xff\xd8", b"\x89PNG")):
            strip_private(file.data, file.name)
    return None


def _place(folder: Path, file: Hostile) -> Path:
    """Put a file where it says, if a file system can hold such a name; else under a plain one."""
    names = (file.filename, "photo.jpg")
    for name in names:
        if name.strip(".") and "/" not in name:
            try:
                (folder / name).write_bytes(file.data)
            except (OSError, ValueError):  # too long, a NUL
                continue
            return folder / name
    raise AssertionError(names)
