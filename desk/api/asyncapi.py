"""AsyncAPI 3.0 of the WebSocket, generated from the frame structs and the channel table."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import msgspec

from desk.api.channels import CHANNELS, Channel
from desk.api.frames import Heartbeat, Push, Reply
from desk.api.messages import AcceptRequest, OrderRequest, RfqRequest

REF = "#/components/schemas/{name}"

DESCRIPTION = """One socket, `GET /v1/ws`. JSON text frames, or MessagePack with subprotocol `kerb.msgpack.v1`. The
first frame authenticates, within five seconds, signed like a REST request with method `WS`. `seq` has no holes within
a subscription; a heartbeat each second carries the last `seq` of every subscription; `resume` goes on after a
reconnect; a new `epoch` means the desk was restarted."""

_ID = {"type": ["string", "integer"], "description": "Echoed in the answer."}
_OPS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "auth": (
        "Authenticate; the first frame.",
        {
            "key": {"type": "string"},
            "timestamp": {"type": ["string", "integer"]},
            "nonce": {"type": "string"},
            "sign": {"type": "string"},
        },
        ["key", "timestamp", "nonce", "sign"],
    ),
    "subscribe": (
        "Open a channel.",
        {"channel": {"type": "string", "enum": sorted(CHANNELS)}, "params": {"type": "object"}},
        ["channel"],
    ),
    "unsubscribe": ("End a subscription.", {"sub": {"type": "integer"}}, ["sub"]),
    "resume": (
        "Go on after frame `seq` on a new socket.",
        {"sub": {"type": "integer"}, "seq": {"type": "integer", "minimum": 0}, "epoch": {"type": "string"}},
        ["sub", "seq"],
    ),
    "ping": ("Is anybody there?", {}, []),
}


def _frame(op: str, summary: str, properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    payload = {
        "type": "object",
        "properties": {"op": {"const": op}, "id": _ID, **properties},
        "required": ["op", *required],
        "additionalProperties": False,
    }
    return {"name": op, "summary": summary, "payload": payload}


def _body_frame(op: str, summary: str, body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    params = {"type": "object", "description": "The same fields, instead."}
    properties = {**extra, **body["properties"], "params": params}
    return _frame(op, summary, properties, [])


def _data_of(channel: Channel, schemas: Mapping[type, Mapping[str, Any]]) -> dict[str, Any]:
    if channel.data is None:
        return {"description": "ccxt's unified structure, decimals as text.", "type": ["object", "array"]}
    return dict(schemas[channel.data])


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    served = [channel for channel in CHANNELS.values() if channel.make is not None]
    data = [channel.data for channel in served if channel.data is not None]
    params = [channel.params for channel in served]
    kinds: list[type] = list(
        dict.fromkeys([Reply, Push, Heartbeat, RfqRequest, AcceptRequest, OrderRequest, *data, *params])
    )
    described, components = msgspec.json.schema_components(kinds, ref_template=REF)
    schemas = dict(zip(kinds, described, strict=True))
    messages: dict[str, Any] = {op: _frame(op, *parts) for op, parts in _OPS.items()}
    messages["rfq"] = _body_frame("rfq", "Ask for a price.", components["RfqRequest"], {})
    messages["accept"] = _body_frame(
        "accept", "Trade on a quote.", components["AcceptRequest"], {"quote_id": {"type": "string"}}
    )
    messages["order"] = _body_frame("order", "Give the desk an order to work.", components["OrderRequest"], {})
    messages["reply"] = {"name": "reply", "summary": "The answer to one request.", "payload": schemas[Reply]}
    messages["heartbeat"] = {"name": "heartbeat", "summary": "Each second.", "payload": schemas[Heartbeat]}
    for channel in served:
        messages[f"push.{channel.name}"] = {
            "name": f"push.{channel.name}",
            "summary": channel.summary,
            "description": f"Needs scope {' or '.join(channel.scopes)}.",
            "payload": {"allOf": [schemas[Push], {"properties": {"data": _data_of(channel, schemas)}}]},
            "x-params": schemas[channel.params],
        }
    sent = [*_OPS, "rfq", "accept", "order"]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Kerb streams", "version": version("kerb"), "description": DESCRIPTION},
        "channels": {
            "ws": {
                "address": "/v1/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "receive": _operation("receive", sent),
            "send": _operation("send", [name for name in messages if name not in sent]),
        },
        "components": {"messages": messages, "schemas": components},
    }


def _operation(action: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/ws"},
        "messages": [{"$ref": f"#/channels/ws/messages/{name}"} for name in names],
    }
