"""Exchanges through unmodified ccxt.pro: exact market data and order execution that never guesses.

    config, catalogue            what a venue is reached with; which exchanges there are
    symbols                      exact numbers, markets, client order ids
    hook                         every parsed frame, losslessly; faults counted, never fatal
    frames, digits               frames of busy streams from their text: exact structs, levels read by a kernel
    books, levels                order books in ints: sequence, CRC32, crossed, truncation
    binance, binanceusdm, bybit, coinbase, kraken, okx
                                 one dialect a venue, with its books, frames and orders beside it
    generic                      books and trades of any other exchange
    capabilities                 which feed comes how from which exchange
    events                       what a link says
    orders                       ccxt exception → outcome; states of an order at the venue
    bucket, budget, tariffs      what may be asked, and how often
    link                         market data, plain asyncio
    account                      orders, fills, balances, plain asyncio
    history                      candles and trades of the past
    data, execution, factories   the thin engine clients

`link` and `account` import nothing of the engine. What each venue can do, and how sure we are, is in README.md.
"""
