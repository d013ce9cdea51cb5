"""FalconX signatures as the venue checks them, and credentials made from a seed.

    prehash   = timestamp + METHOD + path with query + body     (WebSocket: "GET", the path of the socket, no body)
    signature = base64(HMAC_SHA256(base64_decode(secret), prehash))

Written apart from the adapter's own signing on purpose: the two meet only on the wire.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

import msgspec

MAX_SKEW_S = 30.0  # the venue's own window is not published; ours is generous


class FalconXCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holder gets: `secret` is base64 text."""

    key: str
    secret: str
    passphrase: str


def credentials_from_seed(seed: int) -> FalconXCredentials:
    """The same seed, the same credentials; for loopback only."""

    def derive(what: str) -> bytes:
        return hashlib.sha256(f"falconx loopback {what} {seed}".encode()).digest()

    return FalconXCredentials(
        key=derive("key").hex()[:32],
        secret=base64.b64encode(derive("secret")).decode(),
        passphrase=derive("passphrase").hex()[:16],
    )


class BadSignature(Exception):
    """A request that is not from the account holder; the text says why."""


def check_rest(held: FalconXCredentials, headers: Mapping[str, str], method: str, path_qs: str, body: bytes) -> None:
    """Raise `BadSignature` unless the four FX-ACCESS headers are right for this request."""
    missing = [
        name
        for name in ("FX-ACCESS-KEY", "FX-ACCESS-SIGN", "FX-ACCESS-TIMESTAMP", "FX-ACCESS-PASSPHRASE")
        if name not in headers
    ]
    if missing:
        raise BadSignature(f"missing header {missing[0]}")
    _check(
        held,
        key=headers["FX-ACCESS-KEY"],
        passphrase=headers["FX-ACCESS-PASSPHRASE"],
        signature=headers["FX-ACCESS-SIGN"],
        timestamp=headers["FX-ACCESS-TIMESTAMP"],
        rest=(method + path_qs).encode() + body,
    )


def check_frame(held: FalconXCredentials, frame: Mapping[str, object], path: str) -> None:
    """Raise `BadSignature` unless an `auth` frame is right for the socket at `path`; its timestamp is an integer."""
    timestamp = frame.get("timestamp")
    if not isinstance(timestamp, int) or isinstance(timestamp, bool):
        raise BadSignature("timestamp must be integer unix seconds")
    _check(
        held,
        key=str(frame.get("api_key")),
        passphrase=str(frame.get("passphrase")),
        signature=str(frame.get("signature")),
        timestamp=str(timestamp),
        rest=b"GET" + path.encode(),
    )


def _check(held: FalconXCredentials, *, key: str, passphrase: str, signature: str, timestamp: str, rest: bytes) -> None:
    try:
        skew_s = abs(time.time() - float(timestamp))
    except ValueError:
        raise BadSignature("timestamp is not unix seconds") from None
    if not skew_s <= MAX_SKEW_S:
        raise BadSignature("timestamp outside the allowed window")
    digest = hmac.new(base64.b64decode(held.secret), timestamp.encode() + rest, hashlib.sha256).digest()
    expected = base64.b64encode(digest)
    genuine = hmac.compare_digest(expected, signature.encode())
    if not (genuine and hmac.compare_digest(held.key, key) and hmac.compare_digest(held.passphrase, passphrase)):
        raise BadSignature("invalid key, passphrase or signature")
