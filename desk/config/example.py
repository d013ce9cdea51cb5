"""The file that `kerb config init` writes."""

EXAMPLE = """\
# Kerb desk. Secrets stand in the environment: BINANCE_API_KEY, BINANCE_API_SECRET, FALCONX_API_KEY, FALCONX_PASSPHRASE …
name = "kerb"
mode = "paper"            # "live" sends real orders, and needs `kerb run --live`
state_dir = "state"

[api]
host = "127.0.0.1"
port = 8080

[archive]
dsn = "chdb:///state/archive"
spool_dir = "state/spool"

[[instruments]]
symbol = "BTC/USDT"
price_tick = "0.01"
min_quantity = "0.001"
max_quantity = "50"

[[venues]]
venue = "BINANCE"
exchange = "binance"
taker_fee_bps = "10"

[[venues]]
venue = "KRAKEN"
exchange = "kraken"
taker_fee_bps = "25"

[[lps]]
lp = "FALCONX"
rest_url = "https://api.falconx.io"
ws_url = "wss://stream.falconx.io"
levels = { "BTC/USDT" = ["0.1", "1", "5"] }

[hedging.bands.BTC]
soft = "1"
hard = "10"
"""
