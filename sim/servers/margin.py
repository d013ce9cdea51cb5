"""A matching core whose account holds margin and positions in perpetuals: one-way mode, cross margin, one wallet a settlement currency.

1. **Positions.** An execution adds to a position, closes it at its average entry, or turns it round (`adapters.ccxt.contracts`). What it
   realises and its fee, half-up to 8 decimals, move the wallet; coins are never bought.
2. **Margin.** Equity is wallet + unrealised gain at mark prices. A symbol needs the greater of |position + open buys| and |position − open
   sells|, divided by its leverage. An order is refused when that, its fee and what it would lose at once are not available, or when it
   is beyond what the leverage allows.
3. **Reduce-only** orders need no margin and never fill beyond the position; refused when there is nothing on the other side to reduce,
   ended when it is gone.
4. **Funding.** `pay_funding` moves −worth × rate into the wallet of each position, once a settlement.
5. **Maintenance** is worth × the rate of its bracket less the bracket's deduction, so that it is continuous. Equity below it: open orders
   are cancelled, then positions closed by market orders `autoclose-…`, the largest first, until it is enough. What is lost beyond the
   wallet is the venue's.
6. All of it is in the journal: a restarted venue knows positions, wallet and payments.

Sources: 1–5 as Binance documents USD-M futures (margin ratio, brackets, reduce-only, funding fee, liquidation order ids). The brackets are
of the size of Binance's for BTCUSDT, whatever the symbol; how much of a reduce-only order fills is read from the venue's words alone.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from adapters.ccxt.contracts import Contract, Holding
from sim.events import VenueEvent
from sim.instruments import VenueInstrument
from sim.servers.matching import MatchingCore
from sim.servers.records import (
    EndedBy,
    OrderRequest,
    Refusal,
    RefusalKind,
    Tif,
    VenueFill,
    VenueOrder,
)

AUTOCLOSE = "autoclose-"
_CENT_8 = Decimal("0.00000001")
_ZERO = Decimal(0)
_LEVERAGE = 20
_WARN_AT = Decimal("0.8")  # maintenance margin ÷ equity at which the account is warned
_KEPT_PAYMENTS = 10_000


class Bracket(msgspec.Struct, frozen=True):
    """Worth of a position from `floor` up to `cap`: most leverage, maintenance rate, deduction."""

    floor: Decimal
    cap: Decimal
    leverage: int
    rate: Decimal
    deduction: Decimal


def _brackets(*rows: tuple[int, int, str]) -> tuple[Bracket, ...]:
    out: list[Bracket] = []
    floor = deduction = before = _ZERO
    for cap, leverage, text in rows:
        rate = Decimal(text)
        deduction += floor * (rate - before)
        out.append(Bracket(floor, Decimal(cap), leverage, rate, deduction))
        floor, before = Decimal(cap), rate
    return tuple(out)


BRACKETS = _brackets(
    (300_000, 125, "0.004"),
    (800_000, 100, "0.005"),
    (3_000_000, 75, "0.0065"),
    (12_000_000, 50, "0.01"),
    (70_000_000, 25, "0.02"),
    (100_000_000, 20, "0.025"),
    (230_000_000, 10, "0.05"),
    (480_000_000, 5, "0.1"),
    (600_000_000, 4, "0.125"),
    (800_000_000, 3, "0.15"),
    (1_200_000_000, 2, "0.25"),
    (1_800_000_000, 1, "0.5"),
)


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Funding of one position at one settlement; `amount` negative: the account paid."""

    payment_id: int
    symbol: str
    amount: Decimal
    currency: str
    rate: Decimal
    ts_ns: int


