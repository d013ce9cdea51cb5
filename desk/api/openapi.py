"""OpenAPI 3.1, generated from the route table and the message structs: what is described is what is served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from desk.api.messages import ErrorAnswer
from desk.api.routing import Route

REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")
_AUTH_ERRORS = (400, 401, 403, 429, 503)

DESCRIPTION = """Kerb's REST API. Every price, quantity and amount is a decimal string; every time is integer nanoseconds since
the epoch. Unknown request fields are refused. Streams are described in `/asyncapi.json`.

Requests carry `KERB-KEY`, `KERB-TIMESTAMP` (ms, within 5 s of the desk's clock), `KERB-NONCE` (1 to 64 characters, once) and
`KERB-SIGN`: lower-case hex of HMAC-SHA256 (or Ed25519) over these five lines joined by a newline: timestamp, nonce, METHOD, path with
query as sent, lower-case hex SHA-256 of the body as sent."""

_HEADERS = {
    "KerbKey": ("KERB-KEY", "Key id."),
    "KerbTimestamp": ("KERB-TIMESTAMP", "Milliseconds since the epoch, within 5 s of the desk's clock."),
    "KerbNonce": ("KERB-NONCE", "1 to 64 characters, once per key inside the window."),
    "KerbSign": ("KERB-SIGN", "Lower-case hex signature of the five lines."),
}


def _schemas(types: Iterable[type]) -> tuple[dict[type, Mapping[str, Any]], dict[str, Any]]:
    kinds = list(dict.fromkeys(types))
    described, components = msgspec.json.schema_components(kinds, ref_template=REF)
    return dict(zip(kinds, described, strict=True)), components


def _parameters(route: Route, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        schema = components[route.query.__name__]
        found += [
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _no_null(part)}
            for name, part in schema["properties"].items()
        ]
    return found


def _no_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query parameter is absent, not null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if options:
        return options[0]
    if None in schema.get("enum", ()):
        return {**schema, "enum": [value for value in schema["enum"] if value is not None], "default": None}
    return dict(schema)


def _answer(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _operation(
    route: Route, schemas: Mapping[type, Mapping[str, Any]], components: Mapping[str, Any]
) -> dict[str, Any]:
    errors = {*_AUTH_ERRORS, *route.errors} | ({413, 415, 422} if route.body or route.query else set())
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": ["desk" if route.path.startswith("/v1/desk/") else "trading"],
        "security": [{name: [] for name in _HEADERS}],
        "responses": {
            str(route.status): _answer(HTTPStatus(route.status).phrase, schemas[route.answer]),
            **{str(code): _answer(HTTPStatus(code).phrase, schemas[ErrorAnswer]) for code in sorted(errors)},
        },
    }
    if route.scopes:
        operation["description"] = f"{route.summary} Needs scope {' or '.join(route.scopes)}."
    if parameters := _parameters(route, components):
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[route.body], "examples": _examples(route)}},
        }
    return operation


def _examples(route: Route) -> dict[str, Any]:
    """What a body may look like, as OpenAPI's map of named examples."""
    return {name: {"value": value} for name, value in route.examples.items()}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document of a route table."""
    table = list(routes)
    kinds = [kind for route in table for kind in (route.answer, route.body, route.query) if kind is not None]
    schemas, components = _schemas([*kinds, ErrorAnswer])
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, components)
    queries = {route.query.__name__ for route in table if route.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kerb", "version": version("kerb"), "description": DESCRIPTION},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "securitySchemes": {
                name: {"type": "apiKey", "in": "header", "name": header, "description": text}
                for name, (header, text) in _HEADERS.items()
            },
        },
    }
