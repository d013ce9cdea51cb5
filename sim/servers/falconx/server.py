"""FalconX on loopback: the REST dialect of an RFQ account, wire-exact, and the price stream beside it.

What it promises:

1. Every call but `POST /_control` is signed and checked; a bad signature is a 401 and touches nothing.
2. A quote is firm until its `t_expiry`; execute is idempotent per `fx_quote_id`: a second one returns the filled quote.
3. A fill is durable before it is answered, and both it and the balances survive a restart on the same `state` folder.
4. What the market does (spread by size, latency, size limits, last look) is `sim.lp_model`, around the caller's `mid`.

Business refusals are HTTP 200 with the quote object, `status` "failure" and `error` {code, reason}; refused requests
are HTTP 4xx with the bare error object. The venue does not publish its code strings: ours are invented, and no adapter
may depend on them.

Faults for tests: `POST /_control {"fault": …, "count": n, "path": …, "ms": …}`; `GET /_control` shows what is pending
and counts calls.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from sim.lp_model import LpModel, LpParams, ModelNoQuote, ModelQuote, Verdict
from sim.servers.falconx.account import Account, VenueQuote, Warning_, iso, wire
from sim.servers.falconx.auth import BadSignature, FalconXCredentials, check_rest, credentials_from_seed
from sim.servers.falconx.faults import FAULTS, Faults
from sim.servers.falconx.stream import STREAM_PATH, PriceStream

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_TRADE_LIMIT = Decimal(25_000_000)  # of the account, in quote currency


class Refusal(Exception):
    """A request the venue does not take: answered with `status` and the error object."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


class FalconXServer:
    """One FalconX account on 127.0.0.1. `mid(symbol)` is the LP's own market, None while it has none."""

    def __init__(
        self,
        mid: Callable[[str], Decimal | None],
        seed: int,
        state: Path | None = None,
        credentials: FalconXCredentials | None = None,
        *,
        params: LpParams | None = None,
        symbols: Sequence[str] = ("BTC/USDT", "ETH/USDT"),
    ) -> None:
        self.credentials = credentials or credentials_from_seed(seed)
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self._mid = mid
        self._symbols = tuple(symbols)
        self._state = state
        self._model = LpModel(seed, params)
        self._account: Account | None = None
        self._stream = PriceStream(self.credentials, self._model, mid, self._symbols, self.faults)
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()

    @property
    def account(self) -> Account:
        """Quotes and balances; only while started."""
        if self._account is None:
            raise RuntimeError("the FalconX server is not started")
        return self._account

    async def start(self, port: int = 0) -> tuple[str, str]:
        """Listen on 127.0.0.1 (`port` 0: any free one) and return (REST url, price socket url)."""
        self._account = await asyncio.to_thread(Account, self._state)
        self._stopping.clear()
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024)
        app.add_routes(
            [
                web.get("/v1/pairs", self._pairs),
                web.post("/v1/quotes", self._rfq),
                web.post("/v1/quotes/execute", self._execute),
                web.get("/v1/quotes/{fx_quote_id}", self._quote),
                web.get("/v1/quotes", self._history),
                web.post("/v1/order", self._order),
                web.post("/v3/order", self._order),
                web.get("/v1/orders/{fx_order_id}", self._order_by_id),
                web.get("/v1/orders", self._orders),
                web.get("/v1/balances", self._balances),
                web.get("/v1/balances/total", self._total_balances),
                web.get("/v1/account_info", self._account_info),
                web.get("/v1/get_trade_limits/{platform}", self._trade_limits),
                web.get("/v1/trade_sizes", self._trade_sizes),
                web.get("/v1/rate_limit", self._rate_limit),
                web.get(STREAM_PATH, self._stream.serve),
                web.get("/_control", self._control_view),
                web.post("/_control", self._control),
            ]
        )
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        bound = self._runner.addresses[0][1]
        return f"http://127.0.0.1:{bound}", f"ws://127.0.0.1:{bound}{STREAM_PATH}"

    async def stop(self) -> None:
        """Close every socket, then the journal."""
        self._stopping.set()
        await self._stream.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._account is not None:
            self._account.close()

    # ---- the door ----

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if request.path in ("/_control", STREAM_PATH):
            return await handler(request)
        path = request.path
        self.calls[
            f"{request.method} {path if 'execute' in path or '/quotes/' not in path else '/v1/quotes/{id}'}"
        ] += 1
        try:
            body = await request.read()
            check_rest(self.credentials, request.headers, request.method, request.raw_path, body)
            if self.faults.take("slow", path):
                await self._wait(self.faults.ms / 1000)
            if self.faults.take("http_503", path):
                return web.Response(status=503, text="Service Unavailable")
            if self.faults.take("http_429", path):
                return web.json_response(
                    {"code": "RATE_LIMITED", "reason": "too many requests"}, status=429, headers={"Retry-After": "1"}
                )
            return await handler(request)
        except BadSignature as fault:
            return _json({"code": "UNAUTHORIZED", "reason": str(fault)}, 401)
        except Refusal as fault:
            return _json({"code": fault.code, "reason": fault.reason}, fault.status)
        except web.HTTPNotFound:
            return _json({"code": "NOT_FOUND", "reason": f"no such endpoint {path}"}, 404)
        except web.HTTPMethodNotAllowed:
            return _json({"code": "METHOD_NOT_ALLOWED", "reason": f"{request.method} {path}"}, 405)

    async def _wait(self, seconds: float) -> None:
        """Sleep, but not longer than the server lives."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _control(self, request: web.Request) -> web.Response:
        knob = await request.json()
        name = knob.get("fault")
        if name not in FAULTS:
            return _json({"code": "UNKNOWN_FAULT", "reason": f"{name!r}; known: {', '.join(sorted(FAULTS))}"}, 400)
        self.faults.ms = int(knob.get("ms", self.faults.ms))
        count = int(knob.get("count", 1))
        match name:
            case "disconnect":
                await self._stream.disconnect(refuse=count)
            case "silence":
                self._stream.silence(self.faults.ms / 1000)
            case _:
                self.faults.arm(name, count, str(knob.get("path", "")))
        return _json({"ok": True})

    async def _control_view(self, request: web.Request) -> web.Response:
        pending = {f"{name} {path}".strip(): left for (name, path), left in self.faults.pending.items() if left}
        return _json({"pending": pending, "calls": dict(self.calls), "connections": self._stream.connections})

    # ---- quotes ----

    async def _rfq(self, request: web.Request) -> web.Response:
        ask = _decode(await request.read(), _QuoteRequest)
        side = {"two-way": "two_way"}.get(ask.side, ask.side)
        if side not in ("buy", "sell", "two_way"):
            raise Refusal(400, "INVALID_SIDE", f"side {ask.side!r}")
        quote = await self._priced(ask.token_pair, ask.quantity, side, ask.client_order_id)
        self.account.remember(quote)
        return self._answer(quote)

    async def _priced(self, pair: _Pair, size: _Size, side: str, client_order_id: str | None) -> VenueQuote:
        """Ask the model, wait as long as it takes to answer, and make the venue's quote of it."""
        symbol, mid = self._market(pair)
        params = self._model.params
        if not size.value.is_finite() or size.value <= 0:
            raise Refusal(400, "INVALID_QUANTITY", f"quantity {size.value}")
        if size.token == pair.base_token:
            base_quantity = size.value
        elif size.token == pair.quote_token:
            base_quantity = (size.value / mid).quantize(params.quantity_step, rounding=ROUND_HALF_EVEN)
        else:
            raise Refusal(400, "INVALID_TOKEN", f"{size.token} is not of the pair {symbol}")
        answer = self._model.quote(symbol, side, base_quantity, mid, time.time_ns())
        await self._wait((answer.sent_ns - time.time_ns()) / 1e9)
        if isinstance(answer, ModelNoQuote):
            raise Refusal(400, answer.code, answer.reason)
        now_ns = time.time_ns()
        warnings: tuple[Warning_, ...] = ()
        if base_quantity * mid > params.max_notional * 4 / 5:
            warnings = (Warning_("LARGE_SIZE", "close to the size limit of this pair", side),)
        return VenueQuote(
            fx_quote_id=answer.quote_id,
            base=pair.base_token,
            quote=pair.quote_token,
            side_requested=side,
            quantity_token=size.token,
            quantity=size.value,
            base_quantity=base_quantity,
            buy_price=answer.ask,
            sell_price=answer.bid,
            mid=answer.mid,
            t_quote_ns=now_ns,
            t_expiry_ns=now_ns + params.ttl_ns,
            client_order_id=client_order_id,
            warnings=warnings,
        )

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        ask = _decode(await request.read(), _ExecuteRequest)
        arrived_ns = time.time_ns()
        quote = self.account.quotes.get(ask.fx_quote_id)
        if quote is None:
            raise Refusal(404, "QUOTE_NOT_FOUND", f"no quote {ask.fx_quote_id}")
        if ask.side not in ("buy", "sell"):
            raise Refusal(400, "INVALID_SIDE", f"side {ask.side!r}")
        if self.faults.take("hang_before_execute"):
            await self._stopping.wait()
            return web.Response(status=503)
        if not quote.filled and not quote.error_code:
            await self._look(quote, ask.side, arrived_ns)
        if quote.filled and quote.side_executed != ask.side:
            raise Refusal(400, "ALREADY_EXECUTED", f"quote was executed as {quote.side_executed}")
        if self.faults.take("hang_after_execute"):
            await self._stopping.wait()
            return web.Response(status=503)
        if self.faults.take("http_503_after_execute"):
            return web.Response(status=503, text="Service Unavailable")
        return self._answer(quote)

    async def _look(self, quote: VenueQuote, side: str, arrived_ns: int) -> None:
        """Last look: fill the quote or mark it refused."""
        price = quote.buy_price if side == "buy" else quote.sell_price
        if price is None:
            raise Refusal(400, "SIDE_NOT_QUOTED", f"the quote has no {side} price")
        symbol = f"{quote.base}/{quote.quote}"
        told = ModelQuote(
            quote_id=quote.fx_quote_id,
            symbol=symbol,
            side=quote.side_requested,
            quantity=quote.base_quantity,
            bid=quote.sell_price,
            ask=quote.buy_price,
            mid=quote.mid,
            sent_ns=quote.t_quote_ns,
            valid_until_ns=quote.t_expiry_ns,
        )
        decision = self._model.decide(told, self._mid(symbol) or quote.mid, arrived_ns)
        if decision.verdict is not Verdict.EXPIRED:
            await self._wait(decision.hold_ns / 1e9)
        if quote.filled or quote.error_code:  # a second execute came while this one was looked at
            return
        forced = decision.verdict is Verdict.FILLED and self.faults.take("reject")
        match decision.verdict:
            case Verdict.EXPIRED:
                quote.error_code, quote.error_reason = "QUOTE_EXPIRED", decision.reason
            case Verdict.REJECTED:
                quote.error_code, quote.error_reason = "QUOTE_REJECTED", decision.reason
            case Verdict.FILLED if forced:
                quote.error_code, quote.error_reason = "QUOTE_REJECTED", "rejected by last look"
            case Verdict.FILLED:
                self.account.fill(quote, side, price, time.time_ns())

    async def _quote(self, request: web.Request) -> web.Response:
        quote = self.account.quotes.get(request.match_info["fx_quote_id"])
        if quote is None:
            raise Refusal(404, "QUOTE_NOT_FOUND", f"no quote {request.match_info['fx_quote_id']}")
        return self._answer(quote)

    async def _history(self, request: web.Request) -> web.Response:
        quotes = [wire(quote) for quote in self._executed(request, 31)]
        return _json(quotes)

    # ---- orders ----

    async def _order(self, request: web.Request) -> web.Response:
        ask = _decode(await request.read(), _OrderRequest)
        if ask.side not in ("buy", "sell"):
            raise Refusal(400, "INVALID_SIDE", f"side {ask.side!r}")
        if ask.order_type not in ("market", "limit"):
            raise Refusal(400, "INVALID_ORDER_TYPE", f"order_type {ask.order_type!r}")
        if ask.order_type == "limit" and (ask.time_in_force != "fok" or ask.limit_price is None):
            raise Refusal(400, "INVALID_ORDER", "a limit order needs time_in_force fok and limit_price")
        if any(
            value is not None and (not value.is_finite() or value < 0) for value in (ask.limit_price, ask.slippage_bps)
        ):
            raise Refusal(400, "INVALID_ORDER", "limit_price and slippage_bps must be positive numbers")
        quote = await self._priced(ask.token_pair, ask.quantity, ask.side, ask.client_order_id)
        quote.order_type, quote.time_in_force = ask.order_type, ask.time_in_force
        quote.limit_price, quote.slippage_bps = ask.limit_price, ask.slippage_bps
        price = quote.buy_price if ask.side == "buy" else quote.sell_price
        if price is None:
            raise Refusal(503, "NO_LIQUIDITY", "no price available, try again")
        worst = ask.limit_price
        if worst is not None and ask.slippage_bps:
            slip = worst * ask.slippage_bps / 10_000
            worst = worst + slip if ask.side == "buy" else worst - slip
        self.account.remember(quote)
        if worst is not None and (price > worst if ask.side == "buy" else price < worst):
            quote.error_code, quote.error_reason = "PRICE_NOT_MET", f"best price {price} is beyond the limit {worst}"
        else:
            self.account.fill(quote, ask.side, price, time.time_ns())
        return self._answer(quote)

    async def _order_by_id(self, request: web.Request) -> web.Response:
        quote = self.account.quotes.get(request.match_info["fx_order_id"])
        if quote is None or quote.order_type == "rfq":
            raise Refusal(404, "ORDER_NOT_FOUND", f"no order {request.match_info['fx_order_id']}")
        return self._answer(quote)

    async def _orders(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= 100:
            raise Refusal(400, "INVALID_LIMIT", "limit is 1 to 100")
        found = [wire(quote) for quote in self._executed(request, 31) if quote.order_type != "rfq"]
        return _json(found[: int(limit)])

    # ---- the account ----

    async def _pairs(self, request: web.Request) -> web.Response:
        pairs = [symbol.split("/") for symbol in self._symbols]
        return _json([{"base_token": base, "quote_token": quote} for base, quote in pairs])

    async def _balances(self, request: web.Request) -> web.Response:
        platform = request.query.get("platform", "api")
        return _json([{"token": t, "balance": v, "platform": platform} for t, v in self.account.balances.items()])

    async def _total_balances(self, request: web.Request) -> web.Response:
        return _json([{"token": t, "total_balance": v} for t, v in self.account.balances.items()])

    async def _account_info(self, request: web.Request) -> web.Response:
        return _json({"account_name": "Kerb loopback", "subaccount_name": "main"})

    async def _trade_limits(self, request: web.Request) -> web.Response:
        mids = {symbol.split("/")[0]: self._mid(symbol) or Decimal(0) for symbol in self._symbols}
        gross, net = self.account.exposure(mids, self._symbols[0].split("/")[1])
        limits = {"gross_limits": (gross, _TRADE_LIMIT * 2), "net_limits": (net, _TRADE_LIMIT)}
        return _json(
            {k: {"available": total - used, "total": total, "used": used} for k, (used, total) in limits.items()}
        )

    async def _trade_sizes(self, request: web.Request) -> web.Response:
        size = {"max": self._model.params.max_notional, "min": self._model.params.min_notional}
        return _json(
            [
                {"platform": "api", "token_pair": _pair(s), "trade_size_limits_in_quote_token": size}
                for s in self._symbols
            ]
        )

    async def _rate_limit(self, request: web.Request) -> web.Response:
        return _json({"per_hour": None, "per_minute": 3000, "per_second": 100})

    # ---- small parts ----

    def _market(self, pair: _Pair) -> tuple[str, Decimal]:
        symbol = f"{pair.base_token}/{pair.quote_token}"
        if symbol not in self._symbols:
            raise Refusal(400, "INVALID_TOKEN_PAIR", f"{symbol} is not traded")
        mid = self._mid(symbol)
        if mid is None:
            raise Refusal(503, "NO_LIQUIDITY", f"no market in {symbol} now")
        return symbol, mid

    def _answer(self, quote: VenueQuote) -> web.Response:
        return _json(wire(quote, prices_as_text=self.faults.take("prices_as_text")))

    def _executed(self, request: web.Request, days: int) -> list[VenueQuote]:
        """Filled quotes between t_start and t_end (ISO 8601), newest first."""
        start = request.query.get("t_start", "")
        end = request.query.get("t_end", "9999")
        oldest_ns = time.time_ns() - days * 86_400_000_000_000
        return [
            quote
            for quote in reversed(self.account.filled)
            if (quote.t_execute_ns or 0) >= oldest_ns and start <= iso(quote.t_execute_ns or 0) <= end
        ]


class _Pair(msgspec.Struct):
    base_token: str
    quote_token: str


class _Size(msgspec.Struct):
    token: str
    value: Decimal  # text on v1, number on v3: both are taken


class _QuoteRequest(msgspec.Struct):
    token_pair: _Pair
    quantity: _Size
    side: str
    client_order_id: str | None = None


class _ExecuteRequest(msgspec.Struct):
    fx_quote_id: str
    side: str


class _OrderRequest(msgspec.Struct):
    token_pair: _Pair
    quantity: _Size
    side: str
    order_type: str
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    slippage_bps: Decimal | None = None
    client_order_id: str | None = None


def _decode[T](body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, InvalidOperation) as fault:
        raise Refusal(400, "INVALID_REQUEST", str(fault)) from None


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=_ENCODER.encode(body), status=status, content_type="application/json")


def _pair(symbol: str) -> dict[str, str]:
    base, quote = symbol.split("/")
    return {"base_token": base, "quote_token": quote}
