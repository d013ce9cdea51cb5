"""Where the desk is and with which key to talk to it: from the command line, the environment, or `access.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Operator(msgspec.Struct, frozen=True):
    """A key with operator scope. Never printed."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Operator(key={self.key!r})"


class Access(msgspec.Struct, frozen=True):
    """The part of `access.json` that the blotter needs."""

    url: str
    operator: Operator


class AccessFault(ValueError):
    """The desk cannot be found; the text says what to give."""


def from_state(folder: Path) -> Access:
    """`<folder>/access.json` of a demo or desk. Raises `AccessFault`."""
    path = folder / "access.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Access)
    except FileNotFoundError:
        raise AccessFault(f"{path} is not there: is {folder} the --state folder of a desk?") from None
    except (OSError, msgspec.DecodeError) as fault:
        raise AccessFault(f"{path}: {fault}") from None
