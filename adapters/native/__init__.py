"""The engine's own adapters for Binance, OKX, Bybit and Kraken, under our names: `kind = "nautilus"` of a venue.

    venues     what each adapter is made with, and where it can be pointed
    inner      a bus and a cache of its own for such a client: it speaks its own symbols there, and never to the engine itself
    symbols    its instruments by our unified symbol, and back
    data, execution, factories   the engine's clients of the venue: ours outside, the adapter inside

What each can do, and what was proven against which server, is in README.md.
"""
