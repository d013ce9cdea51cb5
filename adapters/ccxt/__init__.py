"""Exchanges through unmodified ccxt.pro: exact market data and order execution that never guesses.

    config     what a venue is reached with              hook       every parsed frame, losslessly; faults counted, never fatal
    symbols    exact numbers, markets, client order ids   books      order books in ints: sequence, CRC32, crossed, truncation
    events     what a link says                           orders     ccxt exception → outcome; states of an order at the venue
    binance, bybit, kraken, okx   one dialect a venue     link       market data, plain asyncio
    bucket     our own order rate limit                   account    orders, fills, balances, plain asyncio
    data, execution, factories   the thin engine clients

`link` and `account` import nothing of the engine. What each venue can do, and how sure we are, is in README.md.
"""
