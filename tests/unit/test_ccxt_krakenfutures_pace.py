"""How fast Kraken Futures is subscribed to again after a loss."""

from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.venues.krakenfutures.dialect import KrakenFuturesMarketDialect

MOST_A_SECOND = 100  # messages of a connection, by the venue's guide to its limits


def test_the_books_of_many_contracts_are_back_at_once_and_within_the_venues_limit() -> None:
    """ccxt left 600 ms between two messages, and the book's was the last of a contract's three: ten contracts took 18 seconds."""
    config = ExchangeConfig(venue="KRAKENFUTURES", exchange="krakenfutures", symbols=("BTC/USD:USD",))
    exchange = KrakenFuturesMarketDialect().create(config)
    pause_ms = exchange.rateLimit * exchange.options["ws"]["cost"]
    assert 1000 / MOST_A_SECOND < pause_ms < 2 * 1000 / MOST_A_SECOND
    assert exchange.rateLimit == exchange.describe()["rateLimit"]  # of REST, it stays
