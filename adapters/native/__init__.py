"""The engine's own adapters for Binance, OKX, Bybit and Kraken, under our names: `kind = "nautilus"` of a venue.

    catalogue         which exchanges, how deep their books are
    venues            what each adapter is made with, and where it can be pointed
    inner             a bus and a cache of its own for such a client: it speaks its own symbols there, and never to the engine itself
    symbols           its instruments as our markets, and back
    market            books, trades and best prices: ours outside, the adapter inside
    data, factories   the engine's data client of the venue

What each can do, and what was proven against which server, is in README.md.
"""
