"""Bybit's trade socket (`/v5/trade`): orders, amendments and cancels as requests with a number, each answered once.

After `auth`, `order.create`, `order.amend` and `order.cancel` take one order in `args` and the clock in `header`; the answer has REST's
`retCode` and `retMsg`, the order's ids in `data`, and the rest of the second's allowance in `header`. What becomes of the order is told on
the private socket. Source: the venue's documentation and a recorded answer; the words for a request before the login are ours.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.servers.base import Peer
from sim.servers.bybit.account import BybitAccount
from sim.servers.bybit.wire import CATEGORY, BybitError

_AHEAD_MS = 1_000


class TradeSocket:
    """Answers of the trade socket for one account. `now_ms`: the venue's clock; `hangs(scope, symbol)`: a fault takes the answer away."""

    def __init__(self, account: BybitAccount, now_ms: Callable[[], int], hangs: Callable[[str, str], bool]) -> None:
        self._account = account
        self._now_ms = now_ms
        self._hangs = hangs
        self._do = {"order.create": account.place, "order.amend": account.amend, "order.cancel": account.cancel}

    def knows(self, op: object) -> bool:
        """Whether an operation is one of this socket's."""
        return op in self._do

    def answer(self, peer: Peer, message: dict, limits: dict[str, str]) -> dict | None:
        """The answer to a request, None when a fault withholds it. `limits`: the header's account of the allowance."""
        code, said, data = 0, "OK", {}
        row = (message.get("args") or [{}])[0]
        try:
            if not peer.state.get("authorized"):
                raise BybitError(10003, "Please login first.")
            if limits.get("X-Bapi-Limit-Status") == "-1":
                raise BybitError(10006, "Too many visits!")
            self._check_clock(message.get("header") or {})
            if not isinstance(row, dict) or row.get("category") != CATEGORY:
                raise BybitError(10001, "Illegal category")
            data = self._do[str(message["op"])](row)
            scope = {"order.create": "order", "order.amend": "amend"}.get(str(message["op"]))
            if scope and self._hangs(scope, self._account.unified(row)):
                return None
        except BybitError as error:
            code, said = error.code, error.message
        header = limits | {"Traceid": f"{id(message):032x}", "Timenow": str(self._now_ms())}
        body = {
            "reqId": str(message.get("reqId", "")),
            "retCode": code,
            "retMsg": said,
            "op": message["op"],
            "data": data,
        }
        return body | {"header": header, "connId": f"loopback-{id(peer):x}"}

    def _check_clock(self, header: dict) -> None:
        stamp, window = str(header.get("X-BAPI-TIMESTAMP", "")), str(header.get("X-BAPI-RECV-WINDOW", "5000"))
        if not stamp.isdigit() or not window.isdigit():
            raise BybitError(10001, "params error: timestamp or recv_window")
        now = self._now_ms()
        if not now - int(window) <= int(stamp) < now + _AHEAD_MS:
            raise BybitError(10002, "invalid request, please check your server timestamp or recv_window param.")
