"""One venue's matching core: the tape's book plus our own orders, our balances, and a journal that survives everything.

Rules, the same for both exchanges:

1. **Consumption.** Our marketable orders take the liquidity they trade against. What was taken from a level stays taken until the tape next
   *changes* that level: a row with another size than the tape's last one for it restores the level to the row's size; a row that repeats
   the old size does not. What is left is what everybody sees (`shown`), and takers can never take more than that.
2. **Takers** walk the opposite side from the best level to their limit, one fill a level at the level's price. IOC and market remainders
   end at once, FOK is all or nothing, GTC remainders rest. Post-only orders that would take are refused (`PostOnly.REFUSE`, Binance and
   Kraken) or accepted and ended at once (`PostOnly.CANCEL`, Bybit and OKX).
3. **Resting orders** fill at their own price when the shown opposite side reaches them (they consume it), and when a trade prints strictly
   through their price (at most the print's size). They are not shown to others, and do not trade with each other.
4. **Balances.** An order reserves what it may spend, fees in quote included; it is refused when that is not free. Fees are `size × bps`,
   half-up to 8 decimals, in the currency received (`FeeIn.RECEIVED`, Binance) or in the quote currency (`FeeIn.QUOTE`, Kraken).
5. **Client order ids** are unique among open orders only, as on the venues: sending one again after its order has ended executes again.
6. **Amending** changes price or total quantity of a resting order in place, under its old ids, or not at all. A price that reaches
   the other side takes there (refused when the order is post-only); a quantity that has filled already ends the order.
7. **Expiry** (GTD) ends an order at its moment, `cancel_all` those of a symbol or all.
8. Trade and order ids never repeat, also after a restart. A CLEAR empties the book: takers find nothing until the next snapshot.

Money is exact: prices and sizes are integers of the instrument, amounts `Decimal`. Single-threaded; every state change is in the journal
before a caller hears of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import ClassVar

import msgspec

from sim.events import EventKind, VenueEvent
from sim.instruments import VenueInstrument
from sim.servers.journal import VenueJournal
from sim.servers.market_book import MarketBook
from sim.servers.records import (
    Change,
    EndedBy,
    FeeIn,
    OrderRequest,
    OrderStatus,
    PostOnly,
    Refusal,
    RefusalKind,
    Tif,
    VenueFill,
    VenueOrder,
)

_CENT_8 = Decimal("0.00000001")
_KEPT_ORDERS = 50_000  # ended orders kept in memory for queries; the journal has all


class MatchingCore:
    """One venue: books, our account, our orders. `journal_path` None keeps nothing.

    Listeners (called synchronously, in order): `on_order(order, change, fill)`; `on_rows(symbol, rows)` when our own taking changed shown
    levels; `on_print(symbol, fill)` for the public trade of each own fill.
    """

    refuses_fok: ClassVar[bool] = False  # a fill-or-kill that cannot fill is an error, not an order that was killed

    def __init__(
        self,
        venue: str,
        instruments: dict[str, VenueInstrument],
        balances: dict[str, Decimal],
        *,
        fee_in: FeeIn,
        post_only: PostOnly = PostOnly.REFUSE,
        journal_path: Path | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.venue = venue
        self.instruments = instruments
        self.fee_in = fee_in
        self.post_only = post_only
        self.clock_ns = clock_ns
        self.books = {symbol: MarketBook() for symbol in instruments}
        self.last_price: dict[str, int] = {}
        self.balances: dict[str, Decimal] = {}
        self.orders: dict[int, VenueOrder] = {}
        self.by_client: dict[str, VenueOrder] = {}
        self.resting: dict[int, VenueOrder] = {}
        self.fills: list[VenueFill] = []
        self.on_order: list[Callable[[VenueOrder, Change, VenueFill | None], None]] = []
        self.on_rows: list[Callable[[str, list[tuple[int, int, int]]], None]] = []
        self.on_print: list[Callable[[str, VenueFill], None]] = []
        self._journal = VenueJournal(journal_path)
        self._written: list[dict] = []
        self._next_id = self._next_trade_id = clock_ns() // 1_000_000
        self._restore(balances)

    # --- requests ----------------------------------------------------------------------------------------------------------------------

    def place(self, request: OrderRequest) -> VenueOrder:
        """Accept and match an order; raises `Refusal` when the venue says no."""
        instrument = self.instruments.get(request.symbol)
        if instrument is None:
            raise Refusal(RefusalKind.UNKNOWN_SYMBOL, request.symbol)
        price, quantity = _units(instrument, request)
        known = self.by_client.get(request.client_id) if request.client_id else None
        if known is not None and known.open:
            raise Refusal(RefusalKind.DUPLICATE_CLIENT_ID, request.client_id)
        allowed = self._allowed(request.symbol, request.side, quantity, request.reduce_only)
        plan = self._walk(request.symbol, request.side, price if request.price is not None else None, allowed)
        self._check_minimum(instrument, request, price, quantity, plan)
        would_take = request.post_only and bool(plan)
        if would_take and self.post_only is PostOnly.REFUSE:
            raise Refusal(RefusalKind.WOULD_TAKE)
        killed = request.tif is Tif.FOK and sum(size for _, size in plan) < quantity
        if killed and self.refuses_fok:
            raise Refusal(RefusalKind.CANNOT_FILL)
        if would_take or killed:
            plan = []
        self._check_funds(instrument, request, price, quantity, plan)
        now = self.clock_ns()
        self._next_id += 1
        order = VenueOrder(
            order_id=self._next_id,
            client_id=request.client_id,
            symbol=request.symbol,
            side=request.side,
            market=request.price is None,
            tif=request.tif if request.price is not None else Tif.IOC,
            price=price,
            quantity=quantity,
            created_ns=now,
            updated_ns=now,
            status=OrderStatus.EXPIRED if would_take else OrderStatus.NEW,  # in its first record: it must never rest
            post_only=request.post_only,
            reduce_only=request.reduce_only,
            expires_ns=request.expires_ns if request.tif is Tif.GTD else 0,
            fills=[],
        )
        self._keep(order)
        self._written.append({"k": "order", **_plain(order)})
        told: list[tuple[Change, VenueFill | None]] = [(Change.NEW, None)]
        taken: list[tuple[int, int, int]] = []
        for level, size in plan:
            taken.append(self.books[order.symbol].take(-order.side, level, size))
            told.append((Change.TRADE, self._fill(order, level, size, maker=False)))
        if order.leaves and (would_take or not order.rests):
            self._end(order, OrderStatus.EXPIRED)
            told.append((Change.EXPIRED, None))
        elif order.leaves:
            self.resting[order.order_id] = order
        self._commit()
        self._tell(order, told, taken)
        return order

    def cancel(self, order_id: int, by: EndedBy = EndedBy.REQUEST) -> VenueOrder:
        """Cancel an open order; raises `Refusal(UNKNOWN_ORDER)` when there is none."""
        order = self.resting.get(order_id)
        if order is None:
            raise Refusal(RefusalKind.UNKNOWN_ORDER, str(order_id))
        self._end(order, OrderStatus.CANCELED, by)
        self._commit()
        self._tell(order, [(Change.CANCELED, None)], [])
        return order

    def cancel_all(self, symbol: str | None = None, by: EndedBy = EndedBy.REQUEST) -> list[VenueOrder]:
        """Cancel every open order, of a symbol or of all."""
        wanted = [order.order_id for order in self.resting.values() if symbol in (None, order.symbol)]
        return [self.cancel(order_id, by) for order_id in wanted]

    def amend(
        self,
        order_id: int,
        *,
        price: Decimal | None = None,
        quantity: Decimal | None = None,
        post_only: bool = False,
        client_id: str = "",
    ) -> VenueOrder:
        """Change price or total quantity of an open order in place (`client_id`: its new one), or raise `Refusal`."""
        order = self.resting.get(order_id)
        if order is None:
            raise Refusal(RefusalKind.UNKNOWN_ORDER, str(order_id))
        instrument = self.instruments[order.symbol]
        request = OrderRequest(
            symbol=order.symbol,
            side=order.side,
            quantity=instrument.size(order.quantity) if quantity is None else quantity,
            price=instrument.price(order.price) if price is None else price,
        )
        wanted, total = _units(instrument, request)
        plan = self._walk(order.symbol, order.side, wanted, total - order.filled)
        if total > order.filled:
            self._check_minimum(instrument, request, wanted, total, plan)
            if plan and (post_only or order.post_only):
                raise Refusal(RefusalKind.WOULD_TAKE)
            self._check_more(instrument, order, wanted, total - order.filled)
        order.price, order.quantity, order.updated_ns = wanted, max(total, order.filled), self.clock_ns()
        self._rename(order, client_id or order.client_id)
        terms: dict[str, object] = {
            "order_id": order_id,
            "price": wanted,
            "quantity": order.quantity,
            "ts_ns": order.updated_ns,
        }
        terms["client_id"] = order.client_id
        self._written.append({"k": "amend", **terms})
        self._commit()
        self._tell(order, [(Change.AMENDED, None)], [])
        told: list[tuple[Change, VenueFill | None]] = []
        taken: list[tuple[int, int, int]] = []
        for level, size in plan:
            taken.append(self.books[order.symbol].take(-order.side, level, size))
            told.append((Change.TRADE, self._fill(order, level, size, maker=False)))
        if order.open and not order.leaves:
            self._end(order, OrderStatus.CANCELED, EndedBy.AMEND)
            told.append((Change.CANCELED, None))
        self._commit()
        self._tell(order, told, taken)
        return order

    def _rename(self, order: VenueOrder, client_id: str) -> None:
        if client_id != order.client_id:
            self.by_client.pop(order.client_id, None)
            order.client_id = client_id
            self.by_client[client_id] = order

    def expire(self) -> None:
        """End the orders whose time is over."""
        now = self.clock_ns()
        for order in [order for order in self.resting.values() if 0 < order.expires_ns <= now]:
            self._end(order, OrderStatus.EXPIRED)
            self._commit()
            self._tell(order, [(Change.EXPIRED, None)], [])

    def locked(self) -> dict[str, Decimal]:
        """What open orders reserve, by currency."""
        out: dict[str, Decimal] = {}
        for order in self.resting.values():
            instrument = self.instruments[order.symbol]
            currency, amount = self._reservation(instrument, order.side, order.price, order.leaves)
            out[currency] = out.get(currency, Decimal(0)) + amount
        return out

    def free(self, currency: str) -> Decimal:
        """What can be spent of a currency."""
        return self.balances.get(currency, Decimal(0)) - self.locked().get(currency, Decimal(0))

    def mid(self, symbol: str) -> Decimal | None:
        """Middle of the shown book, None while there is no live two-sided one."""
        book = self.books.get(symbol)
        if book is None or not book.live:
            return None
        bid, ask = book.shown.bids.best(), book.shown.asks.best()
        if bid is None or ask is None:
            return None
        return self.instruments[symbol].price(bid + ask) / 2

    # --- the tape ----------------------------------------------------------------------------------------------------------------------

    def apply(self, event: VenueEvent) -> list[tuple[int, int, int]]:
        """Take in a market event; answers the rows of the shown book that an update changed (empty for other kinds)."""
        book = self.books[event.symbol]
        shown: list[tuple[int, int, int]] = []
        match event.kind:
            case EventKind.SNAPSHOT:
                book.load(event.levels)
            case EventKind.UPDATE:
                shown = book.apply(event.levels)
            case EventKind.CLEAR:
                book.clear(event.reason)
            case EventKind.TRADE:
                self.last_price[event.symbol] = event.price
        if self.resting:
            self._match_resting(event)
        return shown

    def next_trade_id(self) -> int:
        """A trade id of this venue that was never given before."""
        self._next_trade_id += 1
        return self._next_trade_id

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    # --- matching ----------------------------------------------------------------------------------------------------------------------

    def _walk(self, symbol: str, side: int, limit: int | None, quantity: int) -> list[tuple[int, int]]:
        """(price, size) of the levels a taker of `side` would take."""
        opposite = self.books[symbol].shown.side(-side)
        out: list[tuple[int, int]] = []
        for key in reversed(opposite.keys):
            level = key * opposite.side
            if quantity <= 0 or (limit is not None and (level - limit) * side > 0):
                break
            size = min(quantity, opposite.sizes[key])
            out.append((level, size))
            quantity -= size
        return out

    def _match_resting(self, event: VenueEvent) -> None:
        mine = [order for order in self.resting.values() if order.symbol == event.symbol]
        mine.sort(key=lambda order: (-order.price * order.side, order.order_id))
        printed = event.size if event.kind is EventKind.TRADE else 0
        for order in mine:
            told: list[tuple[Change, VenueFill | None]] = []
            taken: list[tuple[int, int, int]] = []
            if event.kind is EventKind.TRADE:
                # a print through our price would have reached us first
                if event.side == -order.side and (order.price - event.price) * order.side > 0 and printed > 0:
                    size = min(printed, self._may_fill(order))
                    if not size:
                        continue
                    printed -= size
                    told.append((Change.TRADE, self._fill(order, order.price, size, maker=True)))
            else:
                for level, size in self._walk(order.symbol, order.side, order.price, self._may_fill(order)):
                    taken.append(self.books[order.symbol].take(-order.side, level, size))
                    told.append((Change.TRADE, self._fill(order, order.price, size, maker=True)))
            if told:
                self._commit()
                self._tell(order, told, taken)

    def _allowed(self, symbol: str, side: int, quantity: int, reduce_only: bool) -> int:
        """How much of a quantity may fill now; a spot account has no positions to reduce."""
        return quantity

    def _may_fill(self, order: VenueOrder) -> int:
        return self._allowed(order.symbol, order.side, order.leaves, order.reduce_only)

    def _worth(self, instrument: VenueInstrument, price: int, size: int) -> Decimal:
        """What a size is worth at a price, in the currency it is paid in."""
        return instrument.price(price) * instrument.size(size)

    def _realised(self, order: VenueOrder, price: int, size: int) -> Decimal:
        """What an execution gains by closing a position."""
        return Decimal(0)

    def _fill(self, order: VenueOrder, price: int, size: int, *, maker: bool) -> VenueFill:
        instrument = self.instruments[order.symbol]
        cost = self._worth(instrument, price, size)
        bps = instrument.maker_fee_bps if maker else instrument.taker_fee_bps
        in_base = self.fee_in is FeeIn.RECEIVED and order.side > 0
        fee = ((instrument.size(size) if in_base else cost) * bps / 10_000).quantize(_CENT_8, ROUND_HALF_UP)
        fill = VenueFill(
            trade_id=self.next_trade_id(),
            order_id=order.order_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            size=size,
            cost=cost,
            fee=fee,
            fee_currency=instrument.base if in_base else instrument.settle,
            maker=maker,
            ts_ns=self.clock_ns(),
            realised=self._realised(order, price, size),
        )
        self._book_fill(order, fill)
        self._written.append({"k": "fill", **_plain(fill)})
        return fill

    def _book_fill(self, order: VenueOrder, fill: VenueFill) -> None:
        order.fills.append(fill)
        order.filled += fill.size
        order.cost += fill.cost
        order.updated_ns = fill.ts_ns
        order.status = OrderStatus.PARTIALLY_FILLED if order.leaves else OrderStatus.FILLED
        if not order.leaves:
            self.resting.pop(order.order_id, None)
        for currency, amount in self._movements(self.instruments[order.symbol], fill):
            self.balances[currency] = self.balances.get(currency, Decimal(0)) + amount
        self.last_price[order.symbol] = fill.price
        self.fills.append(fill)
        if len(self.fills) > 2 * _KEPT_ORDERS:
            del self.fills[:_KEPT_ORDERS]

    def _movements(self, instrument: VenueInstrument, fill: VenueFill) -> list[tuple[str, Decimal]]:
        """What an execution does to the balances."""
        return [
            (instrument.base, instrument.size(fill.size) * fill.side),
            (instrument.quote, -fill.cost * fill.side),
            (fill.fee_currency, -fill.fee),
        ]

    def _end(self, order: VenueOrder, status: OrderStatus, by: EndedBy = EndedBy.REQUEST) -> None:
        order.status, order.ended_by = status, by
        order.updated_ns = self.clock_ns()
        self.resting.pop(order.order_id, None)
        self._written.append(
            {"k": "end", "order_id": order.order_id, "status": status, "by": by, "ts_ns": order.updated_ns}
        )

    def _tell(
        self, order: VenueOrder, told: list[tuple[Change, VenueFill | None]], taken: list[tuple[int, int, int]]
    ) -> None:
        for change, fill in told:
            for listener in self.on_order:
                listener(order, change, fill)
            if fill is not None:
                for printer in self.on_print:
                    printer(order.symbol, fill)
        if taken:
            for watcher in self.on_rows:
                watcher(order.symbol, taken)

    # --- checks ------------------------------------------------------------------------------------------------------------------------

    def _check_minimum(
        self,
        instrument: VenueInstrument,
        request: OrderRequest,
        price: int,
        quantity: int,
        plan: list[tuple[int, int]],
    ) -> None:
        if request.quantity < instrument.min_quantity:
            raise Refusal(RefusalKind.MIN_QUANTITY, f"{request.quantity} < {instrument.min_quantity}")
        reference = (
            price if request.price is not None else (plan[0][0] if plan else self.last_price.get(request.symbol, 0))
        )
        notional = self._worth(instrument, reference, quantity) if reference else Decimal(0)
        if reference and notional < instrument.min_notional:
            raise Refusal(RefusalKind.MIN_NOTIONAL, f"{notional} < {instrument.min_notional}")

    def _check_funds(
        self,
        instrument: VenueInstrument,
        request: OrderRequest,
        price: int,
        quantity: int,
        plan: list[tuple[int, int]],
    ) -> None:
        if request.price is None and request.side > 0:
            needs = [self._reservation(instrument, 1, level, size) for level, size in plan]
            currency, needed = instrument.quote, sum((amount for _, amount in needs), Decimal(0))
        else:
            currency, needed = self._reservation(instrument, request.side, price, quantity)
        if needed > self.free(currency):
            raise Refusal(RefusalKind.INSUFFICIENT_FUNDS, f"{needed} {currency} needed, {self.free(currency)} free")

    def _check_more(self, instrument: VenueInstrument, order: VenueOrder, price: int, leaves: int) -> None:
        """Whether an order's new terms can be paid for."""
        held = self._reservation(instrument, order.side, order.price, order.leaves)[1]
        currency, needed = self._reservation(instrument, order.side, price, leaves)
        if needed - held > self.free(currency):
            raise Refusal(RefusalKind.INSUFFICIENT_FUNDS, f"{needed - held} {currency} more needed")

    def _reservation(self, instrument: VenueInstrument, side: int, price: int, size: int) -> tuple[str, Decimal]:
        """Currency and most that an order of this size may spend."""
        if side < 0:
            return instrument.base, instrument.size(size)
        cost = instrument.price(price) * instrument.size(size)
        if self.fee_in is FeeIn.QUOTE:
            worst = max(instrument.taker_fee_bps, instrument.maker_fee_bps)
            cost += (cost * worst / 10_000).quantize(_CENT_8, ROUND_HALF_UP) + _CENT_8 * 100
        return instrument.quote, cost

    # --- memory ------------------------------------------------------------------------------------------------------------------------

    def _keep(self, order: VenueOrder) -> None:
        self.orders[order.order_id] = order
        if order.client_id:
            self.by_client[order.client_id] = order
        if len(self.orders) > _KEPT_ORDERS:
            for order_id in list(self.orders)[: _KEPT_ORDERS // 10]:
                if not (old := self.orders[order_id]).open:
                    del self.orders[order_id]
                    if self.by_client.get(old.client_id) is old:
                        del self.by_client[old.client_id]

    def _commit(self) -> None:
        records, self._written = self._written, []
        self._journal.append(records)

    def _restore(self, opening: dict[str, Decimal]) -> None:
        records = self._journal.load()
        for record in records:
            match record.pop("k"):
                case "open":
                    self.balances |= {currency: Decimal(amount) for currency, amount in record["balances"].items()}
                case "order":
                    order = msgspec.convert(record | {"fills": []}, VenueOrder, strict=False)
                    self._keep(order)
                    if order.open:
                        self.resting[order.order_id] = order
                    self._next_id = max(self._next_id, order.order_id)
                case "fill":
                    fill = msgspec.convert(record, VenueFill, strict=False)
                    self._book_fill(self.orders[fill.order_id], fill)
                    self._next_trade_id = max(self._next_trade_id, fill.trade_id)
                case "amend":
                    order = self.orders[record["order_id"]]
                    order.price, order.quantity, order.updated_ns = record["price"], record["quantity"], record["ts_ns"]
                    self._rename(order, record["client_id"])
                case "end":
                    order = self.orders[record["order_id"]]
                    order.status, order.updated_ns = OrderStatus(record["status"]), record["ts_ns"]
                    order.ended_by = EndedBy(record.get("by", EndedBy.REQUEST))
                    self.resting.pop(order.order_id, None)
                case kind:
                    self._restore_more(kind, record)
        # an order that takes and ends is one group of records; a group torn by a crash was never confirmed, but its fills stand
        for order in list(self.resting.values()):
            if not order.rests:
                self._end(order, OrderStatus.EXPIRED)
        missing = {currency: amount for currency, amount in opening.items() if currency not in self.balances}
        if missing:  # a first start, or a symbol that was not listed before
            self.balances |= missing
            self._written.append(
                {"k": "open", "balances": {currency: str(amount) for currency, amount in missing.items()}}
            )
        self._commit()

    def _restore_more(self, kind: str, record: dict) -> None:
        """A record of a kind that only this core's own account has."""
        raise ValueError(f"{self.venue}: the journal holds {kind!r}, which this account does not know")


def _units(instrument: VenueInstrument, request: OrderRequest) -> tuple[int, int]:
    """Price and quantity in the instrument's units; refuses what does not fit its tick and lot."""
    price = Decimal(0) if request.price is None else request.price.scaleb(instrument.price_decimals)
    if not price.is_finite() or price != int(price) or int(price) % instrument.tick:
        raise Refusal(RefusalKind.PRICE_TICK, str(request.price))
    if price < 0 or (request.price is not None and price == 0):
        raise Refusal(RefusalKind.PRICE_TICK, str(request.price))
    quantity = request.quantity.scaleb(instrument.size_decimals)
    if not quantity.is_finite() or quantity != int(quantity) or quantity <= 0:
        raise Refusal(RefusalKind.QUANTITY_LOT, str(request.quantity))
    return int(price), int(quantity)


def _plain(record: VenueOrder | VenueFill) -> dict:
    """A record as JSON-ready values: decimals as text, an order without its fills (they are records of their own)."""
    out = msgspec.to_builtins(record)
    if isinstance(record, VenueOrder):
        out.pop("fills")
    return out
