"""Orders that the key or the account may not send are refused here after the venue has said so once, market by market."""

import asyncio
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from adapters.ccxt.account import permission as module
from adapters.ccxt.account.link import AccountLink
from adapters.ccxt.account.outcomes import Failure, Verdict
from adapters.ccxt.config import ExchangeConfig
from adapters.ccxt.dialect import OrderRequest, acknowledged
from adapters.ccxt.events import OrderEvent
from tests.conformance.ccxt_venue import Recorder

BTC, ETH = "BTC/USDT", "ETH/USDT"


def order(symbol: str) -> OrderRequest:
    return OrderRequest(
        client_order_id="c-1",
        symbol=symbol,
        side="buy",
        kind="limit",
        time_in_force="IOC",
        quantity="1",
        price="100",
    )


class Venue:
    """An account link whose venue answers `errors` by market; `asked`: what left."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        config = ExchangeConfig(venue="OKX", exchange="okx", symbols=(BTC, ETH), reconcile_s=0)
        self.link = AccountLink(config, Recorder())
        self.link.markets = {BTC: None, ETH: None}  # type: ignore[dict-item]
        self.link._exchange = SimpleNamespace()
        self.link._commands.place = self.place  # type: ignore[method-assign]
        self.errors, self.asked = errors, []

    async def place(self, exchange: Any, request: OrderRequest) -> tuple[OrderEvent, list[Any]]:
        self.asked.append(request.symbol)
        if (error := self.errors.get(request.symbol)) is not None:
            raise error
        return acknowledged(request, "v-1"), []


@pytest.mark.parametrize(
    "error", [ccxt.PermissionDenied("no trade permission"), ccxt.RestrictedLocation("not in your country")]
)
def test_a_market_that_may_not_be_traded_is_not_asked_for_again_and_the_others_go_on(error, monkeypatch):
    async def main() -> None:
        venue = Venue({BTC: error})
        first, second = await venue.link.place(order(BTC)), await venue.link.place(order(BTC))
        assert isinstance(first, Failure) and first.verdict is Verdict.REFUSED
        assert isinstance(second, Failure) and second.verdict is Verdict.NOT_SENT
        assert str(error) in second.reason
        assert isinstance(await venue.link.place(order(ETH)), OrderEvent)
        assert venue.asked == [BTC, ETH]
        assert venue.link.health()["refusing"] == ""  # not everywhere
        monkeypatch.setattr(module, "monotonic", lambda: 1e12)  # much later
        await venue.link.place(order(BTC))
        assert venue.asked == [BTC, ETH, BTC]

    asyncio.run(main())


def test_a_key_without_the_right_to_trade_is_told_as_refusing_until_it_is_let_in_again():
    async def main() -> None:
        denied = ccxt.PermissionDenied("no trade permission")
        venue = Venue({BTC: denied, ETH: denied})
        await venue.link.place(order(BTC))
        await venue.link.place(order(ETH))
        assert "no trade permission" in venue.link.health()["refusing"]
        venue.link._permission.admitted()
        assert venue.link.health()["refusing"] == ""

    asyncio.run(main())


def test_keys_that_are_refused_are_told_as_such_for_every_market():
    async def main() -> None:
        venue = Venue({BTC: ccxt.AuthenticationError("invalid key")})
        venue.link._dialect.prepare = lambda exchange: asyncio.sleep(0)  # type: ignore[method-assign]
        await venue.link.place(order(BTC))
        assert venue.asked == [BTC, BTC]  # with the clock learnt anew in between
        other = await venue.link.place(order(ETH))
        assert isinstance(other, Failure) and other.verdict is Verdict.NOT_SENT
        assert venue.link.health()["refusing"].startswith("credentials refused")

    asyncio.run(main())
