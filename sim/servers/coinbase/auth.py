"""Coinbase's keys and signatures (CDP keys): JSON web tokens, really verified.

A key is a name and a private key: "organizations/…/apiKeys/…" with the PEM of a P-256 key, whose tokens are ES256, or an id with the
base64 of an Ed25519 key (its 32 bytes, and the 32 of the public key), whose tokens are EdDSA. A token is `header.claims.signature`,
each base64url: the header names the algorithm, the key (`kid`) and a nonce; the claims say whose it is (`sub`), by whom (`iss`), from
when (`nbf`) to when (`exp`, at most two minutes later), and, of a REST request, which one: "GET api.coinbase.com/api/v3/…", without its
query.

ccxt cuts only "https://" off that: on a loopback address its claim begins with "http://", which is passed over here. A nonce is not
remembered. Sources: the venue's documentation of authentication, ccxt 4.5.90. The seconds of grace are ours.
"""

from __future__ import annotations

import base64
import binascii
import uuid

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sim.servers.base import Credentials

LIFE_S = 120
GRACE_S = 5
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
_ISSUERS = {"ES256": ("coinbase-cloud", "cdp"), "EdDSA": ("cdp",)}


class Unauthorized(Exception):
    """The venue says no more than that; the reason is for who reads the server's log."""


def p256_credentials(entropy: bytes) -> Credentials:
    """A key with a PEM; the same entropy (64 bytes) makes the same key."""
    private = ec.derive_private_key(int.from_bytes(entropy[:48]) % (_ORDER - 1) + 1, ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    organization, key = uuid.UUID(bytes=entropy[48:64]), uuid.UUID(bytes=entropy[:16])
    return Credentials(key=f"organizations/{organization}/apiKeys/{key}", secret=pem)


def ed25519_credentials(entropy: bytes) -> Credentials:
    """A key with the base64 of an Ed25519 key."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(entropy[:32])
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Credentials(
        key=str(uuid.UUID(bytes=entropy[32:48])), secret=base64.b64encode(entropy[:32] + public).decode()
    )


class Verifier:
    """Whether a token was signed with one key, for one request."""

    def __init__(self, credentials: Credentials) -> None:
        self.key = credentials.key
        if credentials.secret.startswith("-----BEGIN"):
            private = load_pem_private_key(credentials.secret.encode(), None)
            assert isinstance(private, ec.EllipticCurvePrivateKey)
            self.algorithm = "ES256"
            self._p256 = private.public_key()
        else:
            seed = base64.b64decode(credentials.secret)[:32]
            self.algorithm = "EdDSA"
            self._ed25519 = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()

    def check(self, token: str, request: str, now_s: float) -> None:
        """Raises `Unauthorized`. `request`: "GET host/path" as the claim must have it, "" of a WebSocket message."""
        try:
            head, body, tail = token.split(".")
            header, claims, signature = orjson.loads(_decoded(head)), orjson.loads(_decoded(body)), _decoded(tail)
        except (ValueError, binascii.Error) as error:
            raise Unauthorized("no token") from error
        if header.get("alg") != self.algorithm or header.get("kid") != self.key or claims.get("sub") != self.key:
            raise Unauthorized("another key, or another algorithm than its own")
        if claims.get("iss") not in _ISSUERS[self.algorithm] or not header.get("nonce"):
            raise Unauthorized("no issuer or nonce")
        self._verify(f"{head}.{body}".encode(), signature)
        begins, ends = claims.get("nbf"), claims.get("exp")
        if not isinstance(begins, int) or not isinstance(ends, int) or ends - begins > LIFE_S:
            raise Unauthorized("not for at most two minutes")
        if not begins - GRACE_S <= now_s <= ends + GRACE_S:
            raise Unauthorized(f"good from {begins} to {ends}, and it is {now_s:.0f}")
        said = claims.get("uri") or next(iter(claims.get("uris") or ()), "")
        if request and said.replace("http://", "", 1) != request:
            raise Unauthorized(f"for {said!r}, not for {request!r}")

    def _verify(self, text: bytes, signature: bytes) -> None:
        try:
            if self.algorithm == "EdDSA":
                self._ed25519.verify(signature, text)
                return
            if len(signature) != 64:
                raise Unauthorized("a signature of another length")
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            self._p256.verify(utils.encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Unauthorized("signed with another key") from None


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
