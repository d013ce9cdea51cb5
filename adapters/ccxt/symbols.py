"""Exact numbers, markets and client order ids, as a venue wants them.

Floats of a venue's JSON are read through their shortest repr, which gives back the digits sent up to 15 significant ones
(`exact` raises where a number does not fit its market's precision, it never rounds; `floored` is for sizes on display).
"""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from adapters.ccxt.contracts import Contract

KEPT = 8_192  # numbers lately read: of four best prices and sizes one or two are new; by type, or true would be 1


@lru_cache(maxsize=KEPT, typed=True)
def exact(value: str | float | int, decimals: int) -> int:
    """`value` in units of 10^-decimals. Raises ValueError when it has more digits than that, or is not a finite number."""
    text = value if isinstance(value, str) else repr(value)
    whole, _, fraction = text.partition(".")
    kept, rest = fraction[:decimals], fraction[decimals:]
    if not (text.isascii() and whole.isdigit() and (not kept or kept.isdigit()) and not rest.strip("0")):
        return _exact_decimal(text, decimals)  # exponents, signs, or no number at all
    return int(whole + kept) * 10 ** (decimals - len(kept))


@lru_cache(maxsize=KEPT, typed=True)
def floored(value: str, decimals: int) -> int:
    """A non-negative `value` in units of 10^-decimals, what is smaller cut off; otherwise as `exact`.

    For displayed sizes: orders older than a venue's last change of its lot still rest with more decimals than a lot has
    (ETH/USDT on Binance, 8 August 2024: 2292.22972 at a lot of 0.0001). Showing less than there is errs on the safe side.
    """
    point = value.find(".")
    if point >= 0 and len(value) > point + 1 + decimals and value[point + 1 :].isdigit():
        value = value[: point + 1 + decimals]
    return exact(value, decimals)


def _exact_decimal(text: str, decimals: int) -> int:
    if "_" in text or not text.isascii():  # Python would take these
        raise ValueError(f"{text!r} is not a number")
    try:
        scaled = Decimal(text).scaleb(decimals)
    except ArithmeticError as e:
        raise ValueError(f"{text!r} is not a number") from e
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"{text} does not fit {decimals} decimals")
    return int(scaled)


def dec(value: Any) -> Decimal:
    """A venue's number as the Decimal of its digits."""
    return Decimal(value if isinstance(value, str) else repr(value))


