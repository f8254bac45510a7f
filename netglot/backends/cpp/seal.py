"""Seals the weights of a model with ChaCha20-Poly1305 (RFC 8439); the generated code opens them (runtime/seal.h)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from netglot.errors import ConversionError, Origin

LONGEST = 2**31 - 1  # bytes: what `cryptography` seals in one go
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16


def seal(data: bytes | memoryview | np.ndarray, key: bytes, aad: bytes) -> tuple[bytes, bytes, bytes]:
    """(nonce, ciphertext, tag) of `data`: anything whose bytes lie together, as a memory-mapped array.

    The nonce is 12 random bytes, new each time: for one key, that is safe for millions of models (the chance that any
    two of 2^32 share one is 2^-33). `aad` is authenticated, not sealed. ConversionError for more than 2^31 - 1 bytes:
    one seal over all of it is what lets the generated code refuse weights before it has decrypted any of them, and
    whoever links that much into a program needs the large code model as well.
    """
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    view = data.data if isinstance(data, np.ndarray) else memoryview(data)
    if view.nbytes > LONGEST:
        raise ConversionError(
            f"the weights can't be encrypted: they are {view.nbytes} bytes, and one seal holds at most {LONGEST}",
            hint="Convert with float16 or int8 weights, or without encryption.",
        )
    nonce = os.urandom(NONCE_BYTES)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, view.cast("B") if view.nbytes else b"", aad)
    return nonce, sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]


def read_key(path: Path) -> bytes:
    """The key in a file of 32 bytes, or of 64 hexadecimal digits that may end with one line break."""
    try:
        written = path.read_bytes()
    except OSError as error:
        raise ConversionError(f"can't read the key: {error.strerror}", Origin(str(path))) from None
    if len(written) == KEY_BYTES:
        return written
    digits = written.removesuffix(b"\n").removesuffix(b"\r")
    if len(digits) == 2 * KEY_BYTES and all(digit in b"0123456789abcdefABCDEF" for digit in digits):
        return bytes.fromhex(digits.decode())
    raise ConversionError(
        f"a key is {KEY_BYTES} bytes, or {2 * KEY_BYTES} hexadecimal digits; the file holds {len(written)} bytes",
        Origin(str(path)),
        hint="Make one with: openssl rand -out KEY-FILE 32",
    )
