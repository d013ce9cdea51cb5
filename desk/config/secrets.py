"""Venue and LP credentials, from the environment only: `{VENUE}_API_KEY`, `{VENUE}_API_SECRET`, `{VENUE}_PASSPHRASE`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import msgspec


class Credentials(msgspec.Struct, frozen=True):
    """What signs requests at one venue or LP. Never printed."""

    key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"Credentials(key={mask(self.key)})"


def credentials(venue: str, environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """The credentials of a venue, or None when its key or secret is not set."""
    key = environ.get(f"{venue}_API_KEY", "")
    secret = environ.get(f"{venue}_API_SECRET", "")
    if not key or not secret:
        return None
    return Credentials(key, secret, environ.get(f"{venue}_PASSPHRASE", ""))


def mask(text: str) -> str:
    """A secret as it may be shown."""
    return f"{text[:2]}…{text[-2:]}" if len(text) > 8 else "…"


def mask_url(text: str) -> str:
    """A URL without the password in it; any other text as it is."""
    return re.sub(r"(://[^:/@\s]*:)[^@\s]*@", r"\1***@", text)