class MarginCore(MatchingCore):
    """Listeners beside the matching core's own: `on_payment(payments)`, `on_warning(symbols)`; `on_liquidated(order)` after its fills."""

    refuses_fok = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.holdings: dict[str, Holding] = {}
        self.marks: dict[str, Decimal] = {}
        self.leverages: dict[str, int] = {}
        self.payments: list[Payment] = []
        self.on_payment: list[Callable[[list[Payment]], None]] = []
        self.on_warning: list[Callable[[list[str]], None]] = []
        self.on_liquidated: list[Callable[[VenueOrder], None]] = []
        self._forcing = self._warned = False
        super().__init__(*args, **kwargs)

    # --- what the account is worth -----------------------------------------------------------------------------------------------------

    def contract(self, symbol: str) -> Contract:
        """The terms of a listed contract."""
        contract = self.instruments[symbol].contract
        assert contract is not None
        return contract

    def holding(self, symbol: str) -> Holding:
        """The position, flat when there is none."""
        return self.holdings.get(symbol, Holding())

    def leverage(self, symbol: str) -> int:
        """The leverage that is set, 20 at first."""
        return self.leverages.get(symbol, _LEVERAGE)

    def mark(self, symbol: str) -> Decimal:
        """The mark price; before there is one, the last trade's price."""
        known = self.marks.get(symbol)
        return self.instruments[symbol].price(self.last_price.get(symbol, 0)) if known is None else known

    def worth(self, symbol: str) -> Decimal:
        """Signed worth of the position at the mark price."""
        held = self.holding(symbol).quantity
        return self.contract(symbol).value(self.mark(symbol), held) if held else _ZERO

    def unrealised(self, symbol: str) -> Decimal:
        """Gain of the position at the mark price."""
        held = self.holding(symbol)
        if not held.quantity:
            return _ZERO
        return _cents(self.contract(symbol).profit(held.entry, self.mark(symbol), held.quantity))

    def initial(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Initial margin of the position, and what open orders need beyond it."""
        position, whole = self._needed(symbol, _ZERO, _ZERO)
        return position, whole - position

    def maintenance(self, symbol: str) -> Decimal:
        """Maintenance margin of the position."""
        worth = abs(self.worth(symbol))
        bracket = bracket_of(worth)
        return _cents(worth * bracket.rate - bracket.deduction)

    def of(self, currency: str) -> list[str]:
        """Symbols that are settled in a currency."""
        return [symbol for symbol in self.instruments if self.contract(symbol).settle == currency]

    def equity(self, currency: str) -> Decimal:
        """Wallet and unrealised gains."""
        gains = sum((self.unrealised(symbol) for symbol in self.of(currency)), _ZERO)
        return self.balances.get(currency, _ZERO) + gains

    def liquidation_price(self, symbol: str) -> Decimal:
        """The mark price at which equity would be the maintenance margin, all else as it is; 0 when there is none (or no position).

        Linear: wallet' + q·s·(p − entry) = |q·s·p|·rate − deduction. Inverse contracts: the same in 1 ÷ p.
        """
        held, contract = self.holding(symbol), self.contract(symbol)
        if not held.quantity:
            return _ZERO
        others = [other for other in self.of(contract.settle) if other != symbol]
        wallet = self.balances.get(contract.settle, _ZERO)
        wallet += sum((self.unrealised(other) - self.maintenance(other) for other in others), _ZERO)
        bracket = bracket_of(abs(self.worth(symbol)))
        size, side = contract.size * abs(held.quantity), 1 if held.quantity > 0 else -1
        if contract.inverse:
            inverted = (wallet + bracket.deduction + side * size / held.entry) / (size * (bracket.rate + side))
            return _cents(1 / inverted) if inverted > 0 else _ZERO
        price = (wallet + bracket.deduction - side * size * held.entry) / (size * (bracket.rate - side))
        return _cents(price) if price > 0 else _ZERO

    def locked(self) -> dict[str, Decimal]:
        """Initial margin by currency, less what unrealised gains pay of it."""
        out: dict[str, Decimal] = {}
        for symbol in self.instruments:
            currency = self.contract(symbol).settle
            out[currency] = out.get(currency, _ZERO) + sum(self.initial(symbol)) - self.unrealised(symbol)
        return out

    # --- requests ----------------------------------------------------------------------------------------------------------------------

    def place(self, request: OrderRequest) -> VenueOrder:
        """As the matching core; reduce-only is for positions."""
        if (
            request.symbol in self.instruments
            and request.reduce_only
            and not self._reducible(request.symbol, request.side)
        ):
            raise Refusal(RefusalKind.REDUCE_ONLY)
        order = super().place(request)
        self._end_useless(request.symbol)
        return order

    def apply(self, event: VenueEvent) -> list[tuple[int, int, int]]:
        """As the matching core; resting reduce-only orders end with the position."""
        shown = super().apply(event)
        if self.resting:
            self._end_useless(event.symbol)
        return shown

    def set_leverage(self, symbol: str, leverage: int) -> None:
        """Set a symbol's leverage; raises `Refusal` when its position is too large for it, or its margin is not there."""
        before = self.leverage(symbol)
        if not 1 <= leverage <= bracket_of(abs(self.worth(symbol))).leverage:
            raise Refusal(RefusalKind.INSUFFICIENT_FUNDS, f"leverage {leverage}")
        self.leverages[symbol] = leverage
        if self.free(self.contract(symbol).settle) < 0:
            self.leverages[symbol] = before
            raise Refusal(RefusalKind.INSUFFICIENT_FUNDS, f"leverage {leverage}")
        self._written.append({"k": "leverage", "symbol": symbol, "leverage": leverage})
        self._commit()

    # --- what time does to an account --------------------------------------------------------------------------------------------------

    def pay_funding(self, rates: dict[str, tuple[Decimal, Decimal]]) -> list[Payment]:
        """Settle funding at (rate, mark price) of each symbol; the payments of the positions that are open."""
        made = []
        for symbol, (rate, mark) in rates.items():
            held, contract = self.holding(symbol), self.contract(symbol)
            if not held.quantity:
                continue
            payment = Payment(
                payment_id=self.next_trade_id(),
                symbol=symbol,
                amount=_cents(contract.funding(mark, held.quantity, rate)),
                currency=contract.settle,
                rate=rate,
                ts_ns=self.clock_ns(),
            )
            self._book_payment(payment)
            self._written.append({"k": "payment", **msgspec.to_builtins(payment)})
            made.append(payment)
        self._commit()
        for listener in self.on_payment if made else ():
            listener(made)
        return made

    def check_margin(self) -> None:
        """Warn an account that comes near its maintenance margin, and close by force what is below it."""
        warned = False
        for currency in sorted({self.contract(symbol).settle for symbol in self.holdings}):
            needed = sum((self.maintenance(symbol) for symbol in self.of(currency)), _ZERO)
            if needed and self.equity(currency) < needed:
                self._liquidate(currency)
            elif needed > _WARN_AT * self.equity(currency):
                warned = True
                if not self._warned:
                    for listener in self.on_warning:
                        listener([symbol for symbol in self.of(currency) if self.holding(symbol).quantity])
        self._warned = warned

    def _liquidate(self, currency: str) -> None:
        for symbol in self.of(currency):
            self.cancel_all(symbol, EndedBy.REQUEST)
        for symbol in sorted(self.of(currency), key=lambda one: -abs(self.worth(one))):
            needed = sum((self.maintenance(one) for one in self.of(currency)), _ZERO)
            held = self.holding(symbol).quantity
            if not held or self.equity(currency) >= needed or not self.books[symbol].live:
                continue
            self._forcing = True
            try:
                order = self.place(
                    OrderRequest(
                        symbol=symbol,
                        side=-1 if held > 0 else 1,
                        quantity=abs(held),
                        tif=Tif.IOC,
                        client_id=f"{AUTOCLOSE}{self.clock_ns() // 1_000_000}{self._next_id % 1000:03d}",
                        reduce_only=True,
                    )
                )
            finally:
                self._forcing = False
            if order.filled:
                for listener in self.on_liquidated:
                    listener(order)
        if self.balances.get(currency, _ZERO) < 0 and not any(self.holding(s).quantity for s in self.of(currency)):
            self._written.append({"k": "cover", "currency": currency})  # the venue's insurance fund
            self.balances[currency] = _ZERO
            self._commit()

    # --- what the matching core asks ---------------------------------------------------------------------------------------------------

    def _allowed(self, symbol: str, side: int, quantity: int, reduce_only: bool) -> int:
        return min(quantity, self._reducible(symbol, side)) if reduce_only else quantity

    def _reducible(self, symbol: str, side: int) -> int:
        """How many lots an order of this side can close."""
        held = self.holding(symbol).quantity.scaleb(self.instruments[symbol].size_decimals)
        return int(abs(held)) if held * side < 0 else 0

    def _end_useless(self, symbol: str) -> None:
        for order in [one for one in self.resting.values() if one.symbol == symbol and one.reduce_only]:
            if not self._reducible(symbol, order.side):
                self.cancel(order.order_id)

    def _worth(self, instrument: VenueInstrument, price: int, size: int) -> Decimal:
        assert instrument.contract is not None
        return instrument.contract.value(instrument.price(price), instrument.size(size))

    def _after(self, symbol: str, side: int, price: int, size: int) -> tuple[Holding, Decimal]:
        instrument = self.instruments[symbol]
        return self.holding(symbol).after(self.contract(symbol), instrument.price(price), instrument.size(size) * side)

    def _realised(self, order: VenueOrder, price: int, size: int) -> Decimal:
        return _cents(self._after(order.symbol, order.side, price, size)[1])

    def _movements(self, instrument: VenueInstrument, fill: VenueFill) -> list[tuple[str, Decimal]]:
        self.holdings[fill.symbol] = self._after(fill.symbol, fill.side, fill.price, fill.size)[0]
        return [(instrument.settle, fill.realised), (fill.fee_currency, -fill.fee)]

    def _needed(self, symbol: str, buys: Decimal, sells: Decimal) -> tuple[Decimal, Decimal]:
        """Initial margin of the position, and of it with open orders and these further ones (worth)."""
        instrument, worth, leverage = self.instruments[symbol], self.worth(symbol), self.leverage(symbol)
        for order in self.resting.values():
            if order.symbol == symbol and not order.reduce_only:
                value = self._worth(instrument, order.price, order.leaves)
                buys, sells = (buys + value, sells) if order.side > 0 else (buys, sells + value)
        whole = max(abs(worth), abs(worth + buys), abs(worth - sells))
        return _cents(abs(worth) / leverage), _cents(whole / leverage)

    def _check_funds(
        self,
        instrument: VenueInstrument,
        request: OrderRequest,
        price: int,
        quantity: int,
        plan: list[tuple[int, int]],
    ) -> None:
        if self._forcing or request.reduce_only:
            return
        if request.price is None:
            price = max(level * request.side for level, _ in plan) * request.side if plan else 0
        if price:
            self._check_margin(instrument, request.side, price, quantity, plan)

    def _check_more(self, instrument: VenueInstrument, order: VenueOrder, price: int, leaves: int) -> None:
        if order.reduce_only:
            return
        del self.resting[order.order_id]  # its old terms are given back first
        try:
            self._check_margin(
                instrument, order.side, price, leaves, self._walk(order.symbol, order.side, price, leaves)
            )
        finally:
            self.resting[order.order_id] = order

    def _check_margin(
        self, instrument: VenueInstrument, side: int, price: int, quantity: int, plan: list[tuple[int, int]]
    ) -> None:
        """Whether margin, fee and what an order loses at once at mark price are there."""
        contract, symbol = self.contract(instrument.symbol), instrument.symbol
        value = self._worth(instrument, price, quantity)
        before = self._needed(symbol, _ZERO, _ZERO)[1]
        buys, sells = (value, _ZERO) if side > 0 else (_ZERO, value)
        needed = self._needed(symbol, buys, sells)[1] - before
        mark = self.mark(symbol)
        for level, size in plan:
            loss = -contract.profit(instrument.price(level), mark, instrument.size(size) * side) if mark else _ZERO
            needed += max(_ZERO, loss) + self._worth(instrument, level, size) * instrument.taker_fee_bps / 10_000
        whole = self._needed(symbol, buys, sells)[1] * self.leverage(symbol)
        if whole > most_worth(self.leverage(symbol)):
            raise Refusal(RefusalKind.POSITION_LIMIT, f"{whole:f} {contract.settle}")
        if needed > self.free(contract.settle):
            detail = f"{needed:f} {contract.settle} needed, {self.free(contract.settle):f} free"
            raise Refusal(RefusalKind.INSUFFICIENT_FUNDS, detail)

    # --- memory ------------------------------------------------------------------------------------------------------------------------

    def _book_payment(self, payment: Payment) -> None:
        self.balances[payment.currency] = self.balances.get(payment.currency, _ZERO) + payment.amount
        self.payments.append(payment)
        if len(self.payments) > 2 * _KEPT_PAYMENTS:
            del self.payments[:_KEPT_PAYMENTS]

    def _restore_more(self, kind: str, record: dict) -> None:
        match kind:
            case "payment":
                payment = msgspec.convert(record, Payment, strict=False)
                self._book_payment(payment)
                self._next_trade_id = max(self._next_trade_id, payment.payment_id)
            case "leverage":
                self.leverages[record["symbol"]] = record["leverage"]
            case "cover":
                self.balances[record["currency"]] = _ZERO
            case _:
                super()._restore_more(kind, record)


def bracket_of(worth: Decimal) -> Bracket:
    """The bracket of a position's worth; the last one has no end."""
    return next((bracket for bracket in BRACKETS if worth < bracket.cap), BRACKETS[-1])


def most_worth(leverage: int) -> Decimal:
    """The largest position a leverage allows."""
    return max(bracket.cap for bracket in BRACKETS if bracket.leverage >= leverage)


def ended_by_venue(order: VenueOrder) -> bool:
    """Whether an order was the venue's own, closing a position by force."""
    return order.client_id.startswith(AUTOCLOSE)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT_8, ROUND_HALF_UP)
