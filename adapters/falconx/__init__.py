"""FalconX, an RFQ liquidity provider: firm quotes by REST, an indicative size ladder by WebSocket. See README.md here."""
