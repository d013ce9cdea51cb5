"""The dead-man switch as its account sees it: set, set again, lost, refused, taken off."""

import asyncio
import time
from collections.abc import Callable

from adapters.ccxt.account import switch as module
from adapters.ccxt.account.switch import DeadManSwitch
from adapters.ccxt.dialect import NOTHING_MORE, Offers, Switch

TIMER = Offers(switch=Switch.TIMER, switch_s=(10, 120))
WATCHED = Offers(switch=Switch.DISCONNECT, switch_s=(3, 300))


async def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


class Venue:
    def __init__(self) -> None:
        self.told: list[int] = []
        self.fault: Exception | None = None

    async def put(self, seconds: int) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append(seconds)


def test_a_timer_is_set_again_only_while_the_stream_is_up_and_off_at_the_end(monkeypatch):
    monkeypatch.setattr(module, "RENEWALS", 1_000)  # each hundredth of a second

    async def main() -> None:
        venue = Venue()
        switch = DeadManSwitch("V", TIMER, 5, venue.put)
        assert switch.seconds == 10  # the least that the venue takes
        task = asyncio.create_task(switch.run())
        await asyncio.sleep(0.05)
        assert venue.told == []  # not before the stream is up
        switch.connected()
        await until(lambda: len(venue.told) >= 3)
        assert switch.armed and switch.health()["left_s"] > 9
        switch.lost()
        await asyncio.sleep(0.05)
        count = len(venue.told)
        await asyncio.sleep(0.05)
        assert len(venue.told) == count  # the venue's clock runs now
        await switch.off()
        assert venue.told[-1] == 0
        assert not switch.armed
        task.cancel()

    asyncio.run(main())


def test_a_venue_that_refuses_is_a_reason_and_is_asked_again(monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)

    async def main() -> None:
        venue = Venue()
        venue.fault = PermissionError("not enabled for this account")
        switch = DeadManSwitch("V", WATCHED, 60, venue.put)
        task = asyncio.create_task(switch.run())
        switch.connected()
        await until(lambda: switch.health()["reason"])
        assert switch.health() == {
            "kind": "disconnect",
            "seconds": 60,
            "armed": False,
            "left_s": None,
            "reason": "not enabled for this account",
        }
        venue.fault = None
        await until(lambda: switch.armed)
        assert switch.health()["reason"] == ""
        switch.lost()
        await asyncio.sleep(0.05)
        switch.connected()
        await until(lambda: len(venue.told) == 2)  # once after each login
        task.cancel()

    asyncio.run(main())


def test_a_loss_that_is_over_at_once_is_a_new_login_all_the_same():
    async def main() -> None:
        venue = Venue()
        switch = DeadManSwitch("V", WATCHED, 60, venue.put)
        task = asyncio.create_task(switch.run())
        switch.connected()
        await until(lambda: len(venue.told) == 1)
        switch.lost()
        switch.connected()  # nothing has waited in between
        await until(lambda: len(venue.told) == 2)
        task.cancel()

    asyncio.run(main())


def test_a_request_that_nobody_has_answered_is_taken_back_at_the_end():
    async def main() -> None:
        heard: list[int] = []

        async def put(seconds: int) -> None:
            heard.append(seconds)
            if seconds:
                raise TimeoutError("no answer")

        switch = DeadManSwitch("V", TIMER, 60, put)
        task = asyncio.create_task(switch.run())
        switch.connected()
        await until(lambda: switch.health()["reason"])
        task.cancel()
        await switch.off()
        assert heard == [60, 0]

    asyncio.run(main())


def test_what_is_not_offered_or_not_wanted_is_never_asked_for():
    async def main() -> None:
        for offers, seconds, reason in ((NOTHING_MORE, 60, "not offered"), (TIMER, 0, "not wanted")):
            venue = Venue()
            switch = DeadManSwitch("V", offers, seconds, venue.put)
            switch.connected()
            await asyncio.wait_for(switch.run(), 1)
            await switch.off()
            assert (venue.told, switch.armed, switch.reason) == ([], False, reason)

    asyncio.run(main())
