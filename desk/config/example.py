"""The file that `kerb config init` writes."""

EXAMPLE = """\
# Kerb desk. Every key with its meaning: docs/configuration.md. Secrets never stand here but in the environment:
# BINANCE_API_KEY, BINANCE_API_SECRET, FALCONX_API_KEY, FALCONX_API_SECRET, FALCONX_PASSPHRASE …
name = "kerb"
mode = "paper"            # real prices, imagined execution, no exchange keys; "live" sends orders and needs `kerb run --live`
state_dir = "state"       # relative paths count from where `kerb` is started

[api]
host = "127.0.0.1"
port = 8080

[archive]
dsn = "chdb://state/archive"          # an absolute path has three slashes: chdb:///var/lib/kerb/archive
spool_dir = "state/spool"

[[instruments]]
symbol = "BTC/USDT"
price_tick = "0.01"
min_quantity = "0.001"
max_quantity = "10"

[[venues]]
venue = "BINANCE"
exchange = "binance"
taker_fee_bps = "10"      # leave it out when live: then what the account pays counts

[[venues]]
venue = "KRAKEN"
exchange = "kraken"
taker_fee_bps = "25"

[[lps]]
lp = "FALCONX"
enabled = false           # an LP quotes to its clients only: set its keys, then enable it (on paper as well)
rest_url = "https://api.falconx.io"
ws_url = "wss://stream.falconx.io"
levels = { "BTC/USDT" = ["0.1", "1", "5"] }

[hedging.bands.BTC]
soft = "1"
hard = "10"

[paper.balances]          # what each exchange's account begins with in paper mode
USDT = "1000000"
BTC = "15"
"""
