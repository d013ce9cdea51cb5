"""Binance USD-M's words about an account: wallets, positions, margins, brackets, income, built from a margin core's values.

Sources as `binanceusdm_wire`.
"""

from __future__ import annotations

from decimal import Decimal

from sim.servers.binance.wire import amount, symbol_id
from sim.servers.margin import BRACKETS, MarginCore, Payment
from sim.servers.records import VenueFill


def leverage_brackets(core: MarginCore) -> list[dict]:
    """`GET /fapi/v1/leverageBracket`."""
    brackets = [
        {
            "bracket": number,
            "initialLeverage": bracket.leverage,
            "notionalCap": int(bracket.cap),
            "notionalFloor": int(bracket.floor),
            "maintMarginRatio": float(bracket.rate),
            "cum": float(bracket.deduction),
        }
        for number, bracket in enumerate(BRACKETS, 1)
    ]
    return [{"symbol": symbol_id(symbol), "notionalCoef": 1.0, "brackets": brackets} for symbol in core.instruments]


def account_update(
    core: MarginCore, reason: str, change: Decimal, currency: str, symbols: list[str], now_ms: int
) -> dict:
    """An `ACCOUNT_UPDATE`. `change`: what moved the wallet beside executions."""
    wallet = amount(core.balances.get(currency, Decimal(0)))
    positions = [
        {
            "s": symbol_id(symbol),
            "pa": _quantity(core, symbol),
            "ep": f"{core.holding(symbol).entry:f}",
            "bep": "0",
            "cr": amount(sum((fill.realised for fill in core.fills if fill.symbol == symbol), Decimal(0))),
            "up": amount(core.unrealised(symbol)),
            "mt": "cross",
            "iw": "0",
            "ps": "BOTH",
            "ma": currency,
        }
        for symbol in symbols
    ]
    balances = [{"a": currency, "wb": wallet, "cw": wallet, "bc": amount(change)}]
    return {"e": "ACCOUNT_UPDATE", "T": now_ms, "E": now_ms, "a": {"B": balances, "P": positions, "m": reason}}


def margin_call(core: MarginCore, symbols: list[str], now_ms: int) -> dict:
    """A `MARGIN_CALL`."""
    currency = core.contract(symbols[0]).settle
    rows = [
        {
            "s": symbol_id(symbol),
            "ps": "BOTH",
            "pa": _quantity(core, symbol),
            "mt": "CROSSED",
            "iw": "0",
            "mp": amount(core.mark(symbol)),
            "up": amount(core.unrealised(symbol)),
            "mm": amount(core.maintenance(symbol)),
        }
        for symbol in symbols
    ]
    return {"e": "MARGIN_CALL", "E": now_ms, "cw": amount(core.balances.get(currency, Decimal(0))), "p": rows}


def _quantity(core: MarginCore, symbol: str) -> str:
    return f"{core.holding(symbol).quantity:.{core.instruments[symbol].size_decimals}f}"


def position_risk(core: MarginCore, now_ms: int, *, version: int) -> list[dict]:
    """`GET /fapi/v3/positionRisk` (what has a position or an order), or of version 2 (everything)."""
    rows = []
    for symbol in core.instruments:
        held = core.holding(symbol)
        if version == 3 and not held.quantity and not any(o.symbol == symbol for o in core.resting.values()):
            continue
        position, orders = core.initial(symbol)
        row = {
            "symbol": symbol_id(symbol),
            "positionSide": "BOTH",
            "positionAmt": _quantity(core, symbol),
            "entryPrice": f"{held.entry:f}",
            "breakEvenPrice": f"{held.entry:f}",
            "markPrice": amount(core.mark(symbol)),
            "unRealizedProfit": amount(core.unrealised(symbol)),
            "liquidationPrice": amount(core.liquidation_price(symbol)),
            "isolatedMargin": "0",
            "notional": amount(core.worth(symbol)),
            "isolatedWallet": "0",
            "updateTime": now_ms,
        }
        if version == 3:
            row |= {
                "marginAsset": core.contract(symbol).settle,
                "initialMargin": amount(position + orders),
                "maintMargin": amount(core.maintenance(symbol)),
                "positionInitialMargin": amount(position),
                "openOrderInitialMargin": amount(orders),
                "adl": 0,
                "bidNotional": "0",
                "askNotional": "0",
            }
        else:
            row |= {
                "leverage": str(core.leverage(symbol)),
                "maxNotionalValue": str(int(BRACKETS[-1].cap)),
                "marginType": "cross",
                "isAutoAddMargin": "false",
            }
        rows.append(row)
    return rows


