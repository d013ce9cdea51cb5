"""The LP as the desk and the router see it: an endpoint for RFQs and a streamed ladder on the bus.

    LP.<ID>.rfq    [LpRfq]     answered once, with `LpQuote` or `LpNoQuote`, at the latest after `timeout_ms`
    lp.ladder      [LpLadder]  what the stream says now; empty rungs the moment it is down, silent or unreadable

Top-of-ladder quotes also go to the engine as `QuoteTick`s of `<SYMBOL>.<ID>`, so that its portfolio can value the LP.
"""

from __future__ import annotations

import asyncio
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import ComponentId
from nautilus_trader.model.objects import Price, Quantity

from adapters.falconx.codec import StreamRung
from adapters.falconx.config import FalconXConfig
from adapters.falconx.instruments import currency_pair, instrument_id
from adapters.falconx.link import HeldQuote, NoQuote
from adapters.falconx.shared import acquire, release
from adapters.falconx.stream import FalconXStream
from adapters.nautilus import topics
from adapters.nautilus.bus import Bus
from adapters.nautilus.lp import LpLadder, LpNoQuote, LpQuote, LpRfq, LpRung
from adapters.nautilus.safe import LoopSafe, Safe

MAX_OPEN_RFQS = 200  # more are answered with LpNoQuote at once


class FalconXActor(Safe, LoopSafe, Actor):
    """RFQs and ladders of one FalconX account, live only (a replay has its own LP)."""

    def __init__(self, config: FalconXConfig) -> None:
        super().__init__(ActorConfig(component_id=ComponentId(f"{config.lp}-LP")))
        self._settings = config
        self._rfqs: set[asyncio.Task[None]] = set()

    def on_start(self) -> None:
        """Register, tell the engine the instruments, connect in the background."""
        self.bind_loop()
        config = self._settings
        self._link = acquire(config)
        self._stream = FalconXStream(config, self._on_stream)
        self._bus = Bus(self)
        for symbol in config.symbols:
            self.msgbus.send("DataEngine.process", currency_pair(config, symbol, self.clock.timestamp_ns()))
            self._publish(symbol, ())
        self._bus.register(topics.lp_rfq(config.lp), self._on_rfq)
        self._stream.start()

    def on_stop(self) -> None:
        """Answer what is open, take the ladders down, leave the bus."""
        for task in list(self._rfqs):
            task.cancel()
        for symbol in self._settings.symbols:
            self._publish(symbol, ())
        self._bus.close()
        asyncio.get_running_loop().create_task(self._disconnect(), name=f"{self._settings.lp} disconnect")

    async def _disconnect(self) -> None:
        await self._stream.stop()
        await release(self._link)

    def health(self) -> dict[str, object]:
        """State of stream and link, for the operator."""
        stream, link = self._stream, self._link
        return {"status": stream.status, "reason": stream.reason, **stream.counters, **link.counters}

    def _on_rfq(self, rfq: LpRfq) -> None:
        if rfq.symbol not in self._settings.symbols:
            self._refuse(rfq, f"{rfq.symbol} is not traded here")
        elif len(self._rfqs) >= MAX_OPEN_RFQS:
            self._refuse(rfq, "too many requests open")
        else:
            task = asyncio.get_running_loop().create_task(self._ask(rfq))
            self._rfqs.add(task)
            task.add_done_callback(self._rfqs.discard)

    async def _ask(self, rfq: LpRfq) -> None:
        try:
            held = await self._link.request_quote(rfq.rfq_id, rfq.symbol, rfq.side, rfq.quantity)
        except NoQuote as fault:
            self._refuse(rfq, str(fault))
        except asyncio.CancelledError:
            self._refuse(rfq, "stopping")
            raise
        except Exception as fault:
            self.report_fault("rfq", fault)
            self._refuse(rfq, "internal fault")
        else:
            self._reply(rfq, self._quote(rfq, held))

    def _quote(self, rfq: LpRfq, held: HeldQuote) -> LpQuote:
        """The quote in our words. Digits beyond the instrument's precision are rounded against us."""
        quote = held.quote
        step = Decimal(1).scaleb(-self._settings.price_precision)
        bid = None if quote.sell_price is None else quote.sell_price.quantize(step, ROUND_FLOOR).normalize()
        ask = None if quote.buy_price is None else quote.buy_price.quantize(step, ROUND_CEILING).normalize()
        return LpQuote(
            lp=self._settings.lp,
            rfq_id=rfq.rfq_id,
            quote_id=quote.fx_quote_id,
            symbol=rfq.symbol,
            bid=bid if rfq.side != "buy" else None,
            ask=ask if rfq.side != "sell" else None,
            quantity=quote.quantity,
            valid_until_ns=held.valid_until_ns,
            ts_ns=self.clock.timestamp_ns(),
        )

    def _refuse(self, rfq: LpRfq, reason: str) -> None:
        self._reply(rfq, LpNoQuote(lp=self._settings.lp, rfq_id=rfq.rfq_id, reason=reason))

    def _reply(self, rfq: LpRfq, answer: LpQuote | LpNoQuote) -> None:
        try:
            rfq.reply(answer)
        except Exception as fault:  # whoever asked must not take the LP down
            self.report_fault("rfq reply", fault)

    def _on_stream(self, symbol: str, rungs: tuple[StreamRung, ...], reason: str) -> None:
        if reason and self.is_running:
            self.log.warning(f"{symbol} ladder down: {reason}")
        self._publish(symbol, rungs)

    def _publish(self, symbol: str, rungs: tuple[StreamRung, ...]) -> None:
        now_ns = self.clock.timestamp_ns()
        ladder = LpLadder(
            lp=self._settings.lp,
            symbol=symbol,
            rungs=tuple(LpRung(rung.quantity, rung.bid, rung.ask) for rung in rungs),
            ts_ns=now_ns,
        )
        self._bus.publish(topics.LP_LADDER, ladder)
        if rungs:
            top, config = rungs[0], self._settings
            size = Quantity.from_str(f"{top.quantity:.{config.size_precision}f}")
            tick = QuoteTick(
                instrument_id(symbol, config.lp),
                Price.from_str(f"{top.bid:.{config.price_precision}f}"),
                Price.from_str(f"{top.ask:.{config.price_precision}f}"),
                size,
                size,
                now_ns,
                now_ns,
            )
            self.msgbus.send("DataEngine.process", tick)
