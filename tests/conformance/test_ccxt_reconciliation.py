"""What the venue has against what we think: executions that no stream brought, ends that were missed, orders of somebody else."""

from decimal import Decimal

from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.events import OrderEvent
from sim.servers.faults import Fault, FaultOrder
from sim.servers.matching import OrderRequest, Tif
from tests.conformance.ccxt_venue import VENUES, Recorder, account, eventually, market_data, venue
from tests.conformance.together import together
from tests.faults.desk import unlimited


@together(VENUES)
async def test_what_the_private_stream_does_not_bring_is_told_by_the_timer_once(name):
    async with venue(name, reconcile_s=0.3) as place, market_data(place) as data, account(place) as link:
        unlimited(link)  # reconciled more often than venues like
        seen = place.seen
        resting = await link.place(place.limit(data, "c-quiet-1", "buy", "0.5", -3000, "GTC"))
        assert isinstance(resting, OrderEvent)
        await place.fault("drop_frames", count=1000, scope="private")  # connected, and deaf
        server = place.running.servers[name]
        order = next(iter(server.core.resting.values()))
        fill_at_the_venue(server.core, order)
        await eventually(lambda: seen.filled("c-quiet-1") == Decimal("0.5"), "the missed execution")
        await eventually(lambda: seen.ended("c-quiet-1"), "the missed end")
        done = link.reconciliation.found.done
        await eventually(lambda: link.reconciliation.found.done > done + 2, "more reconciliations")
        assert seen.filled("c-quiet-1") == Decimal("0.5")  # each execution once, however often it is listed
        found = link.health()["reconciliation"]
        assert found["fills_missed"] >= 1
        assert found["failed"] == found["external_orders"] == found["external_fills"] == 0


def fill_at_the_venue(core, order) -> None:
    """The market comes to a resting order."""
    trade = core._fill(order, order.price, order.leaves, maker=True)
    core._commit()
    core._tell(order, [("trade", trade)], [])


@together(VENUES)
async def test_an_order_of_somebody_else_is_shown_as_external_and_left_alone(name):
    async with venue(name, reconcile_s=0.3) as place, market_data(place) as data, account(place) as link:
        unlimited(link)  # reconciled more often than venues like
        seen = place.seen
        ours = place.limit(data, "c-ours-1", "buy", "0.5", -2000, "GTC")
        assert isinstance(await link.place(ours), OrderEvent)
        core = place.running.servers[name].core
        theirs = core.place(
            OrderRequest(
                symbol=ours.symbol,
                side=1,
                quantity=Decimal("0.25"),
                price=Decimal(ours.price),
                tif=Tif.GTC,
                client_id="somebody",
            )
        )
        await eventually(lambda: seen.external, "the external order")
        assert [(row.side, row.quantity) for row in seen.external] == [("buy", Decimal("0.25"))]
        assert link.health()["reconciliation"]["external_orders"] == 1
        assert await link.cancel_all() == []  # all of ours
        assert [order.order_id for order in core.resting.values()] == [theirs.order_id]
        core.cancel(theirs.order_id)
        await eventually(lambda: not seen.external, "its end")


@together(VENUES)
async def test_an_order_of_an_earlier_run_is_ours_once_it_is_asked_for(name):
    async with venue(name, reconcile_s=0.3) as place, market_data(place) as data:
        async with account(place) as before:
            request = place.limit(data, "c-kept-1", "buy", "0.5", -2000, "GTC")
            assert isinstance(await before.place(request), OrderEvent)
        sink = Recorder()
        link = AccountLink(place.config, sink)
        unlimited(link)
        link.start()
        try:
            await eventually(link.ready.is_set, "a connected account")
            await eventually(lambda: sink.external, "an order that nobody has asked for yet")
            assert sink.external[0].client_order_id == "c-kept-1"
            proof = await link.prove("c-kept-1", request.symbol)  # the desk recovers
            assert not proof.order.state.closed
            assert sink.external == []
            assert list(link.live_orders()) == ["c-kept-1"]
            assert await link.cancel_all() == []
            await eventually(lambda: sink.ended("c-kept-1"), "the order's end")
        finally:
            await link.stop()


@together(VENUES)
async def test_after_a_jump_of_the_venues_clock_a_cancel_goes_through_and_queries_do(name):
    async with venue(name) as place, market_data(place) as data, account(place) as link:
        unlimited(link)  # reconciled more often than venues like
        assert isinstance(await link.place(place.limit(data, "c-late-1", "buy", "0.5", -2000, "GTC")), OrderEvent)
        place.running.servers[name].disturb(FaultOrder(fault=Fault.CLOCK_SKEW, ms=90_000))
        assert await link.cancel("c-late-1", place.symbol) is None
        await eventually(lambda: place.seen.ended("c-late-1"), "the order's end")
        assert await link.open_orders() == []
