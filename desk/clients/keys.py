"""What an API key is: who it speaks for, what it may do, and how fast.

Scopes: `quote` asks for prices, `trade` takes them, `read` looks at one's own business, `operate` sees and stops
everything. A secret is shown once, when the key is made; afterwards it exists only encrypted (`desk.clients.store`),
or, for Ed25519, not at all: the desk keeps the public half.
"""

from __future__ import annotations

import secrets
from enum import StrEnum

import msgspec


class Scheme(StrEnum):
    """How requests of a key are signed."""

    HMAC = "hmac"
    ED25519 = "ed25519"


class Scope(StrEnum):
    """What a key may do."""

    QUOTE = "quote"
    TRADE = "trade"
    READ = "read"
    OPERATE = "operate"


DEFAULT_RATE_PER_S = 200.0
DEFAULT_BURST = 400


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as the desk keeps it. `instruments` None: all; `addresses` empty: from anywhere."""

    key_id: str
    client_id: str
    scopes: frozenset[Scope]
    scheme: Scheme = Scheme.HMAC
    tier: str = "standard"
    instruments: frozenset[str] | None = None
    addresses: tuple[str, ...] = ()  # IP addresses or networks in CIDR form
    rate_per_s: float = DEFAULT_RATE_PER_S
    burst: int = DEFAULT_BURST
    active: bool = True
    created_ns: int = 0
    revoked_ns: int = 0


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made, with the secret that is shown this once (HMAC: the text; Ed25519: the private seed in hex)."""

    key: ApiKey
    secret: str


def new_key_id() -> str:
    """Sixteen characters that name a key; not secret."""
    return f"K{secrets.token_hex(8)[:15].upper()}"


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)
