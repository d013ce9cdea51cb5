"""What operators are alerted to of the desk's accounts: each is said once, when it becomes so."""

from adapters.nautilus.standing import AccountStanding
from desk.alerts import Alerts
from desk.compose import Bookkeeper


def standing(connected: bool = True, reason: str = "", refusing: str = "", external_fills: int = 0) -> AccountStanding:
    return AccountStanding(
        venue="OKX",
        connected=connected,
        reason=reason,
        live_orders=0,
        orders_by="rest",
        switch="set",
        refusing=refusing,
        external_fills=external_fills,
    )


def test_an_account_that_is_lost_or_takes_no_orders_is_an_alert_once() -> None:
    alerts = Alerts(lambda: 0)
    keeper = Bookkeeper(None, None, alerts, None, None)  # type: ignore[arg-type]
    for told in (
        standing(connected=False, reason="not started"),
        standing(),
        standing(refusing="not permitted: no trade permission"),
        standing(refusing="not permitted: no trade permission"),
        standing(),
        standing(connected=False, reason="disconnected"),
        standing(connected=False, reason="disconnected"),
    ):
        keeper.on_standing(told)
    assert [(alert.severity, alert.message) for alert in alerts.newest(9)] == [
        ("warning", "OKX account lost: disconnected"),
        ("critical", "OKX takes no orders of ours: not permitted: no trade permission"),
    ]


def test_executions_of_others_on_an_account_are_an_alert_each_time_there_are_more() -> None:
    alerts = Alerts(lambda: 0)
    keeper = Bookkeeper(None, None, alerts, None, None)  # type: ignore[arg-type]
    for fills in (0, 2, 2, 3):
        keeper.on_standing(standing(external_fills=fills))
    assert [alert.message for alert in alerts.newest(9)] == [
        "OKX: an execution on its account of orders that are not the desk's",
        "OKX: 2 executions on its account of orders that are not the desk's",
    ]
