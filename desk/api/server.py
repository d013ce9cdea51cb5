"""`ApiServer`: REST and WebSocket on one port (and on a unix socket for local operators), in the caller's event loop.

Every REST route goes one way: size and media type, signature, scope, body and query decoded, the handler, the answer encoded. Whatever
goes wrong becomes the one error shape; a bug of ours is logged and answered as 503 `failed`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from desk.accounts import VenueAccounts
from desk.api import routes_desk, routes_orders, routes_rfq
from desk.api.context import Api, Venues
from desk.api.decoding import convert_query, decode_body
from desk.api.events import Events
from desk.api.faults import error_response, fault_of_http, new_request_id, unexpected
from desk.api.metrics import Metrics
from desk.api.routes_public import Public
from desk.api.routing import Call, Route
from desk.api.signing import KEY_HEADER, NONCE_HEADER, SIGN_HEADER, TIMESTAMP_HEADER
from desk.api.wire import Runner
from desk.api.ws import Sockets
from desk.clients.auth import Authenticator
from desk.clients.store import KeyStore
from desk.errors import ApiFault, Invalid, TemporaryFault
from desk.market import Market
from desk.service import Caller, DeskService, OrderService

ROUTES: tuple[Route, ...] = (*routes_rfq.ROUTES, *routes_orders.ROUTES, *routes_desk.ROUTES)
MAX_BODY_BYTES = 64 * 1024
REQUEST_ID_HEADER = "KERB-REQUEST-ID"
REQUEST_ID = web.RequestKey("request_id", str)
# Media types that say nothing about the body: what common clients send when nobody chose one.
_UNSTATED = ("application/json", "application/octet-stream", "application/x-www-form-urlencoded")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiServer:
    """Serves `service` and `orders`. `events` is what the desk tells its feeds; `epoch` names this run of the desk."""

    def __init__(
        self,
        service: DeskService,
        orders: OrderService,
        market: Market,
        keys: KeyStore,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        epoch: str,
        events: Events | None = None,
        reply_timeout_s: float = 10.0,
        accounts: VenueAccounts | None = None,
        venues: Venues = Venues(),
    ) -> None:
        self.metrics = _metrics()
        self.api = Api(
            service=service,
            orders=orders,
            market=market,
            authenticator=Authenticator(keys, clock_ns),
            events=events or Events(),
            metrics=self.metrics,
            clock_ns=clock_ns,
            epoch=epoch,
            reply_timeout_s=reply_timeout_s,
            accounts=accounts,
            venues=venues,
        )
        self.sockets: Sockets | None = None
        self._runner: web.AppRunner | None = None

    @property
    def events(self) -> Events:
        """Where the desk reports RFQs, trades and alerts."""
        return self.api.events

    async def start(self, host: str, port: int, unix_path: str | Path | None = None) -> int:
        """Listen; returns the port (the bound one for port 0). Raises `TemporaryFault` when it is taken."""
        self.sockets = Sockets(self.api)
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._guard])
        for route in ROUTES:
            app.router.add_route(route.method, route.path, self._endpoint(route))
        app.router.add_route("GET", "/v1/ws", self.sockets.handle)
        Public(self.api, ROUTES).add_to(app)
        self._describe_gauges(self.sockets)
        self._runner = Runner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0, auto_decompress=False)
        await self._runner.setup()
        self.sockets.start()
        try:
            site = web.TCPSite(self._runner, host, port)
            await site.start()
            bound: int = self._runner.addresses[0][1]
            if unix_path is not None:
                path = Path(unix_path)
                path.unlink(missing_ok=True)
                await web.UnixSite(self._runner, str(path)).start()
                path.chmod(0o600)
        except OSError as fault:
            await self.stop()
            raise TemporaryFault(f"cannot listen on {host}:{port}: {fault.strerror or fault}") from None
        return bound

    async def stop(self) -> None:
        """Close every socket with a reason, let requests at work finish for two seconds, stop listening."""
        sockets, self.sockets = self.sockets, None
        runner, self._runner = self._runner, None
        if sockets is not None:
            await sockets.close()
        if runner is not None:
            await runner.cleanup()
            self.api.authenticator.close()

    # ---- one request ----

    def _endpoint(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await self._body(request)
            caller = self._caller(request, body)
            route.admit(caller)
            call = Call(
                caller=caller,
                request_id=request[REQUEST_ID],
                path=dict(request.match_info),
                body=decode_body(body, route.body) if route.body is not None else None,
                query=_query(request, route.query) if route.query is not None else None,
            )
            answer = await route.handle(self.api, call)
            return web.Response(body=msgspec.json.encode(answer), status=route.status, content_type="application/json")

        return handle

    async def _body(self, request: web.Request) -> bytes:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise Invalid("unsupported_media_type", "send the body as it is, not compressed", status=415)
        body = await request.read()
        stated = request.headers.get("Content-Type")
        if body and stated is not None and request.content_type not in _UNSTATED:
            raise Invalid("unsupported_media_type", f"a body is application/json, not {stated}", status=415)
        return body

    def _caller(self, request: web.Request, body: bytes) -> Caller:
        headers = request.headers
        try:
            return self.api.authenticator.check(
                headers.get(KEY_HEADER),
                headers.get(TIMESTAMP_HEADER),
                headers.get(NONCE_HEADER),
                headers.get(SIGN_HEADER),
                method=request.method,
                path=request.raw_path,
                body=body,
                address=request.remote or None,
            )
        except ApiFault as fault:
            self.metrics.count("kerb_auth_failures_total", (("code", fault.code),))
            raise

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Number the request, turn what is raised into an answer, count and time it."""
        began = time.perf_counter()
        request_id = request[REQUEST_ID] = new_request_id()
        response: web.StreamResponse
        try:
            response = await handler(request)
        except ApiFault as fault:
            headers = {"Upgrade": "websocket"} if fault.status == 426 else None
            response = error_response(fault, request_id, headers)
        except web.HTTPException as refused:
            allow = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else None
            response = error_response(fault_of_http(refused.status, request.method, request.path), request_id, allow)
        except Exception:
            response = error_response(unexpected(f"{request.method} {_route_of(request)}", request_id), request_id)
        if not response.prepared:
            response.headers[REQUEST_ID_HEADER] = request_id
            response.headers["Server"] = "kerb"
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Content-Type-Options"] = "nosniff"
        route = _route_of(request)
        labels = (("method", request.method), ("route", route), ("status", str(response.status)))
        self.metrics.count("kerb_api_requests_total", labels)
        if not isinstance(response, web.WebSocketResponse):
            self.metrics.observe("kerb_api_request_seconds", time.perf_counter() - began, (("route", route),))
        return response

    def _describe_gauges(self, sockets: Sockets) -> None:
        self.metrics.gauge("kerb_ws_sockets", lambda: {(): float(sockets.count())})
        self.metrics.gauge(
            "kerb_ws_subscriptions",
            lambda: {(("channel", name),): float(n) for name, n in sockets.registry.count().items()},
        )


def _query(request: web.Request, kind: type) -> Any:
    given = request.query
    if len(given) != len(set(given)):
        raise Invalid("invalid_field", "a query parameter is given twice")
    return convert_query(dict(given), kind)


def _route_of(request: web.Request) -> str:
    """The route's pattern, never the path a client sent: label values are a fixed set."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _metrics() -> Metrics:
    metrics = Metrics()
    metrics.describe("kerb_api_requests_total", "counter", "Requests answered, by route and status.")
    metrics.describe("kerb_api_request_seconds", "histogram", "Time from the request's head to its answer.")
    metrics.describe("kerb_auth_failures_total", "counter", "Requests and sockets refused, by code.")
    metrics.describe("kerb_ws_sockets", "gauge", "WebSockets open.")
    metrics.describe("kerb_ws_subscriptions", "gauge", "Subscriptions, parked ones too, by channel.")
    metrics.describe("kerb_ws_frames_total", "counter", "Frames sent.")
    metrics.describe("kerb_ws_conflated_total", "counter", "Changes that slow consumers did not see one by one.")
    metrics.describe("kerb_ws_slow_disconnects_total", "counter", "Sockets closed because they did not read.")
    return metrics
