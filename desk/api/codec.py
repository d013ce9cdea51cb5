"""JSON or MessagePack on one socket: what is sent and what is understood. Chosen by subprotocol at the handshake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from desk.api.decoding import refuse_duplicates
from desk.api.frames import JSON_PROTOCOL, MSGPACK_PROTOCOL
from desk.errors import Invalid


@dataclass(frozen=True, slots=True)
class Codec:
    """One of `JSON` and `MSGPACK`."""

    name: str
    opcode: aiohttp.WSMsgType
    encoder: Any
    decoder: Any

    def encode(self, value: object) -> bytes:
        """A frame's payload. `Raw` values must come from this codec's `raw`."""
        return self.encoder.encode(value)

    def raw(self, value: object) -> msgspec.Raw:
        """A part encoded once, to be put into a frame as it is."""
        return msgspec.Raw(self.encoder.encode(value))

    def decode(self, message: aiohttp.WSMessage) -> dict[str, Any]:
        """A request frame as a dict; raises `Invalid` 400."""
        try:
            frame = self.decoder.decode(message.data)
            if self.name == "JSON":
                refuse_duplicates(message.data)
        except (msgspec.DecodeError, ValueError, RecursionError, TypeError) as fault:
            raise Invalid("malformed_frame", f"not a {self.name} frame: {fault}", status=400) from None
        if not isinstance(frame, dict):
            raise Invalid("malformed_frame", "a frame is an object", status=400)
        return frame


JSON = Codec("JSON", aiohttp.WSMsgType.TEXT, msgspec.json.Encoder(), msgspec.json.Decoder())
MSGPACK = Codec("MessagePack", aiohttp.WSMsgType.BINARY, msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder())
PROTOCOLS = (MSGPACK_PROTOCOL, JSON_PROTOCOL)


def codec_of(protocol: str | None) -> Codec:
    """The codec of a negotiated subprotocol; JSON without one."""
    return MSGPACK if protocol == MSGPACK_PROTOCOL else JSON
