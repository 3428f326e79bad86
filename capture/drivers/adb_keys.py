"""This computer's adb key: made once, readable by its owner only, in the format of the stock adb client."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from adb_shell.auth.keygen import keygen, write_public_keyfile
from adb_shell.auth.sign_cryptography import CryptographySigner

from dpedkit.errors import CameraError
from dpedkit.files import storage_error

KEY_NAME = "adbkey"

_log = logging.getLogger(__name__)


def load_signer(folder: Path) -> CryptographySigner:
    """Return what signs for this computer: folder/adbkey, created with its public half where it is missing.

    Any number of threads and processes may call this at once: the first key made is the one that all of them use.

    Raises:
        CameraError: the key file cannot be understood.
        StorageError: the folder cannot be read or written.
    """
    private = folder / KEY_NAME
    public = private.with_suffix(".pub")
    try:
        if not private.exists():
            _create(private)
        _close_to_others(private)
        if not public.exists():
            _write_public(private, public)
        return CryptographySigner(str(private))
    except OSError as error:
        raise storage_error(error, private) from error
    except ValueError as error:
        raise CameraError(f"{private} is not an adb key: {error}", "move it away; a new one is made") from error


def _close_to_others(private: Path) -> None:
    """Whoever can read the key can run commands on every phone that trusts it."""
    mode = stat.S_IMODE(private.stat().st_mode)
    if mode & 0o077:
        private.chmod(0o600)
        _log.warning(
            "%s could be read by others (mode %03o); it is 600 now. If somebody may have copied it, remove it: "
            "a new one is made, and each phone asks again",
            private,
            mode,
        )


def _create(private: Path) -> None:
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=private.parent) as closed_folder:  # mode 0700: nobody looks over our shoulder
        draft = Path(closed_folder) / KEY_NAME
        keygen(str(draft))
        draft.chmod(0o600)
        with suppress(FileExistsError):
            os.link(draft, private)  # unlike a rename, it does not replace the key that another process just made


def _write_public(private: Path, public: Path) -> None:
    with tempfile.TemporaryDirectory(dir=private.parent) as closed_folder:
        draft = Path(closed_folder) / public.name
        write_public_keyfile(str(private), str(draft))
        draft.replace(public)
