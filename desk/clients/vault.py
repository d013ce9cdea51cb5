"""Secrets at rest: AES-256-GCM under one master key.

The master key is `KERB_MASTER_KEY` (32 bytes as base64 or hex) or, without it, the file `master.key` of the state
folder, made with mode 0600 on first use. Each secret is bound to its key id: moved to another entry it does not
decrypt.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from desk.errors import ConfigFault

ENVIRONMENT = "KERB_MASTER_KEY"
FILE = "master.key"
_NONCE_BYTES = 12


def master_key(state: Path, environment: Mapping[str, str] | None = None) -> bytes:
    """The 32 bytes of the master key; raises `ConfigFault` when they are malformed or readable by others."""
    given = (os.environ if environment is None else environment).get(ENVIRONMENT)
    if given:
        return _parse(given, ENVIRONMENT)
    path = state / FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise ConfigFault(f"{path} can be read by others: chmod 600 it") from None
        return _parse(path.read_text(), str(path))
    with os.fdopen(descriptor, "w") as file:
        key = secrets.token_bytes(32)
        file.write(base64.b64encode(key).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _parse(text: str, source: str) -> bytes:
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise ConfigFault(f"{source}: a master key is 32 bytes in base64 or hex")
    return key


class Vault:
    """Encrypts and decrypts the secrets of keys."""

    def __init__(self, master: bytes) -> None:
        self._cipher = AESGCM(master)

    def seal(self, key_id: str, secret: str) -> str:
        """`secret` as base64 of nonce and ciphertext."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), key_id.encode())).decode()

    def unseal(self, key_id: str, sealed: str) -> str:
        """The secret; raises `ConfigFault` under another master key, or when the entry was changed."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], key_id.encode()).decode()
        except (InvalidTag, ValueError):
            raise ConfigFault(f"key {key_id} does not decrypt: another master key, or a changed file") from None
