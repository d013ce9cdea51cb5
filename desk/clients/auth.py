"""Who is calling: CONTRACT 3.1, for REST requests and for the first frame of a WebSocket.

    1  the four values are there and well-formed      else 401 auth_missing, auth_malformed
    2  the signature is the key's                     else 401 signature_invalid (the same answer for an unknown key)
    3  the timestamp is within 5 s of our clock       else 401 timestamp_out_of_window, with server_time_ms
    4  the nonce is new for this key in that window   else 401 nonce_reused
    5  the key is active, and used from its addresses else 401 key_revoked, 403 address_not_allowed
    6  the key's rate is not used up                  else 429 rate_limited, with Retry-After

A signature is computed for unknown keys too, and compared in constant time, so that answers do not tell which keys
exist. A nonce is remembered only after its signature was found good: nobody else can use up a client's nonces; and over
a restart, so that a request recorded just before it cannot be sent again just after it.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from desk.api.signing import NONCE_MAX, WINDOW_MS, hmac_sign, signed_text
from desk.clients.keys import ApiKey, Scheme
from desk.clients.limiter import RateLimits
from desk.clients.nonces import Nonces
from desk.clients.store import KeyStore
from desk.errors import Invalid, Limited
from desk.service import Caller

_NOBODY = "0" * 43  # the secret that signatures of unknown keys are compared with


class Authenticator:
    """Checks signatures against a `KeyStore`. Loop-thread only. Raises `Invalid` (401, 403) or `Limited` (429)."""

    def __init__(
        self,
        keys: KeyStore,
        clock_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._keys = keys
        self._clock_ns = clock_ns
        self._monotonic_ns = monotonic_ns
        self._nonces = Nonces(WINDOW_MS, journal=keys.folder / "nonces.log", now_ms=clock_ns() // 1_000_000)
        self._limits = RateLimits()
        self._public: dict[str, Ed25519PublicKey] = {}

    def check(
        self,
        key_id: str | None,
        timestamp: str | None,
        nonce: str | None,
        sign: str | None,
        *,
        method: str,
        path: str,
        body: bytes = b"",
        address: str | None = None,
    ) -> Caller:
        """The caller of a request; `address` is the peer's IP, None over a unix socket."""
        now_ms = self._clock_ns() // 1_000_000
        if not key_id or not timestamp or not nonce or not sign:
            raise self._refused("auth_missing", "a request needs a key, a timestamp, a nonce and a signature", now_ms)
        if len(nonce) > NONCE_MAX or not nonce.isascii() or not nonce.isprintable():
            raise self._refused("auth_malformed", "a nonce is 1 to 64 printable characters", now_ms)
        if len(timestamp) > 16 or not (timestamp.isascii() and timestamp.isdigit()):
            raise self._refused("auth_malformed", "a timestamp is milliseconds since the epoch", now_ms)
        key = self._keys.get(key_id)
        if not self._signed(key, sign, signed_text(timestamp, nonce, method, path, body)) or key is None:
            raise self._refused("signature_invalid", "unknown key, or the signature is not this request's", now_ms)
        if abs(int(timestamp) - now_ms) > WINDOW_MS:
            raise self._refused(
                "timestamp_out_of_window", "the timestamp is not within 5 s of the desk's clock", now_ms
            )
        if self._nonces.seen(key_id, nonce):
            raise self._refused("nonce_reused", "the nonce was used before", now_ms)
        if self._nonces.full(key_id, now_ms):
            raise Limited("rate_limited", "too many requests inside one time window", details={"retry_after_s": 1})
        self._nonces.add(key_id, nonce, now_ms)
        return self._admit(key, address, now_ms)

    def close(self) -> None:
        """Nothing is checked any more."""
        self._nonces.close()

    def count(self, key_id: str) -> None:
        """Count one more request of a caller already known (a WebSocket frame); raises `Limited`."""
        key = self.active(key_id)
        if key is None:
            raise Invalid("key_revoked", "the key is revoked", status=401)
        self._limits.take(key_id, key.rate_per_s, key.burst, self._monotonic_ns())

    def active(self, key_id: str) -> ApiKey | None:
        """The key, unless it was revoked."""
        key = self._keys.get(key_id)
        return key if key is not None and key.active else None

    def _admit(self, key: ApiKey, address: str | None, now_ms: int) -> Caller:
        if not key.active:
            raise self._refused("key_revoked", "the key is revoked", now_ms)
        if key.addresses and address is not None and not _listed(address, key.addresses):
            raise Invalid("address_not_allowed", f"the key may not be used from {address}", status=403)
        self._limits.take(key.key_id, key.rate_per_s, key.burst, self._monotonic_ns())
        return Caller(
            client_id=key.client_id,
            key_id=key.key_id,
            scopes=frozenset(scope.value for scope in key.scopes),
            tier=key.tier,
            instruments=key.instruments,
        )

    def _signed(self, key: ApiKey | None, sign: str, text: bytes) -> bool:
        if key is None or key.scheme is Scheme.HMAC:
            secret = _NOBODY if key is None else self._keys.secret(key.key_id)
            given = sign.encode("utf-8", "surrogateescape")
            return hmac.compare_digest(hmac_sign(secret, text).encode(), given) and key is not None
        public = self._public.get(key.key_id)
        if public is None:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self._keys.secret(key.key_id)))
            self._public[key.key_id] = public
        try:
            public.verify(bytes.fromhex(sign), text)
        except (InvalidSignature, ValueError):
            return False
        return True

    @staticmethod
    def _refused(code: str, message: str, now_ms: int) -> Invalid:
        return Invalid(code, message, status=401, details={"server_time_ms": now_ms})


def _listed(address: str, allowed: tuple[str, ...]) -> bool:
    try:
        peer = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(peer in ipaddress.ip_network(entry, strict=False) for entry in allowed)
