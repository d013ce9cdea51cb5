"""The state folder of a demo: its configuration, keys and `access.json`. Starting again on it continues that desk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import msgspec

from desk.clients.store import KeyStore
from sim.crosses import crosses

GENERATED = "# Written by `kerb demo` at each start. Remove this line to keep your own changes."
TIERS = {"alpha": "gold", "beta": "silver", "gamma": "standard"}


class Sizing(msgspec.Struct, frozen=True):
    """Settings of an instrument that depend on what a unit is worth, in units of its base currency.

    `soft`, `hard`: bands; `limit`: position limit of the gate; `largest`: a client's largest size; `levels`: LP ladder.
    """

    soft: Decimal
    hard: Decimal
    limit: Decimal
    largest: Decimal
    levels: tuple[Decimal, ...]

    def book_size_decimals(self, price: Decimal, price_tick: Decimal) -> int:
        """The finest decimals, at most 8, with which a sweep of ten times the largest size can be summed in int64."""
        ticks, lots = price / price_tick * 4, self.largest * 10
        return max(0, next((d for d in range(8, 0, -1) if ticks * lots.scaleb(d) < 2**62), 0))


def _sizing(soft: str, hard: str, limit: str, largest: str, *levels: str) -> Sizing:
    return Sizing(Decimal(soft), Decimal(hard), Decimal(limit), Decimal(largest), tuple(map(Decimal, levels)))


_SIZES = {
    "BTC": _sizing("0.3", "12", "20", "10", "0.1", "0.5", "1", "2", "5"),
    "ETH": _sizing("5", "240", "400", "200", "1", "5", "15", "40", "100"),
}
_BTC_PRICE = Decimal(60_000)


def instrument_sizes(symbol: str, price: Decimal) -> Sizing:
    """The table's sizes, or for another coin as many units as are worth the same as BTC's (at least one)."""
    base = symbol.split("/")[0]
    if base in _SIZES:
        return _SIZES[base]
    model, unit = _SIZES["BTC"], _BTC_PRICE / price

    def scaled(size: Decimal) -> Decimal:
        return max((size * unit).quantize(Decimal(1), rounding=ROUND_HALF_EVEN), Decimal(1))

    return Sizing(
        soft=scaled(model.soft),
        hard=scaled(model.hard),
        limit=scaled(model.limit),
        largest=scaled(model.largest),
        levels=tuple(scaled(level) for level in model.levels),
    )


def write_config(
    state: Path, *, port: int, seed: int, venues: Mapping[str, Any], instruments: Sequence[Mapping[str, Any]]
) -> Path:
    """Write `<state>/desk.toml` for these venues (their URLs), unless the user has made the file theirs.

    `instruments`: dicts with `symbol`, `price_tick` (Decimal) and `price` (Decimal, about where it trades).
    """
    path = state / "desk.toml"
    if path.exists() and GENERATED not in path.read_text(encoding="utf-8"):
        return path
    lines = [
        GENERATED,
        'name = "kerb demo"',
        'mode = "live"  # real adapters on real sockets; the venues are simulated ones on this machine',
        f'state_dir = "{state}"',
        f"seed = {seed}",
        "",
        "[api]",
        'host = "127.0.0.1"',
        f"port = {port}",
        f'unix_socket = "{_socket(state)}"',
        "",
        "[archive]",
        f'dsn = "chdb://{state / "archive"}"',
        f'spool_dir = "{state / "spool"}"',
        "",
    ]
    levels: list[str] = []
    limits: list[str] = []
    sizes: list[str] = []
    for item in instruments:
        symbol, base = item["symbol"], item["symbol"].split("/")[0]
        sizing = instrument_sizes(symbol, item["price"])
        lines += [
            "[[instruments]]",
            f'symbol = "{symbol}"',
            f'price_tick = "{item["price_tick"]:f}"',
            f'max_quantity = "{sizing.largest:f}"',
            f"book_size_decimals = {sizing.book_size_decimals(item['price'], item['price_tick'])}",
            "",
            f"[hedging.bands.{base}]",
            f'soft = "{sizing.soft:f}"',
            f'hard = "{sizing.hard:f}"',
            "",
        ]
        levels.append(f'"{symbol}" = [{", ".join(f'"{level:f}"' for level in sizing.levels)}]')
        limits.append(f'{base} = "{sizing.limit:f}"')
        sizes += [
            f'[risk.symbols."{symbol}"]',
            f'max_quantity = "{sizing.largest:f}"',
            f'max_child_quantity = "{sizing.largest:f}"',
            "",
        ]
    prices = {item["symbol"]: item["price"] for item in instruments}
    for cross in crosses(prices):
        sizing = instrument_sizes(cross.legs[0], prices[cross.legs[0]])
        lines += [
            "[[instruments]]  # no venue lists it: priced through its two legs, and hedged in them",
            f'symbol = "{cross.symbol}"',
            f'synthetic = ["{cross.legs[0]}", "{cross.legs[1]}"]',
            "direct = false",
            f'price_tick = "{cross.price_tick:f}"',
            "quote_precision = 8",
            f'max_quantity = "{sizing.largest:f}"',
            "",
        ]
        sizes += [
            f'[risk.symbols."{cross.symbol}"]',
            f'max_quantity = "{sizing.largest:f}"',
            f'max_notional = "{2 * sizing.largest * cross.price:f}"',
            "",
        ]
    for name, exchange, fee in (("BINANCE", "binance", "4"), ("KRAKEN", "kraken", "5")):
        lines += [
            "[[venues]]",
            f'venue = "{name}"',
            f'exchange = "{exchange}"',
            f'rest_url = "{venues[name]["rest"]}"',
            f'ws_url = "{venues[name]["ws"]}"',
            f'taker_fee_bps = "{fee}"',
            "",
        ]
    lines += [
        "[[lps]]",
        'lp = "FALCONX"',
        f'rest_url = "{venues["FALCONX"]["rest"]}"',
        f'ws_url = "{venues["FALCONX"]["ws"]}"',
        f"levels = {{ {', '.join(levels)} }}",
        "",
        "[risk]",
        f"max_position = {{ {', '.join(limits)} }}",
        "",
        *sizes,
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_access(state: Path, url: str) -> dict[str, Any]:
    """`<state>/access.json` (mode 0600): where the desk is and keys to it. Keys are made once and kept."""
    path = state / "access.json"
    access: dict[str, Any] = {}
    if path.exists():
        access = json.loads(path.read_text(encoding="utf-8"))
    else:
        store = KeyStore(state)
        clients = []
        for client_id, tier in TIERS.items():
            made = store.new(client_id, ("quote", "trade", "read"), tier=tier, rate_per_s=200, burst=1000)
            clients.append({"client_id": client_id, "key": made.key.key_id, "secret": made.secret})
        operator = store.new(
            "operator", ("quote", "trade", "read", "operate"), tier="standard", rate_per_s=200, burst=1000
        )
        access = {"clients": clients, "operator": {"key": operator.key.key_id, "secret": operator.secret}}
    access = {"url": url, "ws_url": url.replace("http", "ws", 1) + "/v1/ws", **_without(access, "url", "ws_url")}
    staged = path.with_suffix(".tmp")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(access, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
    return access


def desk_environment(venues: Mapping[str, Any]) -> dict[str, str]:
    """The desk's secrets, as it wants them: in the environment."""
    found: dict[str, str] = {}
    for venue, secret in venues["credentials"].items():
        found[f"{venue}_API_KEY"] = secret["key"]
        found[f"{venue}_API_SECRET"] = secret["secret"]
        if secret.get("passphrase"):
            found[f"{venue}_PASSPHRASE"] = secret["passphrase"]
    return found


def _socket(state: Path) -> str:
    path = str(state / "api.sock")
    return path if len(path) < 100 else ""  # the kernel's limit for a unix socket's path is 108 bytes


def _without(tree: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in keys}
