"""The fixed names on the message bus. Ids go into messages, never into topics: the engine keeps every topic for ever."""

from __future__ import annotations

# topics (publish / subscribe)
LP_LADDER = "lp.ladder"  # adapters.nautilus.lp.LpLadder
RFQ = "desk.rfq"  # desk.rfq.records.RfqRecord at every transition
QUOTE = "desk.quote"  # desk.rfq.records.QuoteRecord, with its waterfall
CLIENT_TRADE = "desk.trade"  # desk.rfq.records.TradeRecord
ORDER = "desk.order"  # desk.orders.records.OrderRecord at every transition
RISK = "risk.decision"  # risk.decision.Decision
PARENT = "router.parent"  # router.orders.ParentOrder at every transition
CHILD = "router.child"  # router.orders.ChildOrder at every transition
FILL = "router.fill"  # adapters.nautilus.outcome.VenueFill, once per execution
LP_ROUND = "router.lp_round"  # router.panel.LpRound, when a round of asking LPs is over
COST = "desk.cost"  # router.costs.shortfall.CostLine, when a child or parent order is done
MARKOUT = "desk.markout"  # router.costs.markouts.Markout, one a horizon
STANDING = "venue.standing"  # adapters.nautilus.standing.AccountStanding, once a second
EXTERNAL = "venue.external"  # adapters.nautilus.external.ExternalOrders, when they changed
LIQUIDATION = "market.liquidation"  # adapters.nautilus.perpetual.Liquidation, anybody's
OWN_LIQUIDATION = "venue.liquidation"  # adapters.nautilus.perpetual.Liquidation, an execution of ours
POSITIONS = "venue.positions"  # adapters.nautilus.perpetual.VenuePositions
FUNDING_PAID = "venue.funding"  # adapters.nautilus.perpetual.FundingPaid
FAULT = "sys.fault"  # adapters.nautilus.safe.Fault
ALERT = "sys.alert"  # desk.alerts.Alert

# endpoints (send / register), one receiver each
ROUTER_PARENT = "Router.parent"  # router.orders.ParentRequest
ROUTER_COMMAND = "Router.command"  # router.messages.ParentCommand
ROUTER_HALT = "Router.halt"


def lp_rfq(lp: str) -> str:
    """Endpoint of an LP's request-for-quote."""
    return f"LP.{lp}.rfq"


def resolve(venue: str) -> str:
    """Endpoint of a venue's order-outcome query."""
    return f"Exec.{venue}.resolve"


def sweep(venue: str) -> str:
    """Endpoint that cancels all orders at a venue."""
    return f"Exec.{venue}.sweep"
