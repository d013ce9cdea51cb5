"""FalconX signatures [O: the venue's own Python and Go clients].

    prehash   = timestamp + METHOD + path with query + body
    signature = base64(HMAC_SHA256(base64_decode(secret), prehash))

REST takes a timestamp in unix seconds with a fraction, the sockets an integer; a socket signs `GET` and its own path.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any


class Signer:
    """Signs for one account. Raises ValueError when the secret is not base64."""

    def __init__(self, api_key: str, secret: str, passphrase: str) -> None:
        try:
            self._key = base64.b64decode(secret, validate=True)
        except binascii.Error:
            raise ValueError("the FalconX secret must be base64 text, as the venue hands it out") from None
        self._api_key = api_key
        self._passphrase = passphrase

    def headers(self, method: str, path_qs: str, body: bytes, now_ns: int) -> dict[str, str]:
        """The headers of one REST call; `path_qs` and `body` exactly as they will be sent."""
        timestamp = f"{now_ns // 1_000_000_000}.{now_ns // 1_000_000 % 1000:03d}"
        return {
            "FX-ACCESS-KEY": self._api_key,
            "FX-ACCESS-SIGN": self._sign(timestamp, method, path_qs, body),
            "FX-ACCESS-TIMESTAMP": timestamp,
            "FX-ACCESS-PASSPHRASE": self._passphrase,
            "Content-Type": "application/json",
        }

    def auth_frame(self, path: str, request_id: str, now_ns: int) -> dict[str, Any]:
        """The first frame on the socket at `path`."""
        timestamp = now_ns // 1_000_000_000
        return {
            "action": "auth",
            "api_key": self._api_key,
            "passphrase": self._passphrase,
            "signature": self._sign(str(timestamp), "GET", path, b""),
            "timestamp": timestamp,
            "request_id": request_id,
        }

    def _sign(self, timestamp: str, method: str, path: str, body: bytes) -> str:
        digest = hmac.new(self._key, (timestamp + method + path).encode() + body, hashlib.sha256).digest()
        return base64.b64encode(digest).decode()
