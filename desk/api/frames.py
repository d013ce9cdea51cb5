"""The frames of the WebSocket (CONTRACT 4), shared by the server and the SDK.

    → {"op":"auth"|"subscribe"|"unsubscribe"|"resume"|"ping"|"rfq"|"accept", "id":…, …}
    ← {"id":…,"ok":true,"op":…,…}                    `Reply`: exactly one for each request
    ← {"sub":7,"seq":2,"kind":"update","ts_ns":…,"data":{…},"conflated":n}   `Push`: seq has no holes within a
    subscription ← {"kind":"heartbeat","op":"heartbeat","ts_ns":…,"epoch":…,"seqs":{"7":2}}   `Heartbeat`: each second

`rfq` and `accept` carry the fields of the REST bodies, either in `params` or beside `op`; `accept` adds `quote_id`.
JSON in text frames, or MessagePack in binary frames for a client that asked for subprotocol `kerb.msgpack.v1`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal

import msgspec

from desk.api.messages import DecimalText, ErrorBody, Quote

MSGPACK_PROTOCOL = "kerb.msgpack.v1"
JSON_PROTOCOL = "kerb.json.v1"
AUTH_TIMEOUT_S = 5.0
HEARTBEAT_S = 1.0

FrameId = str | int
Mode = Literal["native", "derived", "polled", "unsupported"]


class CloseCode(IntEnum):
    """Why the desk closed a socket."""

    GOING_AWAY = 1001  # the desk stops
    BAD_FRAME = 4400  # too many malformed frames
    UNAUTHORIZED = 4401  # no valid auth frame within five seconds
    SLOW_CONSUMER = 4408  # events that must not be dropped did not fit its queue, or it stopped reading
    REVOKED = 4403  # the key was revoked while connected


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one request frame. `error` is there exactly when `ok` is false."""

    ok: bool
    id: FrameId | None = None
    op: str | None = None
    channel: str | None = None
    sub: int | None = None
    mode: Mode | None = None
    epoch: str | None = None
    seq: int | None = None
    data: Any = None
    error: ErrorBody | None = None


class Push(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One frame of a subscription. `conflated`: how many changes this one stands for beyond its own."""

    sub: int
    seq: int
    kind: Literal["snapshot", "update"]
    ts_ns: int
    data: Any
    conflated: int = 0


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Each second: the last `seq` of every subscription of this socket, by its `sub` as text."""

    seqs: dict[str, int]
    ts_ns: int
    epoch: str
    kind: Literal["heartbeat"] = "heartbeat"
    op: Literal["heartbeat"] = "heartbeat"


# ---- data of the desk's own channels -------------------------------------------------------------------------------


class RfsRung(msgspec.Struct, frozen=True, kw_only=True):
    """One size of channel `rfs`: `ask` is what the client buys at, `bid` what it sells at; each can be accepted by its
    quote_id.
    """

    quantity: DecimalText
    bid: Quote | None
    ask: Quote | None


class RfsLadder(msgspec.Struct, frozen=True, kw_only=True):
    """Data of channel `rfs`. Without rungs nothing can be priced now, and `reason` says why."""

    instrument: str
    rungs: list[RfsRung]
    reason: str = ""
