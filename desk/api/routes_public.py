"""What needs no key: the descriptions, the health checks, the counters."""

from __future__ import annotations

import msgspec
from aiohttp import web

from desk.api import asyncapi, docs, openapi
from desk.api.context import Api
from desk.api.routing import Route
from desk.errors import Failed


class Public:
    """Handlers of the public routes. The documents are made once."""

    def __init__(self, api: Api, routes: tuple[Route, ...]) -> None:
        self._api = api
        document = openapi.document(routes)
        self._openapi = msgspec.json.encode(document)
        self._asyncapi = msgspec.json.encode(asyncapi.document())
        self._page = docs.page(document)

    def add_to(self, app: web.Application) -> None:
        """Register the routes."""
        app.router.add_get("/openapi.json", self._get_openapi)
        app.router.add_get("/asyncapi.json", self._get_asyncapi)
        app.router.add_get("/docs", self._get_docs)
        app.router.add_get("/healthz", self._get_health)
        app.router.add_get("/readyz", self._get_ready)
        app.router.add_get("/metrics", self._get_metrics)

    async def _get_openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")

    async def _get_asyncapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._asyncapi, content_type="application/json")

    async def _get_docs(self, _: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html", headers={"Content-Security-Policy": docs.CSP})

    async def _get_health(self, _: web.Request) -> web.Response:
        """The process lives and its loop turns."""
        return web.json_response({"status": "ok", "epoch": self._api.epoch})

    async def _get_ready(self, _: web.Request) -> web.Response:
        """The desk can quote: it trades, and at least one book is live."""
        trading = self._api.service.trading().trading
        now_ns = self._api.clock_ns()
        books = [
            book for symbol, book in self._api.market.books.items() if ":" not in symbol
        ]  # no client is quoted contracts
        live = sum(book.status(venue, now_ns).value == "live" for book in books for venue in book.venues)
        if trading == "halted" or not live:
            raise Failed("not_ready", "the desk cannot quote", details={"trading": trading, "live_books": live})
        return web.json_response({"status": "ready", "trading": trading, "live_books": live})

    async def _get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._api.metrics.text().encode(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )
