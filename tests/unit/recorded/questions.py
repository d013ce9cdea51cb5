"""How a recorded message is put to the adapter: a frame to both of a venue's dialects, an answer to the question that it answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import OrderRequest, offers_of
from adapters.ccxt.market.link import market_dialect
from adapters.ccxt.past.told import Span
from adapters.ccxt.symbols import market_of
from adapters.ccxt.venues.bybit.dialect import BybitAccountDialect
from adapters.ccxt.venues.registry import VENUES as RULES
from tests.unit.recorded.telling import GENERIC, Public, answering, asked, compact, lines, past

NOW_MS = 1_700_000_000_000
Decode = Callable[["Venue", str], Awaitable[list[str]]]


class Venue:
    """One exchange of the recorded messages: its folder, its markets, and how its answers are asked for.

    `files`, `leaves`: which of the folder are its own. `frames`: which of those are frames, but for the `requests` of a client.
    `after`: frames that make sense only after another one.
    """

    def __init__(
        self,
        exchange: str,
        folder: str,
        rows: list[dict[str, Any]],
        answers: dict[str, Decode],
        *,
        frames: str = "ws_*",
        files: str = "**/*",
        leaves: str = "",
        requests: str = "",
        after: dict[str, str] | None = None,
        keys: tuple[str, str] = ("k", "c2VjcmV0"),
    ) -> None:
        self.exchange, self.folder, self.answers, self.frames = exchange, folder, answers, frames
        self._pattern, self._leaves, self.requests = files, leaves, requests
        self.rows, self.after, self._keys = rows, after or {}, keys
        self._public: Public | None = None

    def files(self, folder: Path) -> list[str]:
        """Every recorded file that is this venue's, below its folder."""
        root = folder / self.folder
        found = [
            path
            for path in root.glob(self._pattern)
            if path.is_file() and not (self._leaves and self._leaves in path.name)
        ]
        return sorted(str(path.relative_to(root)) for path in found)

    def config(self) -> ExchangeConfig:
        """Of an account that exists nowhere."""
        key, secret = self._keys
        symbols = tuple(one["symbol"] for one in self.rows)
        return ExchangeConfig(
            venue=self.exchange.upper(),
            exchange=self.exchange,
            symbols=symbols,
            api_key=key,
            secret=secret,
            password="p",
        )

    def account(self, category: str = "") -> tuple[Any, Any]:
        """A fresh dialect and its instance; of Bybit for a category of contracts as well, as they were recorded."""
        dialect: Any = BybitAccountDialect(category) if category else RULES[self.exchange].account()
        exchange = dialect.create(self.config())
        exchange.set_markets(self.rows)
        exchange.enableRateLimit = False
        exchange.milliseconds = lambda: NOW_MS
        return dialect, exchange

    def market(self) -> tuple[Any, Any]:
        """The same of market data."""
        dialect = market_dialect(self.exchange)
        exchange = dialect.create(self.config())
        exchange.set_markets(self.rows)
        exchange.enableRateLimit = False
        return dialect, exchange

    def frame(self, text: str, before: str | None) -> list[str]:
        """What a frame says to the market-data link, the same either way, and to the account."""
        if self._public is None:
            self._public = Public(self.exchange, self.rows)
        texts = [compact(one) for one in (before, text) if one is not None]
        long = self._public.hear(texts, typed=False)
        if self.exchange in GENERIC:
            return long
        assert self._public.hear(texts, typed=True) == long
        message = json.loads(text)
        dialect, exchange = self.account(_category(message) if self.exchange == "bybit" else "")
        if self.exchange == "krakenfutures" and message["feed"].startswith("open_orders"):
            message["feed"] = message["feed"].replace("open_orders", "open_orders_verbose")  # the same rows
        read = exchange.parse_json(json.dumps(message))
        return long + lines(dialect.read(exchange, read)) + _answer(dialect, exchange, read)

    async def close(self) -> None:
        """Let go of the link."""
        if self._public is not None:
            await self._public.close()


def _answer(dialect: Any, exchange: Any, message: Any) -> list[str]:
    """What a frame says to a request of ours, of a venue that takes orders over its socket."""
    said = dialect.socket_answer(exchange, message) if offers_of(dialect).socket else None
    if said is None:
        return []
    number, result = said
    word = f"{type(result).__name__}: {result}" if isinstance(result, Exception) else json.dumps(result, sort_keys=True)
    return [f"answer to request {number}: {word}"]


def _category(message: dict[str, Any]) -> str:
    """What Bybit's rows are of."""
    found = message.get("data") or [{}]
    return found[0].get("category", "") if isinstance(found, list) and isinstance(found[0], dict) else ""


# ---- questions ------------------------------------------------------------------------------------------------------------------------


def account(ask: Callable[[Any, Any], Any], *then: str) -> Decode:
    """A question about the account."""

    async def decode(venue: Venue, text: str) -> list[str]:
        category = "linear" if venue.exchange == "bybit" else ""
        return await asked(*venue.account(category), ask, text, *then)

    return decode


def public(ask: Callable[[Any, Any], Any]) -> Decode:
    """A question about a market."""

    async def decode(venue: Venue, text: str) -> list[str]:
        return await asked(*venue.market(), ask, text)

    return decode


