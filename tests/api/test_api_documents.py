"""OpenAPI and AsyncAPI describe what is served, exactly and completely; the page works without a network."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk.api import asyncapi, docs, openapi
from desk.api.channels import CHANNELS
from desk.api.desk_messages import HaltRequest
from desk.api.messages import AcceptRequest, RfqRequest
from desk.api.server import ROUTES
from tests.api.house import RFQ, House

NO_BODY = ("/v1/orders/{order_id}/pause", "/v1/orders/{order_id}/resume")


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _resolve(document: dict[str, Any], ref: str) -> Any:
    node: Any = document
    for part in ref.removeprefix("#/").split("/"):
        node = node[part]
    return node


@pytest.mark.parametrize("document", [openapi.document(ROUTES), asyncapi.document()], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    refs = list(_refs(document))
    assert len(refs) > 20
    for ref in refs:
        assert _resolve(document, ref), ref


def test_every_route_served_is_described_and_the_reverse(tmp_path: Path) -> None:
    async def run() -> None:
        async with House(tmp_path) as house:
            _, document, _ = await house.wire().call("GET", "/openapi.json", headers={})
            assert document["openapi"].startswith("3.1")
            described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
            runner = house.server._runner
            assert runner is not None
            served = {
                (route.method, route.resource.canonical)
                for route in runner.app.router.routes()
                if route.resource is not None and route.resource.canonical.startswith("/v1/") and route.method != "HEAD"
            }
            assert served - {("GET", "/v1/ws")} == described
            names = [
                operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
            ]
            assert len(names) == len(set(names))

    asyncio.run(run())


def test_every_operation_has_its_errors_parameters_and_body() -> None:
    document = openapi.document(ROUTES)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            named = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert {"401", "403", "429", "503"} <= set(operation["responses"])
            for code, answer in operation["responses"].items():
                schema = answer["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("/ErrorAnswer") == (int(code) >= 400), (path, code)
            assert ("requestBody" in operation) == (method == "post" and path not in NO_BODY)
    query = {p["name"]: p["schema"] for p in document["paths"]["/v1/rfqs"]["get"]["parameters"]}
    assert set(query) == {"client_rfq_id", "state", "limit", "cursor"}
    assert query["limit"]["maximum"] == 500 and None not in query["state"]["enum"]


@pytest.mark.parametrize(("kind", "example"), [(RfqRequest, RFQ), (AcceptRequest, {"client_order_id": "o"})])
def test_a_request_that_the_document_describes_is_accepted(kind: type, example: dict[str, Any]) -> None:
    schema = openapi.document(ROUTES)["components"]["schemas"][kind.__name__]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(example) <= set(schema["properties"])
    msgspec.convert(example, kind)
    for name, part in schema["properties"].items():
        if name in example and "pattern" in part:
            assert re.search(part["pattern"], example[name]), name
    assert "HaltRequest" in openapi.document(ROUTES)["components"]["schemas"] and HaltRequest


def test_asyncapi_names_every_channel_and_op() -> None:
    document = asyncapi.document()
    assert document["asyncapi"].startswith("3.")
    messages = document["components"]["messages"]
    assert {"auth", "subscribe", "unsubscribe", "resume", "ping", "rfq", "accept", "reply", "heartbeat"} <= set(
        messages
    )
    served = {name for name, channel in CHANNELS.items() if channel.make is not None}
    assert {f"push.{name}" for name in served} <= set(messages)
    assert messages["subscribe"]["payload"]["properties"]["channel"]["enum"] == sorted(CHANNELS)


def test_the_page_fetches_nothing_and_names_every_operation() -> None:
    document = openapi.document(ROUTES)
    page = docs.page(document)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page) and "<script" not in page and "@import" not in page
    for route in ROUTES:
        assert f'id="{route.name}"' in page
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
