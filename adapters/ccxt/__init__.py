"""Exchanges through unmodified ccxt.pro: exact market data and order execution that never guesses.

    config, catalogue            what an exchange is reached with; which exchanges there are
    capabilities                 which feed comes how from which exchange
    symbols, contracts           exact numbers, markets, client order ids; what a futures contract is worth
    events, dialect              what a link says; what a venue's own rules are asked for
    hook, pace                   every frame, losslessly, faults counted and never fatal; how soon something is tried again
    venues/                      the rules of each exchange in a folder of its own, and their registry
    market/                      frames, order books in ints that know when they are wrong, the market link and its engine client
    account/                     orders, the proof of what became of them, reconciliation, the account link and its engine client
    limits/                      what may be asked, and how often
    past/                        candles and trades of the past
    instruments, factories       the engine's instruments; how a node makes our clients

Nothing but `market.data`, `account.execution`, `account.reports`, `instruments` and `factories` imports the engine. What each venue can do,
and how sure we are, is in README.md.
"""