def assets(core: MarginCore, now_ms: int) -> list[dict]:
    """The wallets of `GET /fapi/v3/account`."""
    rows = []
    for currency, wallet in sorted(core.balances.items()):
        symbols, zero = core.of(currency), Decimal(0)
        unrealised = sum((core.unrealised(symbol) for symbol in symbols), zero)
        margins = [core.initial(symbol) for symbol in symbols]
        position, orders = (sum((margin[part] for margin in margins), zero) for part in (0, 1))
        available = max(zero, wallet + unrealised - position - orders)
        rows.append(
            {
                "asset": currency,
                "walletBalance": amount(wallet),
                "unrealizedProfit": amount(unrealised),
                "marginBalance": amount(wallet + unrealised),
                "maintMargin": amount(sum((core.maintenance(symbol) for symbol in symbols), zero)),
                "initialMargin": amount(position + orders),
                "positionInitialMargin": amount(position),
                "openOrderInitialMargin": amount(orders),
                "crossWalletBalance": amount(wallet),
                "crossUnPnl": amount(unrealised),
                "availableBalance": amount(available),
                "maxWithdrawAmount": amount(max(zero, min(wallet, available))),
                "updateTime": now_ms,
            }
        )
    return rows


def account(core: MarginCore, now_ms: int) -> dict:
    """`GET /fapi/v3/account`."""
    rows, zero = assets(core, now_ms), Decimal(0)

    def total(name: str) -> str:
        return amount(sum((Decimal(row[name]) for row in rows), zero))

    names = {
        "totalInitialMargin": "initialMargin",
        "totalMaintMargin": "maintMargin",
        "totalWalletBalance": "walletBalance",
        "totalUnrealizedProfit": "unrealizedProfit",
        "totalMarginBalance": "marginBalance",
        "totalPositionInitialMargin": "positionInitialMargin",
        "totalOpenOrderInitialMargin": "openOrderInitialMargin",
        "totalCrossWalletBalance": "crossWalletBalance",
        "totalCrossUnPnl": "crossUnPnl",
        "availableBalance": "availableBalance",
        "maxWithdrawAmount": "maxWithdrawAmount",
    }
    positions = [
        {
            "symbol": row["symbol"],
            "positionSide": "BOTH",
            "positionAmt": row["positionAmt"],
            "unrealizedProfit": row["unRealizedProfit"],
            "isolatedMargin": "0",
            "notional": row["notional"],
            "isolatedWallet": "0",
            "initialMargin": row["initialMargin"],
            "maintMargin": row["maintMargin"],
            "updateTime": row["updateTime"],
        }
        for row in position_risk(core, now_ms, version=3)
    ]
    return {key: total(name) for key, name in names.items()} | {"assets": rows, "positions": positions}


def balances(core: MarginCore, now_ms: int) -> list[dict]:
    """`GET /fapi/v3/balance`."""
    kept = ("asset", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount", "updateTime")
    return [
        {
            "accountAlias": "KerB",
            "balance": row["walletBalance"],
            "marginAvailable": True,
            **{key: row[key] for key in kept},
        }
        for row in assets(core, now_ms)
    ]


def funding_income(payment: Payment) -> dict:
    """A funding payment as `GET /fapi/v1/income` tells it."""
    return {
        "symbol": symbol_id(payment.symbol),
        "incomeType": "FUNDING_FEE",
        "income": amount(payment.amount),
        "asset": payment.currency,
        "info": "FUNDING_FEE",
        "time": payment.ts_ns // 1_000_000,
        "tranId": payment.payment_id,
        "tradeId": "",
    }


def fill_income(fill: VenueFill, kind: str) -> dict:
    """What an execution realised (REALIZED_PNL) or cost (COMMISSION), as `GET /fapi/v1/income` tells it."""
    return {
        "symbol": symbol_id(fill.symbol),
        "incomeType": kind,
        "income": amount(fill.realised if kind == "REALIZED_PNL" else -fill.fee),
        "asset": fill.fee_currency,
        "info": str(fill.trade_id),
        "time": fill.ts_ns // 1_000_000,
        "tranId": fill.trade_id,
        "tradeId": str(fill.trade_id),
    }
