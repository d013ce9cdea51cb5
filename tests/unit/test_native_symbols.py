"""The adapters' instruments as our markets, and which exchanges can be had that way."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.common.component import LiveClock
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.factories import CcxtDataClientConfig
from adapters.native.catalogue import EXCHANGES
from adapters.native.factories import NativeDataClientConfig
from adapters.native.inner import Inner
from adapters.native.symbols import Symbols
from adapters.native.venues import NO_KEY, data_client
from desk.config.load import load
from desk.errors import ConfigFault
from desk.node import _data_clients


def pair(named: str, base: str, quote: str) -> CurrencyPair:
    return CurrencyPair(
        instrument_id=InstrumentId.from_str(named),
        raw_symbol=Symbol("RAW"),
        base_currency=Currency.from_str(base, strict=False),
        quote_currency=Currency.from_str(quote, strict=False),
        price_precision=8,
        size_precision=8,
        price_increment=Price.from_str("0.01000000"),
        size_increment=Quantity.from_str("0.00001000"),
        min_quantity=Quantity.from_str("0.00001000"),
        min_notional=Money(Decimal(5), Currency.from_str("USDT")),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.002"),
        ts_event=0,
        ts_init=0,
    )


@pytest.mark.parametrize(
    ("named", "base", "quote"),
    [
        ("BTCUSDT.BINANCE", "BTC", "USDT"),
        ("BTC-USDT.OKX", "BTC", "USDT"),
        ("BTCUSDT-SPOT.BYBIT", "BTC", "USDT"),
        ("BTC/USDT.KRAKEN", "XXBT", "USDT"),
    ],
)
def test_every_venues_name_is_ours(named: str, base: str, quote: str) -> None:
    symbols = Symbols("X", ("BTC/USDT",))
    market = symbols.learn(pair(named, base, quote))
    assert market is not None
    assert (market.symbol, market.base, market.quote) == ("BTC/USDT", "BTC", "USDT")
    assert (market.price_decimals, market.size_decimals) == (2, 5)  # of tick and lot, not of what is printed
    assert (market.min_quantity, market.max_quantity, market.min_notional) == (Decimal("0.00001"), None, Decimal(5))
    assert symbols.ours(InstrumentId.from_str(named)) == "BTC/USDT"
    assert symbols.theirs("BTC/USDT") == InstrumentId.from_str(named)


def test_what_nobody_asked_for_is_not_known() -> None:
    symbols = Symbols("X", ("ETH/USDT",))
    assert symbols.learn(pair("BTCUSDT.BINANCE", "BTC", "USDT")) is None
    assert symbols.ours(InstrumentId.from_str("BTCUSDT.BINANCE")) is None
    with pytest.raises(KeyError):
        symbols.theirs("BTC/USDT")


def test_each_venue_gets_the_client_it_is_configured_with(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(VENUE.format(venue="OKX", exchange="okx") + '[[venues]]\nvenue = "KRAKEN"\nexchange = "kraken"\n')
    config = load(path, {}).config
    exchanges = {
        name: ExchangeConfig(venue=name, exchange=name.lower(), symbols=("BTC/USDT",)) for name in ("OKX", "KRAKEN")
    }
    clients = _data_clients(config, exchanges)
    assert {name: type(client) for name, client in clients.items()} == {
        "NATIVE-OKX": NativeDataClientConfig,
        "CCXT-KRAKEN": CcxtDataClientConfig,
    }
    assert clients["NATIVE-OKX"].exchange is exchanges["OKX"]


VENUE = """
[[instruments]]
symbol = "BTC/USDT"
[[venues]]
venue = "{venue}"
exchange = "{exchange}"
kind = "nautilus"
"""


def test_the_configuration_takes_an_adapter_that_there_is(tmp_path: Path) -> None:
    path = tmp_path / "desk.toml"
    path.write_text(VENUE.format(venue="OKX", exchange="okx"))
    assert [(venue.exchange, venue.kind) for venue in load(path, {}).config.venues] == [("okx", "nautilus")]
    path.write_text(VENUE.format(venue="COINBASE", exchange="coinbase"))
    with pytest.raises(
        ConfigFault, match="the engine has no adapter for 'coinbase' that we use: there are binance, bybit"
    ):
        load(path, {})


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_no_adapter_takes_a_key_from_the_environment(exchange: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "U0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0U="  # base64, as Kraken's are
    for name in ("API_KEY", "API_SECRET", "API_PASSPHRASE", "SPOT_API_KEY", "SPOT_API_SECRET"):
        monkeypatch.setenv(f"{exchange.upper()}_{name}", secret)

    async def main() -> None:
        clock = LiveClock()
        inner = Inner(TraderId("KERB-001"), clock)
        config = ExchangeConfig(
            venue=exchange.upper(), exchange=exchange, symbols=("BTC/USDT",), rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1:1",
            api_key="ours", secret=secret, password="ours",
        )  # fmt: skip
        client = data_client(config, asyncio.get_running_loop(), inner.msgbus, inner.cache, clock)
        http = client._http_client_spot if exchange == "kraken" else client._http_client
        assert http.api_key in (None, NO_KEY)

    asyncio.run(main())
