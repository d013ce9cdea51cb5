"""The keys of a desk, in `<state>/keys.json` (mode 0600, replaced atomically, secrets encrypted).

`kerb keys` may change the file while a desk runs: writers take a lock, and the running desk looks at the file's stamp
at most once a second and reads it again when it changed, so that a revoked key stops within a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from desk.clients.keys import (
    DEFAULT_BURST,
    DEFAULT_RATE_PER_S,
    ApiKey,
    NewKey,
    Scheme,
    Scope,
    new_key_id,
    new_secret,
)
from desk.clients.vault import Vault, master_key
from desk.errors import ConfigFault

FILE = "keys.json"
LOOK_AGAIN_S = 1.0


class _Entry(msgspec.Struct, frozen=True):
    key: ApiKey
    sealed: str = ""  # HMAC: the encrypted secret
    public: str = ""  # Ed25519: the public key in hex


class _File(msgspec.Struct, frozen=True):
    version: int
    keys: list[_Entry]


class KeyStore:
    """Reads and writes the keys of one state folder. Loop-thread only; the lock is against other processes."""

    def __init__(self, state: Path, environment: Mapping[str, str] | None = None) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._path = state / FILE
        self._vault = Vault(master_key(state, environment))
        self._entries: dict[str, _Entry] = {}
        self._secrets: dict[str, str] = {}
        self._stamp: tuple[int, int, int] = (0, 0, 0)
        self._next_look = 0.0
        self._read()

    @property
    def folder(self) -> Path:
        """The state folder."""
        return self._path.parent

    # ---- looking up ----

    def get(self, key_id: str) -> ApiKey | None:
        """The key, also when it is revoked (`active` False); None when there never was one."""
        self._look()
        entry = self._entries.get(key_id)
        return entry.key if entry else None

    def secret(self, key_id: str) -> str:
        """What signatures are checked with: the HMAC secret, or the Ed25519 public key in hex."""
        known = self._secrets.get(key_id)
        if known is None:
            entry = self._entries[key_id]
            known = entry.public or self._vault.unseal(key_id, entry.sealed)
            self._secrets[key_id] = known
        return known

    def keys(self) -> list[ApiKey]:
        """All keys, oldest first."""
        self._look()
        return [entry.key for entry in self._entries.values()]

    # ---- changing ----

    def new(
        self,
        client_id: str,
        scopes: Iterable[str],
        *,
        scheme: str = Scheme.HMAC,
        tier: str = "standard",
        instruments: Iterable[str] | None = None,
        addresses: Iterable[str] = (),
        rate_per_s: float = DEFAULT_RATE_PER_S,
        burst: int = DEFAULT_BURST,
        public_key: str | None = None,
    ) -> NewKey:
        """Make a key and write it. For Ed25519 a public key may be given; then nobody but its owner knows the
        secret. Raises `ConfigFault` for anything that would never let a request through.
        """
        if public_key and scheme != Scheme.ED25519:
            raise ConfigFault("a public key belongs to the scheme ed25519")
        key = ApiKey(
            key_id=new_key_id(),
            client_id=client_id,
            scopes=_checked_scopes(scopes),
            scheme=Scheme(scheme),
            tier=tier,
            instruments=None if instruments is None else frozenset(map(_checked_symbol, instruments)),
            addresses=tuple(map(_checked_address, addresses)),
            rate_per_s=rate_per_s,
            burst=burst,
            created_ns=time.time_ns(),
        )
        if not key.scopes or not client_id:
            raise ConfigFault("a key needs a client and at least one scope")
        if key.scheme is Scheme.ED25519:
            secret, public = ("", public_key) if public_key else _new_pair()
            entry = _Entry(key, public=_checked_public(public))
        else:
            secret = new_secret()
            entry = _Entry(key, sealed=self._vault.seal(key.key_id, secret))
        with self._locked():
            self._entries[key.key_id] = entry
            self._write()
        return NewKey(key=key, secret=secret)

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key useless for ever; it stays in the list. Raises `ConfigFault` when there is no such key."""
        with self._locked():
            entry = self._entries.get(key_id)
            if entry is None:
                raise ConfigFault(f"there is no key {key_id}")
            if entry.key.active:
                key = msgspec.structs.replace(entry.key, active=False, revoked_ns=time.time_ns())
                entry = msgspec.structs.replace(entry, key=key)
                self._entries[key_id] = entry
                self._write()
        return entry.key

    # ---- the file ----

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._read()
            yield
        finally:
            os.close(descriptor)

    def _look(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_AGAIN_S
            if self._stamp_now() != self._stamp:
                self._read()

    def _stamp_now(self) -> tuple[int, int, int]:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (stat.st_ino, stat.st_mtime_ns, stat.st_size)

    def _read(self) -> None:
        stamp = self._stamp_now()
        if stamp == (0, 0, 0):
            self._entries = {}
        else:
            try:
                file = msgspec.json.decode(self._path.read_bytes(), type=_File)
            except msgspec.DecodeError as fault:
                raise ConfigFault(f"{self._path}: {fault}") from None
            if file.version != 1:
                raise ConfigFault(f"{self._path}: version {file.version}, this desk reads version 1")
            self._entries = {entry.key.key_id: entry for entry in file.keys}
        self._secrets.clear()
        self._stamp = stamp

    def _write(self) -> None:
        file_now = _File(1, list(self._entries.values()))
        text = msgspec.json.format(msgspec.json.encode(file_now, order="sorted"), indent=1)
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._stamp = self._stamp_now()


def _new_pair() -> tuple[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    return private.private_bytes_raw().hex(), private.public_key().public_bytes_raw().hex()


def _checked_public(public: str) -> str:
    try:
        raw = bytes.fromhex(public)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise ConfigFault("an Ed25519 public key is 32 bytes in hex")
    return public.lower()


def _checked_scopes(scopes: Iterable[str]) -> frozenset[Scope]:
    known = {scope.value for scope in Scope}
    wanted = list(scopes)
    if strangers := [scope for scope in wanted if scope not in known]:
        raise ConfigFault(f"there is no scope {', '.join(strangers)}; there are {', '.join(Scope)}")
    return frozenset(Scope(scope) for scope in wanted)


def _checked_symbol(symbol: str) -> str:
    if "/" not in symbol:
        raise ConfigFault(f"{symbol!r} is not an instrument such as BTC/USDT")
    return symbol


def _checked_address(address: str) -> str:
    try:
        ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise ConfigFault(f"{address!r} is neither an IP address nor a network such as 10.0.0.0/8") from None
    return address
