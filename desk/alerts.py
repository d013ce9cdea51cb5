"""What the operator should know, once: the same alert again counts up instead of repeating."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from desk.api.desk_messages import AlertView

MAX_ALERTS = 200


class Alerts:
    """The newest alerts, deduplicated by (severity, source, message). Listeners hear of new ones and of every tenth repeat."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._alerts: OrderedDict[tuple[str, str, str], AlertView] = OrderedDict()
        self._next = 0
        self.listeners: list[Callable[[AlertView], None]] = []

    def raise_(self, severity: str, message: str, source: str = "desk") -> None:
        """Report something. `severity` is info, warning or critical."""
        key = (severity, source, message)
        known = self._alerts.get(key)
        if known is not None:
            known.count += 1
            known.ts_ns = self._now_ns()
            self._alerts.move_to_end(key)
            if known.count % 10:
                return
            view = known
        else:
            self._next += 1
            view = AlertView(
                alert_id=f"a-{self._next}",
                severity=severity,  # type: ignore[arg-type]
                source=source,
                message=message,
                ts_ns=self._now_ns(),
            )
            self._alerts[key] = view
            while len(self._alerts) > MAX_ALERTS:
                self._alerts.popitem(last=False)
        for listener in self.listeners:
            listener(view)

    def newest(self, n: int) -> list[AlertView]:
        """The last `n`, newest first."""
        return list(reversed(self._alerts.values()))[:n]
