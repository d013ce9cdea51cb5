"""A key, its signer, and the desk's clock as far as this client knows it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from desk.api.signing import KEY_HEADER, NONCE_HEADER, SIGN_HEADER, TIMESTAMP_HEADER, signed_text, signer
from desk.errors import ApiFault


class Credentials:
    """Signs requests.

    When the desk says our clock is off, `learn` corrects the timestamps and the call may be made again.
    """

    def __init__(self, key: str, secret: str, scheme: str = "hmac", clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.key = key
        self._signer = signer(scheme, secret)
        self._clock_ns = clock_ns
        self._offset_ms = 0

    def _sign(self, method: str, path: str, body: bytes) -> tuple[str, str, str]:
        timestamp = str(self._clock_ns() // 1_000_000 + self._offset_ms)
        nonce = secrets.token_hex(12)
        return timestamp, nonce, self._signer.sign(signed_text(timestamp, nonce, method, path, body))

    def headers(self, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """The four headers of one REST request; `path` with its query as it will be sent."""
        timestamp, nonce, sign = self._sign(method, path, body)
        return {KEY_HEADER: self.key, TIMESTAMP_HEADER: timestamp, NONCE_HEADER: nonce, SIGN_HEADER: sign}

    def auth_frame(self, path: str) -> dict[str, str]:
        """The first frame of a WebSocket."""
        timestamp, nonce, sign = self._sign("WS", path, b"")
        return {"op": "auth", "key": self.key, "timestamp": timestamp, "nonce": nonce, "sign": sign}

    def learn(self, fault: ApiFault) -> bool:
        """Whether `fault` was about our clock; then the next timestamp is right by the desk's."""
        server_ms = fault.details.get("server_time_ms")
        if fault.code != "timestamp_out_of_window" or not isinstance(server_ms, int):
            return False
        self._offset_ms = server_ms - self._clock_ns() // 1_000_000
        return True