def decimals_of(step: Decimal) -> int:
    """Decimals of an increment: 0.01 → 2, 1 → 0, 10 → 0."""
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of a venue, exactly. `tick`, `lot` in price and size; fees as fractions (0.001 = 10 bps).

    `contract`: of a perpetual, whose sizes are contracts; None of a spot pair, whose sizes are the base currency.
    """

    symbol: str
    market_id: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    price_decimals: int
    size_decimals: int
    min_quantity: Decimal | None
    max_quantity: Decimal | None
    min_notional: Decimal | None
    taker_fee: Decimal
    maker_fee: Decimal
    contract: Contract | None = None

    @property
    def currencies(self) -> tuple[str, ...]:
        """What an account holds to trade it: both currencies of a pair, the settlement currency of a contract."""
        return (self.base, self.quote) if self.contract is None else (self.contract.settle,)


def market_of(row: dict[str, Any], *, taker: Decimal | None = None, maker: Decimal | None = None) -> Market:
    """A ccxt market (tick-size precision mode) as a `Market`; account fees replace list prices where given.

    Raises ValueError on a market that is listed without a tick or a lot, and on a contract that expires.
    """
    if not row["precision"]["price"] or not row["precision"]["amount"]:
        raise ValueError(f"{row['symbol']} is listed without a tick or a lot")
    tick, lot = dec(row["precision"]["price"]), dec(row["precision"]["amount"])
    amount, cost = row["limits"]["amount"], row["limits"]["cost"]

    def optional(value: Any) -> Decimal | None:
        return dec(value) if value else None

    taker_fee = taker if taker is not None else dec(row.get("taker") or 0)
    resting = taker_fee if row.get("maker") is None else dec(row["maker"])
    if taker is not None:  # the account's own: whoever takes for less does not rest for more
        resting = min(resting, taker_fee)
    return Market(
        symbol=row["symbol"],
        market_id=row["id"],
        base=row["base"],
        quote=row["quote"],
        tick=tick,
        lot=lot,
        price_decimals=decimals_of(tick),
        size_decimals=decimals_of(lot),
        min_quantity=optional(amount.get("min")),
        max_quantity=optional(amount.get("max")),
        min_notional=optional(cost.get("min")),
        taker_fee=taker_fee,
        maker_fee=resting if maker is None else maker,
        contract=_contract(row),
    )


def _contract(row: dict[str, Any]) -> Contract | None:
    if not row.get("contract"):
        return None
    if not row.get("swap"):
        raise ValueError(f"{row['symbol']} is no perpetual: contracts that expire are not supported")
    return Contract(settle=row["settle"], size=dec(row["contractSize"]), inverse=bool(row["inverse"]))


def rewrite_hosts(urls: Any, rest_url: str | None, ws_url: str | None) -> Any:
    """A copy of ccxt's `urls["api"]` whose every URL keeps its path but goes to the given hosts."""
    if isinstance(urls, dict):
        return {key: rewrite_hosts(value, rest_url, ws_url) for key, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    parts = urlsplit(urls)
    target = ws_url if parts.scheme in ("ws", "wss") else rest_url
    if target is None:
        return urls
    host = urlsplit(target)
    return urlunsplit((host.scheme, host.netloc, parts.path, parts.query, ""))


_PACKS = ("", string.digits + string.ascii_uppercase + "-_", string.digits + string.ascii_lowercase + "-_")
_PACKABLE = re.compile(r"[0-9A-Z_-]{1,24}|[0-9a-z_-]{1,24}")  # 38 symbols: 24 of them and the case fit 128 bits
_ENGINE_ID = re.compile(r"^O-(\d{8})-(\d{6})-([0-9A-Za-z]{1,4})-([0-9A-Za-z]{1,4})-(\d{1,6})$")
_PLAIN_36 = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_UUID_32 = re.compile(r"[0-9a-f]{32}")
_ALPHANUMERIC = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ALPHANUMERIC_32 = re.compile(r"[0-9A-Za-z]{1,32}")
_SYMBOLS_67 = _ALPHANUMERIC + "-_.:/"
_PACKABLE_67 = re.compile(r"[.A-Z:/a-z0-9_-]{1,30}")  # 30 of 67 symbols behind a leading 1 fit 31 of 62


class ClientIdError(ValueError):
    """A client order id that the venue's rules cannot carry; the order was not sent."""


def binance_client_id(client_order_id: str) -> str:
    """Binance takes 1–36 of `.A-Z:/a-z0-9_-` as they are."""
    if not _PLAIN_36.fullmatch(client_order_id):
        raise ClientIdError(f"client order id {client_order_id!r} is not 1-36 of . A-Z : / a-z 0-9 _ -")
    return client_order_id


def kraken_client_id(client_order_id: str) -> str:
    """Kraken's `cl_ord_id` is free text up to 18 characters, or a UUID (32 hex): longer ids are packed reversibly.

    Up to 18 printable ASCII characters go as they are; the engine's own `O-YYYYMMDD-HHMMSS-TTT-SSS-N` becomes
    "~" and base-36 seconds and the tags when that fits 18; up to 24 of `0-9A-Z-_` or `0-9a-z-_` become 32 hex digits.
    """
    free_text = client_order_id.isascii() and client_order_id.isprintable() and not client_order_id.startswith("~")
    if 0 < len(client_order_id) <= 18 and free_text:
        return client_order_id
    if engine := _ENGINE_ID.match(client_order_id):
        date, clock, trader, strategy, count = engine.groups()
        moment = datetime.strptime(date + clock, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        packed = f"~{_base36(int(moment.timestamp()))}{trader}-{strategy}-{count}"
        if len(packed) <= 18 and _kraken_unpacked(packed) == client_order_id:
            return packed
    if _PACKABLE.fullmatch(client_order_id):
        case = 2 if client_order_id != client_order_id.upper() else 1
        number = case
        for char in client_order_id:
            number = number * 38 + _PACKS[case].index(char)
        return f"{number:032x}"
    raise ClientIdError(
        f"client order id {client_order_id!r} fits neither 18 characters nor 24 of 0-9 A-Z (or a-z) - _"
    )


def kraken_original_id(sent: str) -> str:
    """The client order id that `kraken_client_id` was given; ids of others as they are, also those that look like ours."""
    try:
        original = _kraken_unpacked(sent)
        return original if kraken_client_id(original) == sent else sent
    except (ValueError, OverflowError):
        return sent


def _kraken_unpacked(sent: str) -> str:
    if sent.startswith("~"):
        moment = datetime.fromtimestamp(int(sent[1:7], 36), UTC)
        return f"O-{moment:%Y%m%d-%H%M%S}-{sent[7:]}"
    if not _UUID_32.fullmatch(sent):
        return sent
    number, digits = int(sent, 16), []
    while number >= 38:
        number, digit = divmod(number, 38)
        digits.append(digit)
    return "".join(_PACKS[number][digit] for digit in reversed(digits)) if number in (1, 2) else sent


def okx_client_id(client_order_id: str) -> str:
    """OKX's `clOrdId` is 1–32 letters and digits, case-sensitive: other ids are packed reversibly.

    Letters and digits go as they are, unless they begin with our mark "X"; up to 30 of `.A-Z:/a-z0-9_-` become "X" and up to 31 letters
    and digits: the characters as a number of base 67 behind a leading 1, written in base 62.
    """
    if _ALPHANUMERIC_32.fullmatch(client_order_id) and not client_order_id.startswith("X"):
        return client_order_id
    if not _PACKABLE_67.fullmatch(client_order_id):
        raise ClientIdError(
            f"client order id {client_order_id!r} is neither 32 letters and digits nor 30 of . A-Z : / a-z 0-9 _ -"
        )
    number = 1
    for char in client_order_id:
        number = number * 67 + _SYMBOLS_67.index(char)
    return "X" + _digits(number, _ALPHANUMERIC)


def okx_original_id(sent: str) -> str:
    """The client order id that `okx_client_id` was given; ids of others as they are."""
    if not sent.startswith("X") or not _ALPHANUMERIC_32.fullmatch(sent):
        return sent
    number, digits = 0, []
    for char in sent[1:]:
        number = number * 62 + _ALPHANUMERIC.index(char)
    while number >= 67:
        number, digit = divmod(number, 67)
        digits.append(digit)
    original = "".join(_SYMBOLS_67[digit] for digit in reversed(digits))
    ours = number == 1 and _PACKABLE_67.fullmatch(original) and okx_client_id(original) == sent
    return original if ours else sent


def _base36(number: int) -> str:
    return _digits(number, _PACKS[1][:36])


def _digits(number: int, symbols: str) -> str:
    """A positive number in the base that `symbols` are the digits of."""
    digits = []
    while number:
        number, digit = divmod(number, len(symbols))
        digits.append(symbols[digit])
    return "".join(reversed(digits))
