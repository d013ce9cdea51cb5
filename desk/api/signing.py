"""Signing a request: the five lines of CONTRACT 3.1, with HMAC-SHA256 or Ed25519. Used by the server, the SDK and the
tests.

    timestamp (ms) \\n nonce \\n METHOD \\n path with query as sent \\n lower-case hex SHA-256 of the body as sent

No newline at the end. A WebSocket signs method `WS`, its path, and no body. Newlines keep the fields from sliding
into each other. Nothing here reads a clock or a key file.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

WINDOW_MS = 5_000  # a timestamp may differ this much from the desk's clock
NONCE_MAX = 64  # characters

KEY_HEADER = "KERB-KEY"
TIMESTAMP_HEADER = "KERB-TIMESTAMP"
NONCE_HEADER = "KERB-NONCE"
SIGN_HEADER = "KERB-SIGN"


def signed_text(timestamp: str, nonce: str, method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes that are signed. `path` is the request target as sent, with its query."""
    digest = hashlib.sha256(body).hexdigest()
    return f"{timestamp}\n{nonce}\n{method}\n{path}\n{digest}".encode("utf-8", "surrogateescape")


def hmac_sign(secret: str, text: bytes) -> str:
    """Lower-case hex of HMAC-SHA256; the secret is used as UTF-8 text."""
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class Signer(Protocol):
    """Makes the value of `KERB-SIGN` from the signed text."""

    def sign(self, text: bytes) -> str: ...


class HmacSigner:
    """Signs with a shared secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def sign(self, text: bytes) -> str:
        return hmac_sign(self._secret, text)


class Ed25519Signer:
    """Signs with a private key (its 32-byte seed in hex); the desk holds only the public half."""

    def __init__(self, seed_hex: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed_hex))

    def sign(self, text: bytes) -> str:
        return self._key.sign(text).hex()


def signer(scheme: str, secret: str) -> Signer:
    """The signer of a key's scheme: `hmac` (default of `kerb keys new`) or `ed25519`."""
    match scheme:
        case "hmac":
            return HmacSigner(secret)
        case "ed25519":
            return Ed25519Signer(secret)
        case _:
            raise ValueError(f"unknown signature scheme {scheme!r}: hmac or ed25519")
