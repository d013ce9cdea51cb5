"""What must hold of a node when an episode is over. Truth are the venues' matching cores and what clients were told; the desk's side is
its ledger as it lies on disk.

 1. Every client trade the API answered is in the ledger once, as it was told, and there is no other.
 2. Every execution the venues have of the desk's orders is in the ledger once, to the last digit, and there is no other.
 3. Every client order id reached a venue once.
 4. No parent order has more filled and open at the venues than it was to trade.
 5. Open orders at the venues are the desk's open orders, in the ledger and in the links.
 6. The ledger's position is Σ executions and client trades, its accounts of the venues are what the venues' balances moved, and each
    currency adds up to zero.
 7. Inventory is inside its soft band, unless a hedge is at work.
 8. An order that was unknown kept its exposure reserved until it was proven (`witness.py`).
 9. No quote counts on a book that was not live: by the quote's own record, and by what the links had said before.
10. While no book was whole a request was refused as `no_live_venue`; while one was used all the time it was not. A quote that was to be
    taken was refused as too late or as `no_live_venue` alone.
11. No handler of the desk failed, no request was one too many for a venue that counts them, and the position at each venue of perpetuals
    is the venue's, whoever traded.
12. When it is calm every book is live, and a price lies within what the venues really show, fees included.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal, localcontext
from typing import Any

from tests.faults.node.books import EXACT, HOUSE, Ledger, atto, executions_there, orders_there, position_due
from tests.faults.node.client import Asked, Crowd
from tests.faults.node.episode import PERPETUALS
from tests.faults.node.place import BASE, MAX_AGE_MS, SOFT, Place, traded
from tests.faults.node.witness import Witness

HEARD_NS = (
    MAX_AGE_MS * 1_000_000 + 300_000_000
)  # a book may be so old (its socket may be dead), and a moment on its way
LOT = Decimal("0.001")  # more than any lot: what is left of a hedge stays


def differences(place: Place, ledger: Ledger, crowd: Crowd) -> list[str]:
    """Rules 1 to 7 and 11 as they stand: what does not hold may still come true while the desk is settling."""
    executions = executions_there(place)
    return [
        *_trades(ledger, crowd),
        *_executions(ledger, executions),
        *_orders(place, ledger),
        *_position(place, ledger, executions),
        *_band(place),
        *_perpetuals(place),
    ]


def decided(place: Place, ledger: Ledger, crowd: Crowd, witness: Witness, since_ns: int) -> list[str]:
    """Rules 3, 4 and 8 to 11: nothing can make good what is broken here."""
    return [
        *_once(place),
        *_excess(place, ledger),
        *witness.wrong[:5],
        *_sources(ledger, witness, since_ns),
        *_refusals(crowd, witness),
        *crowd.wrong,
        *_faults(place),
    ]


# ---- 1, 2 -----------------------------------------------------------------------------------------------------------------


def _trades(ledger: Ledger, crowd: Crowd) -> list[str]:
    booked, wrong = ledger.trades(), []
    by_token = Counter(trade["client_order_id"] for trade in booked)
    wrong += [f"trade {token} is in the ledger {count} times" for token, count in by_token.items() if count > 1]
    if strangers := by_token.keys() - crowd.trades.keys() - crowd.lost:
        wrong.append(f"trades that no client was told of: {sorted(strangers)}")
    rows = {trade["client_order_id"]: trade for trade in booked}
    for token, told in crowd.trades.items():
        row = rows.get(token)
        if row is None:
            wrong.append(f"trade {token} was answered and is not in the ledger")
            continue
        names = ("trade_id", "quote_id", "side")
        amounts = ("price", "quantity", "amount")
        if any(row[name] != told[name] for name in names) or any(
            Decimal(row[name]) != Decimal(told[name]) for name in amounts
        ):
            wrong.append(f"trade {token} was told as {told} and booked as {row}")
    return wrong


def _executions(ledger: Ledger, executions: list[Any]) -> list[str]:
    there, here = Counter(executions), Counter(ledger.fills())
    wrong = [f"not booked: {one}" for one in list((there - here).elements())[:3]]
    return wrong + [f"booked, and no venue has it: {one}" for one in list((here - there).elements())[:3]]


# ---- 3, 4, 5 --------------------------------------------------------------------------------------------------------------


def _once(place: Place) -> list[str]:
    return [
        f"{client_id} reached {venue} {len(orders)} times"
        for venue in place.venues
        for client_id, orders in orders_there(place, venue).items()
        if len(orders) > 1
    ]


def _excess(place: Place, ledger: Ledger) -> list[str]:
    parent_of, parents = ledger.parents()
    taken: dict[str, Decimal] = {}
    for venue in place.venues:
        core = place.servers[venue].core
        for client_id, orders in orders_there(place, venue).items():
            if (parent := parent_of.get(client_id)) is None:
                return [f"{client_id} is at {venue} and was never journalled"]
            for order in orders:
                size = order.quantity if order.open else order.filled
                taken[parent] = taken.get(parent, Decimal(0)) + core.instruments[order.symbol].size(size)
    return [
        f"parent {parent} was to trade {parents[parent]['quantity']} and has {amount} at the venues"
        for parent, amount in taken.items()
        if amount > Decimal(parents[parent]["quantity"])
    ]


def _orders(place: Place, ledger: Ledger) -> list[str]:
    wrong, children = [], ledger.children_open()
    for venue in place.venues:
        there = {key for key, orders in orders_there(place, venue).items() if any(order.open for order in orders)}
        here = {child["child_id"] for child in children if child["venue"] == venue}
        linked = set(place.account[venue].link.live_orders())
        if not there == here == linked:
            wrong.append(f"open at {venue}: {sorted(there)}, in the ledger {sorted(here)}, linked {sorted(linked)}")
    wrong += [f"{child['child_id']} is {child['state']}" for child in children if child["state"] == "unknown"]
    return wrong


# ---- 6, 7 -----------------------------------------------------------------------------------------------------------------


def _position(place: Place, ledger: Ledger, executions: list[Any]) -> list[str]:
    sums, wrong = ledger.sums(), []
    parent_of, parents = ledger.parents()
    ours = [one for one in executions if not parents.get(parent_of.get(one.order_id, ""), {}).get("account")]
    for currency, due in position_due(ours, ledger.trades()).items():
        if (held := sum(sums.get((account, currency), 0) for account in HOUSE)) != atto(due):
            wrong.append(f"the ledger is long of {held} atto {currency}, executions and trades make {atto(due)}")
        if place.desk.ledger is not None and not place.desk.ledger.waiting:
            memory = atto(place.desk.ledger.position(currency))
            wrong += [f"in memory {memory} atto {currency}, on disk {held}"] if memory != held else []
    for currency in {currency for _, currency in sums}:
        if total := sum(amount for (_, of), amount in sums.items() if of == currency):
            wrong.append(f"the postings of {currency} add up to {total} atto")
    for venue in place.spot:
        core = place.servers[venue].core
        for currency, opening in place.opening[venue].items():
            moved = core.balances[currency] - opening
            if atto(moved) != -sums.get((f"venue:{venue}", currency), 0):
                booked = -sums.get((f"venue:{venue}", currency), 0)
                wrong.append(f"{venue}'s balance of {currency} moved by {atto(moved)} atto, booked are {booked}")
    return wrong


def _band(place: Place) -> list[str]:
    position = place.desk.ledger.position(BASE) if place.desk.ledger is not None else Decimal(0)
    if abs(position) <= SOFT + LOT or place.working():
        return []
    return [f"{position} {BASE} is beyond the soft band of {SOFT} and nothing is at work"]


# ---- 9, 10, 11 ------------------------------------------------------------------------------------------------------------


def _sources(ledger: Ledger, witness: Witness, since_ns: int) -> list[str]:
    wrong = []
    for quote in ledger.quotes_since(since_ns):
        made_ns = quote["created_ns"]
        if not quote["sources"]:
            wrong.append(f"{quote['quote_id']} names no source")
        for source in quote["sources"]:
            name, said = source["name"], f"{quote['quote_id']} counts on {source['name']}"
            if source["status"] != "live":
                wrong.append(f"{said}, which was {source['status']}")
            elif not witness.whole(name, made_ns):
                before = [end for _, end in witness.spans[name] if end <= made_ns]
                late = (made_ns - before[-1]) / 1e6 if before else -1.0
                wrong.append(f"{said}, which its link had given up {late:.3f} ms before")
    return wrong


def _refusals(crowd: Crowd, witness: Witness) -> list[str]:
    wrong = []
    for asked in crowd.asked:
        if witness.dark(asked.sent_ns, asked.answered_ns):
            if (asked.code, asked.kind) != ("no_live_venue", "rejected"):
                wrong.append(f"asked while no book was whole: {asked.status} {asked.kind} {asked.code}")
        elif not asked.quoted and witness.lit(asked.sent_ns, asked.answered_ns):
            wrong.append(f"asked while a book was live: {asked.status} {asked.kind} {asked.code}")
    return wrong


def _faults(place: Place) -> list[str]:
    state = place.desk.parts.desk.state()
    wrong = [f"{alert.source}: {alert.message}" for alert in state.alerts if alert.source == "fault"][:3]
    limits = {venue: server.limits.refused for venue, server in place.servers.items() if server.limits is not None}
    return wrong + [f"{count} requests too many at {venue}" for venue, count in limits.items() if count]


def _perpetuals(place: Place) -> list[str]:
    wrong = []
    for venue in place.venues:
        if venue not in PERPETUALS:
            continue
        core, symbol = place.servers[venue].core, traded(venue)
        there = core.holding(symbol).quantity
        rows = place.account[venue].link.positions.told()
        here = next((row.quantity for row in rows if row.symbol == symbol), Decimal(0))
        if there != here:
            wrong.append(f"{venue} holds {there} contracts of {symbol}, the desk knows of {here}")
    return wrong


# ---- 12 -------------------------------------------------------------------------------------------------------------------


def price_is_true(place: Place, ledger: Ledger, witness: Witness, asked: Asked) -> list[str]:
    """Of a two-way quote in the calm: its sweep against the books that the venues showed of late."""
    if not asked.quoted:
        return [f"in the calm a request was refused: {asked.status} {asked.code}"]
    wrong = []
    made = {quote["quote_id"]: quote for quote in ledger.quotes_since(asked.sent_ns - 1)}
    prices = {}
    for told in asked.quotes:
        quote = made[told["quote_id"]]
        prices[told["side"]] = Decimal(told["price"])
        with localcontext(EXACT):
            steps = {step["step"]: Decimal(step["amount"]) for step in quote["waterfall"]}
            swept = Decimal(quote["fair"]) + steps["sweep"]
            total = Decimal(quote["fair"]) + sum(steps.values())
            low, high = witness.truth.bounds(
                quote["side"],
                Decimal(quote["quantity"]),
                quote["created_ns"] - HEARD_NS,
                quote["created_ns"],
                place.spot,
            )
        if not low - Decimal("0.01") <= swept <= high + Decimal("0.01"):
            wrong.append(f"{told['side']} {quote['quantity']} sweeps at {swept}, the venues show {low} to {high}")
        if total != Decimal(quote["price"]) or total != prices[told["side"]]:
            wrong.append(f"fair and steps make {total}, the price is {quote['price']}, told was {told['price']}")
    if len(prices) == 2 and prices["buy"] <= prices["sell"]:
        wrong.append(f"bid {prices['sell']} is not below ask {prices['buy']}")
    return wrong
