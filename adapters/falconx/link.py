"""`FalconXLink`: the REST side of one FalconX account, in plain asyncio. No engine here.

The rule that everything serves: an execute is sent once. When its answer is lost (timeout, reset, 5xx, an answer that
cannot be read), what became of it is *asked*, by `GET v1/quotes/{id}`, until it is proven:

    filled       the quote object says so
    refused      the venue refused this execute in an answer we read, and the quote object agrees that it is not filled
    not filled   the quote is past its expiry and has been seen unfilled over at least `prove_ms`
    not found    the venue has answered 404 over at least `prove_ms`

A quote is firm on *our* clock until request time + (t_expiry - t_quote): safe whatever the venue's clock says.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

import aiohttp
import msgspec
from yarl import URL

from adapters.falconx.auth import Signer
from adapters.falconx.codec import (
    CodecFault,
    FxQuote,
    VenueError,
    decode_balances,
    decode_error,
    decode_quote,
    encode_execute,
    encode_rfq,
)
from adapters.falconx.config import FalconXConfig

KEPT_QUOTES = 2_000
ASK_AGAIN_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)  # between two questions for an outcome; the last repeats


class Verdict(StrEnum):
    """What is known of an execute."""

    FILLED = "filled"
    REFUSED = "refused"  # proven: nothing happened, by the venue's word
    NOT_SENT = "not_sent"  # proven: it never left
    NOT_FILLED = "not_filled"  # proven by asking: expired unexecuted
    NOT_FOUND = "not_found"  # proven by asking: the venue never had the quote
    UNKNOWN = "unknown"  # not proven yet


class Execution(msgspec.Struct, frozen=True):
    """The verdict on one quote; `quote` is there when FILLED, `refused` when the venue's refusal was read."""

    verdict: Verdict
    reason: str = ""
    quote: FxQuote | None = None
    refused: bool = False


class HeldQuote(msgspec.Struct, frozen=True):
    """A quote and until when it is firm on our clock, ns."""

    quote: FxQuote
    valid_until_ns: int


class NoQuote(Exception):
    """The venue did not quote; the text says why."""


class LinkFault(Exception):
    """A question that got no readable answer. `sent`: whether the request may have reached the venue."""

    def __init__(self, reason: str, *, sent: bool = True, status: int = 0, error: VenueError | None = None) -> None:
        super().__init__(reason)
        self.sent, self.status, self.error = sent, status, error


