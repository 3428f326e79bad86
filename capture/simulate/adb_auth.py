"""Which computers a simulated phone lets in: adb's RSA keys.

A phone sends 20 random bytes; the computer signs them (PKCS#1 v1.5, the bytes taken as a SHA-1 digest) with its
private key. A public key file holds base64 of Android's own binary layout, a space and user@host, one key a line.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

TOKEN_BYTES = 20

_MODULUS_BYTES = 256
_LAYOUT = struct.Struct(f"<II{_MODULUS_BYTES}s{_MODULUS_BYTES}sI")
"""Words in the modulus, -1/n mod 2^32, modulus n, 2^4096 mod n, exponent; the numbers little-endian."""


def is_authorised(token: bytes, signature: bytes, key_files: Sequence[Path]) -> bool:
    """Return whether one of the keys in `key_files` signed `token`. A file that does not exist yet holds no key."""
    return any(_signed_by(key, token, signature) for file in key_files if file.is_file() for key in read_keys(file))


def read_keys(file: Path) -> Iterator[rsa.RSAPublicKey]:
    """Yield the public keys of a file in adb's format.

    Raises:
        ValueError: a line is not a key.
    """
    for line in file.read_text().splitlines():
        if line.strip():
            yield decode_key(line)


def decode_key(line: str) -> rsa.RSAPublicKey:
    """Return the key of one line of an adb public key file.

    Raises:
        ValueError: the line is not a key.
    """
    try:
        words, _, modulus, _, exponent = _LAYOUT.unpack(base64.b64decode(line.split(maxsplit=1)[0], validate=True))
    except (binascii.Error, struct.error, IndexError) as error:
        raise ValueError(f"not an adb public key: {line[:40]!r}") from error
    if words * 4 != _MODULUS_BYTES:
        raise ValueError(f"an adb key has {_MODULUS_BYTES * 8} bits, this one {words * 32}")
    return rsa.RSAPublicNumbers(exponent, int.from_bytes(modulus, "little")).public_key()


def _signed_by(key: rsa.RSAPublicKey, token: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, token, padding.PKCS1v15(), utils.Prehashed(hashes.SHA1()))
    except InvalidSignature:
        return False
    return True