def candles(timeframe: str, first_ms: int, last_ms: int, then: str) -> Decode:
    """Candles of the past that open from the first moment to the last."""
    span = Span(first_ms, last_ms + 1)
    return lambda venue, text: past(venue.exchange, "candles", timeframe, span, text, then)


def trades(first_ms: int, last_ms: int, *then: str) -> Decode:
    """Trades of the past from the first moment to the last."""
    span = Span(first_ms, last_ms + 1)
    return lambda venue, text: past(venue.exchange, "trades", "", span, text, *then)


def depth(symbol: str) -> Decode:
    """A book, for an audit."""

    async def ask(dialect: Any, exchange: Any) -> Any:
        found = await dialect.whole_book(exchange, symbol, 100)
        rows = {name: ",".join(f"{p}×{q}" for p, q, *_ in getattr(found, name)) for name in ("bids", "asks")}
        return rows | ({} if found.sequence is None else {"sequence": found.sequence})

    return public(ask)


def order(client_order_id: str, symbol: str, then: str = "{}") -> Decode:
    """An order by our id."""
    return account(lambda dialect, exchange: dialect.order(exchange, client_order_id, symbol), then)


def open_orders(*symbols: str, then: str = "{}") -> Decode:
    """Every open order."""
    return account(lambda dialect, exchange: dialect.open_orders(exchange, symbols), then)


def fills(*symbols: str, then: str = "{}") -> Decode:
    """Every execution."""
    return account(lambda dialect, exchange: dialect.fills_since(exchange, symbols, 0), then)


def balances(then: str = "{}") -> Decode:
    """Every balance."""
    return account(lambda dialect, exchange: dialect.balances(exchange), then)


def positions(*symbols: str) -> Decode:
    """Every position."""
    return account(lambda dialect, exchange: dialect.positions(exchange, symbols))


def fees(*symbols: str) -> Decode:
    """Our own taker fees."""

    async def ask(dialect: Any, exchange: Any) -> Any:
        async def now() -> int:
            return 0

        exchange.load_time_difference = now
        dialect._config = ExchangeConfig(
            venue="V", exchange=exchange.id, symbols=symbols, api_key="k", secret="c2VjcmV0"
        )
        exchange.apiKey, exchange.secret, exchange.password = "k", "c2VjcmV0", "p"
        return await dialect.taker_fees(exchange, symbols)

    return public(ask)


def placed(symbol: str, quantity: str = "10", price: str | None = "100", tif: str = "GTC") -> Decode:
    """The answer to an order."""
    request = OrderRequest(
        client_order_id="c-1", symbol=symbol, side="buy", kind="limit" if price else "market", time_in_force=tif,
        quantity=quantity, price=price,
    )  # fmt: skip
    return account(lambda dialect, exchange: dialect.place(exchange, request))


def cancelled(symbol: str, then: str = "{}") -> Decode:
    """The answer to a cancel: silence, or a refusal."""
    return account(lambda dialect, exchange: dialect.cancel(exchange, "c-1", symbol), then)


Parse = Callable[[Any, Any], Awaitable[list[dict[str, Any]]]]


def listing(parse: Parse) -> Decode:
    """Markets, as the engine's instruments get their terms from them."""

    async def decode(venue: Venue, text: str) -> list[str]:
        _, exchange = venue.market()
        found = await parse(exchange, exchange.on_json_response(text))
        carried = [one for one in found if one and (one["spot"] or one["swap"])]
        return list(dict.fromkeys(said for one in carried for said in _terms(one)))  # one answer for every page

    return decode


def _terms(listed: dict[str, Any]) -> list[str]:
    try:
        return lines(market_of(listed))
    except ValueError as e:
        return [f"refused: {e}"]


async def clock(venue: Venue, text: str) -> list[str]:
    """The venue's time."""
    _, exchange = venue.market()
    return [f"now_ms={await RULES[venue.exchange].past().now_ms(answering(exchange, text))}"]


def each(parse: Callable[[Any, Any], list[dict[str, Any]]]) -> Parse:
    """Markets that are parsed without a request."""

    async def parsed(exchange: Any, body: Any) -> list[dict[str, Any]]:
        return parse(exchange, body)

    return parsed


async def whole(exchange: Any, body: Any) -> list[dict[str, Any]]:
    """Every market that an answer lists."""
    return list(await answering(exchange, json.dumps(body)).fetch_markets())


def framed(within: str) -> Decode:
    """A file that holds the data of a frame: in the frame."""

    async def decode(venue: Venue, text: str) -> list[str]:
        return venue.frame(within.replace("ROW", text), None)

    return decode


def wrapped(decode: Decode, *, within: str) -> Decode:
    """A file that holds one row: in the answer that it is a row of."""
    return lambda venue, text: decode(venue, within.replace("ROW", text))


async def decode(venue: Venue, name: str, folder: Path) -> list[str] | None:
    """What a recorded file says; None when nobody is asked about it."""
    path = folder / venue.folder / name
    if path.suffix != ".json":
        return None
    text = path.read_text()
    stem = name.removesuffix(".json")
    if stem in venue.answers:
        return await venue.answers[stem](venue, text)
    if not Path(name).match(venue.frames) or (venue.requests and Path(stem).match(venue.requests)):
        return None
    before = venue.after.get(stem)
    return venue.frame(text, None if before is None else (folder / venue.folder / f"{before}.json").read_text())