class FalconXLink:
    """REST calls of one account. Loop thread only; `close` ends it."""

    def __init__(self, config: FalconXConfig, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.config = config
        self.quotes: dict[str, HeldQuote] = {}
        self.counters = {"rfqs": 0, "quotes": 0, "executes": 0, "fills": 0, "refused": 0, "unknown": 0, "faults": 0}
        self._clock_ns = clock_ns
        self._signer = Signer(config.api_key, config.secret, config.passphrase)
        self._filled: deque[str] = deque(maxlen=256)  # counted once, however often they are asked for
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._closed

    async def close(self) -> None:
        """Close the connections; calls in flight fail as unknown."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def request_quote(self, rfq_id: str, symbol: str, side: str, quantity: Decimal) -> HeldQuote:
        """Ask for a firm price on `quantity` base. Raises `NoQuote`."""
        self.counters["rfqs"] += 1
        asked_ns = self._clock_ns()
        try:
            body = await self._call("POST", "/v1/quotes", encode_rfq(symbol, side, quantity, rfq_id))
            quote = decode_quote(body)
        except (LinkFault, CodecFault) as fault:
            raise NoQuote(str(fault)) from None
        if quote.error is not None:
            raise NoQuote(str(quote.error))
        if quote.symbol != symbol or quote.quantity != quantity or quote.quantity_token != symbol.split("/")[0]:
            raise NoQuote(f"asked for {quantity} {symbol}, was quoted {quote.quantity} {quote.symbol}")
        wanted = ("buy", "sell") if side == "two_way" else (side,)
        if any(quote.price(each) is None for each in wanted):
            raise NoQuote("the quote lacks a side that was asked for")
        firm_ns = quote.t_expiry_ns - (quote.t_quote_ns or self._clock_ns())
        if firm_ns <= 0:
            raise NoQuote("the quote has expired before it came")
        held = HeldQuote(quote, asked_ns + firm_ns)
        self.quotes[quote.fx_quote_id] = held
        while len(self.quotes) > KEPT_QUOTES:
            del self.quotes[next(iter(self.quotes))]
        self.counters["quotes"] += 1
        return held

    async def execute(self, fx_quote_id: str, side: str) -> Execution:
        """Take a quote. Sends exactly one request; anything that is not proven by its answer is UNKNOWN."""
        self.counters["executes"] += 1
        try:
            body = await self._call("POST", "/v1/quotes/execute", encode_execute(fx_quote_id, side))
            quote = decode_quote(body)
        except LinkFault as fault:
            if not fault.sent:
                return self._count(Execution(Verdict.NOT_SENT, str(fault)))
            refused = fault.error is not None and 400 <= fault.status < 500 and fault.status not in (408, 429)
            return self._count(Execution(Verdict.UNKNOWN, str(fault), refused=refused))
        except CodecFault as fault:
            return self._count(Execution(Verdict.UNKNOWN, str(fault)))
        return self._count(self._read(quote, fx_quote_id, side))

    async def prove(self, fx_quote_id: str, side: str, *, refused: bool = False) -> Execution:
        """Ask what became of an execute until it is proven, or UNKNOWN after `give_up_ms`. `side` "" takes either.

        `refused`: the venue's refusal of this execute was read, so one unfilled quote object is proof enough.
        """
        started = time.monotonic()
        unfilled_since: float | None = None
        missing_since: float | None = None
        last, attempt = "not asked", 0
        while not self._closed and time.monotonic() - started < self.config.give_up_ms / 1000:
            try:
                quote = await self.query(fx_quote_id)
            except LinkFault as fault:
                last, unfilled_since = str(fault), None
                missing_since = (missing_since or time.monotonic()) if fault.status == 404 else None
                if missing_since is not None and self._over(missing_since):
                    return self._count(Execution(Verdict.NOT_FOUND, last))
            except CodecFault as fault:
                last, unfilled_since, missing_since = str(fault), None, None
            else:
                found = self._read(quote, fx_quote_id, side)
                if found.verdict is not Verdict.UNKNOWN:
                    return self._count(found)
                if refused:
                    return self._count(Execution(Verdict.REFUSED, "refused; the quote is not filled"))
                last, missing_since = found.reason, None
                expired = self._clock_ns() > quote.t_expiry_ns
                unfilled_since = (unfilled_since or time.monotonic()) if expired else None
                if unfilled_since is not None and self._over(unfilled_since):
                    return self._count(Execution(Verdict.NOT_FILLED, "expired unexecuted"))
            await asyncio.sleep(ASK_AGAIN_S[min(attempt, len(ASK_AGAIN_S) - 1)])
            attempt += 1
        return Execution(Verdict.UNKNOWN, f"not proven yet: {last}")

    async def query(self, fx_quote_id: str) -> FxQuote:
        """The quote object as it is now. Raises `LinkFault` or `CodecFault`."""
        return decode_quote(await self._call("GET", f"/v1/quotes/{fx_quote_id}"))

    async def balances(self) -> dict[str, Decimal]:
        """Token to balance; negative: we owe. Raises `LinkFault` or `CodecFault`."""
        return decode_balances(await self._call("GET", "/v1/balances?platform=api"))

    async def pairs(self) -> frozenset[str]:
        """Symbols the account may trade. Raises `LinkFault`."""
        rows = msgspec.json.decode(await self._call("GET", "/v1/pairs"))
        return frozenset(f"{row['base_token']}/{row['quote_token']}" for row in rows)

    def _over(self, since: float) -> bool:
        return time.monotonic() - since >= self.config.prove_ms / 1000

    def _read(self, quote: FxQuote, fx_quote_id: str, side: str) -> Execution:
        if quote.fx_quote_id != fx_quote_id:
            return Execution(Verdict.UNKNOWN, f"asked of quote {fx_quote_id}, answered {quote.fx_quote_id}")
        if quote.is_filled:
            if side and quote.side_executed != side:
                return Execution(Verdict.REFUSED, f"the quote was executed as {quote.side_executed}", quote)
            return Execution(Verdict.FILLED, "", quote)
        if quote.error is not None:
            return Execution(Verdict.REFUSED, str(quote.error))
        return Execution(Verdict.UNKNOWN, "answered, but neither filled nor refused")

    def _count(self, result: Execution) -> Execution:
        match result.verdict:
            case Verdict.FILLED:
                if result.quote is not None and result.quote.fx_quote_id not in self._filled:
                    self._filled.append(result.quote.fx_quote_id)
                    self.counters["fills"] += 1
            case Verdict.UNKNOWN:
                self.counters["unknown"] += 1
            case _:
                self.counters["refused"] += 1
        return result

    async def _call(self, method: str, path_qs: str, body: bytes = b"") -> bytes:
        """One signed request; the body of a 200. Raises `LinkFault` for anything else."""
        if self._closed:
            raise LinkFault("the link is closed", sent=False)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=32, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        headers = self._signer.headers(method, path_qs, body, self._clock_ns())
        url = URL(self.config.rest_url.rstrip("/") + path_qs, encoded=True)
        try:
            async with asyncio.timeout(self.config.timeout_ms / 1000):
                async with self._session.request(method, url, data=body or None, headers=headers) as answer:
                    payload = await answer.read()
        except TimeoutError:
            self.counters["faults"] += 1
            raise LinkFault(f"{method} {path_qs}: no answer within {self.config.timeout_ms} ms") from None
        except aiohttp.ClientConnectorError as fault:
            self.counters["faults"] += 1
            raise LinkFault(f"cannot connect: {fault}", sent=False) from None
        except (aiohttp.ClientError, OSError) as fault:
            self.counters["faults"] += 1
            raise LinkFault(f"{method} {path_qs}: {type(fault).__name__} {fault}") from None
        if answer.status != 200:
            error = decode_error(payload)
            raise LinkFault(f"HTTP {answer.status} {error or ''}".rstrip(), status=answer.status, error=error)
        return payload
