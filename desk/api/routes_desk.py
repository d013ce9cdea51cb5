"""What can be traded, the desk's clock, and the operator's routes under `/v1/desk/`."""

from __future__ import annotations

from desk.api.capabilities import capabilities_of
from desk.api.context import Api, ask
from desk.api.convert import build_of, text
from desk.api.desk_messages import DeskState, ExternalOrderPage, ExternalOrderView, HaltRequest, RfqBuild, TradingState
from desk.api.messages import Capabilities, DeskTime, InstrumentPage
from desk.api.routing import Call, Route
from desk.errors import Invalid


async def list_instruments(api: Api, call: Call) -> InstrumentPage:
    allowed = call.caller.instruments
    items = [item for item in api.service.instruments() if allowed is None or item.symbol in allowed]
    return InstrumentPage(items=items)


async def get_time(api: Api, _call: Call) -> DeskTime:
    return DeskTime(time_ns=api.clock_ns(), epoch=api.epoch)


async def get_capabilities(api: Api, _call: Call) -> Capabilities:
    return capabilities_of(api)


async def get_state(api: Api, _call: Call) -> DeskState:
    return api.service.state()


async def get_build(api: Api, call: Call) -> RfqBuild:
    return build_of(api.service.rfq(call.caller, call.path["rfq_id"]))


async def list_external(api: Api, _call: Call) -> ExternalOrderPage:
    rows = api.accounts.external() if api.accounts is not None else []
    items = [
        ExternalOrderView(
            venue=row.venue,
            instrument=row.symbol,
            venue_order_id=row.venue_order_id,
            client_order_id=row.client_order_id,
            side=row.side,
            price=None if row.price is None else text(row.price),
            quantity=None if row.quantity is None else text(row.quantity),
            filled=text(row.filled),
            updated_ns=row.ts_ns,
        )
        for row in rows
    ]
    return ExternalOrderPage(items=items)


def _confirmed(body: HaltRequest, word: str) -> None:
    if body.confirm != word:
        raise Invalid("not_confirmed", f"confirm must be the word {word}", details={"field": "confirm"})


async def halt(api: Api, call: Call) -> TradingState:
    _confirmed(call.body, "HALT")
    return await ask(lambda reply: api.service.halt(call.caller, call.body.reason, reply), _same, api.reply_timeout_s)


async def resume(api: Api, call: Call) -> TradingState:
    _confirmed(call.body, "RESUME")
    return await ask(lambda reply: api.service.resume(call.caller, call.body.reason, reply), _same, api.reply_timeout_s)


def _same(state: TradingState) -> TradingState:
    return state


_OPERATE = ("operate",)

ROUTES = (
    Route("GET", "/v1/instruments", "listInstruments", "What may be asked for.", InstrumentPage, list_instruments),
    Route(
        "GET",
        "/v1/capabilities",
        "getCapabilities",
        "How each watch channel works at each venue.",
        Capabilities,
        get_capabilities,
    ),
    Route("GET", "/v1/time", "getTime", "The desk's clock and epoch.", DeskTime, get_time),
    Route(
        "GET", "/v1/desk/state", "getDeskState", "Everything an operator sees.", DeskState, get_state, scopes=_OPERATE
    ),
    Route(
        "GET",
        "/v1/desk/rfqs/{rfq_id}/waterfall",
        "getWaterfall",
        "How each price of a request was made, step by step.",
        RfqBuild,
        get_build,
        scopes=_OPERATE,
        errors=(404,),
    ),
    Route(
        "GET",
        "/v1/desk/external_orders",
        "listExternalOrders",
        "Open orders on the desk's accounts that somebody else placed. The desk never touches them.",
        ExternalOrderPage,
        list_external,
        scopes=_OPERATE,
    ),
    Route(
        "POST",
        "/v1/desk/halt",
        "haltDesk",
        "Stop quoting and sending. Cancels and reconciliation go on. Survives a restart.",
        TradingState,
        halt,
        scopes=_OPERATE,
        body=HaltRequest,
        errors=(504,),
        examples={"halt": {"confirm": "HALT", "reason": "venue outage"}},
    ),
    Route(
        "POST",
        "/v1/desk/resume",
        "resumeDesk",
        "Trade again.",
        TradingState,
        resume,
        scopes=_OPERATE,
        body=HaltRequest,
        errors=(504,),
        examples={"resume": {"confirm": "RESUME", "reason": "venue is back"}},
    ),
)
