"""`Safe` and `LoopSafe`: what every actor and strategy of ours mixes in before the engine's class.

    class Desk(Safe, LoopSafe, Actor): ...

`Safe`: an exception in a handler of one component ends neither the engine nor the others. The engine's live queues
answer an exception in `on_…` or in a bus handler with the end of the process; here it is logged, counted, published
once on topic `sys.fault`, and the component goes on with the next message. `on_start` is not guarded: a component that
cannot start must say so. (`on_save` and `on_load` return values and are left alone as well.)

`LoopSafe`: timers whose callbacks run on the thread of the event loop. The engine's live clock calls back on threads of
its own runtime, where neither bus nor cache may be touched. Live, our timers are timers of the loop; in a backtest they
are alerts of the engine's clock, so that the order of events is a function of the tape.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar

import msgspec
from nautilus_trader.common.component import TestClock

from adapters.nautilus import topics

UNGUARDED = frozenset({"on_start", "on_save", "on_load"})
LAST_FAULTS = 32  # kept per component, oldest dropped


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that a component survived."""

    component: str
    handler: str
    error: str
    ts_ns: int


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """A timer went off. `ts_event`: the time it was set for, ns."""

    name: str
    ts_event: int


def guarded(owner: Safe, handler: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """`handler` with its exceptions given to `owner`; it then returns None."""
    label = name or getattr(handler, "__name__", repr(handler))

    @functools.wraps(handler)
    def call(*args: Any) -> Any:
        try:
            return handler(*args)
        except Exception as error:
            owner.report_fault(label, error)
            return None

    return call


def _guarded_method(name: str, method: FunctionType) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Safe, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self.report_fault(name, error)
            return None

    call._guarded = True  # type: ignore[attr-defined]
    return call


class Safe:
    """Guards every `on_…` handler a subclass defines or inherits from another mixin of ours."""

    _fault_total: ClassVar[int] = 0  # shadowed by the instance at its first fault
    _reporting: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__:
            for name, method in vars(base).items():
                if not name.startswith("on_") or name in UNGUARDED or not isinstance(method, FunctionType):
                    continue
                if getattr(cls, name) is method and not getattr(method, "_guarded", False):
                    setattr(cls, name, _guarded_method(name, method))

    def report_fault(self, handler: str, error: BaseException) -> None:
        """Count, log and publish an exception. Never raises, and a fault while one is published is only counted."""
        self._fault_total += 1  # type: ignore[misc]
        fault = Fault(
            component=str(self.id),  # type: ignore[attr-defined]
            handler=handler,
            error=f"{type(error).__name__}: {error}",
            ts_ns=self.clock.timestamp_ns(),  # type: ignore[attr-defined]
        )
        self.last_faults.append(fault)
        self.log.exception(f"fault in {handler}", error)  # type: ignore[attr-defined]
        if self._reporting:
            return
        self._reporting = True  # type: ignore[misc]
        try:
            self.msgbus.publish(topics.FAULT, fault)  # type: ignore[attr-defined]
        except Exception as second:
            self._fault_total += 1  # type: ignore[misc]
            self.log.exception("fault while a fault was published", second)  # type: ignore[attr-defined]
        finally:
            self._reporting = False  # type: ignore[misc]

    @property
    def last_faults(self) -> deque[Fault]:
        """The last few faults of this component, oldest first."""
        kept: deque[Fault] | None = self.__dict__.get("_last_faults")
        if kept is None:
            kept = self.__dict__["_last_faults"] = deque(maxlen=LAST_FAULTS)
        return kept

    def fault_count(self) -> int:
        """Exceptions this component has survived."""
        return self._fault_total


class LoopSafe:
    """Timers by name, one-shot and repeating, on the loop's thread (live) or the engine's clock (backtest).

    Setting a name again moves that timer. A timer that goes off after the component has stopped does nothing.
    Callbacks take an `Alarm`. Call `bind_loop()` in `on_start`. All but `hop` is for the loop's thread only.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _bound: bool = False

    def bind_loop(self) -> None:
        """Remember the running loop; on a backtest's clock there is none to remember."""
        self._loop = None if isinstance(self.clock, TestClock) else asyncio.get_running_loop()  # type: ignore[attr-defined]
        if not self._bound:
            # On a backtest's clock, by name: which setting of it counts. A clock that moves on takes several timers off its list
            # before it calls the first, which may set or cancel the others.
            self._alerts: dict[str, object] = {}
        self._bound = True

    def at_ns(self, name: str, ts_ns: int, callback: Callable[[Alarm], None]) -> None:
        """Call back at `ts_ns` (engine clock); at once, but not before this returns, when that is past."""
        self.cancel(name)
        if self._live():
            self._arm(name, ts_ns, callback, interval_ns=0)
        else:
            setting = self._alerts[name] = object()
            self.clock.set_time_alert_ns(name, ts_ns, lambda _: self._once(name, setting, ts_ns, callback))  # type: ignore[attr-defined]

    def every_ns(self, name: str, interval_ns: int, callback: Callable[[Alarm], None]) -> None:
        """Call back every `interval_ns` from now on, without drift; beats missed by a busy loop are skipped."""
        if interval_ns <= 0:
            raise ValueError(f"interval_ns must be positive, was {interval_ns}")
        self.cancel(name)
        if self._live():
            self._arm(name, self.clock.timestamp_ns() + interval_ns, callback, interval_ns)  # type: ignore[attr-defined]
        else:
            setting = self._alerts[name] = object()
            self.clock.set_timer_ns(  # type: ignore[attr-defined]
                name, interval_ns, 0, 0, lambda event: self._beat(name, setting, event.ts_event, callback)
            )

    def cancel(self, name: str) -> bool:
        """Forget a timer. Returns whether there was one; once it returns, the callback will not come."""
        if self._live():
            handle = self._timers.pop(name, None)
            if handle is not None:
                handle.cancel()
            return handle is not None
        if self._alerts.pop(name, None) is None:
            return False
        if name in self.clock.timer_names:  # type: ignore[attr-defined]
            self.clock.cancel_timer(name)  # type: ignore[attr-defined]
        return True

    def cancel_all(self) -> None:
        """Forget every timer."""
        if self._live():
            for handle in self._timers.values():
                handle.cancel()
            self._timers.clear()
        else:
            self._alerts.clear()
            self.clock.cancel_timers()  # type: ignore[attr-defined]

    def hop(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop's thread soon, from any thread; in a backtest, now. A closed loop runs nothing."""
        if not self._live():
            self._run("hop", callback)
            return
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._run, "hop", callback)

    def _live(self) -> bool:
        if not self._bound:
            self.bind_loop()
        return self._loop is not None

    @property
    def _timers(self) -> dict[str, asyncio.TimerHandle]:
        return self.__dict__.setdefault("_loop_timers", {})

    def _once(self, name: str, setting: object, ts_ns: int, callback: Callable[[Alarm], None]) -> None:
        if self._alerts.get(name) is setting:
            del self._alerts[name]
            self._ring(name, ts_ns, callback)

    def _beat(self, name: str, setting: object, ts_ns: int, callback: Callable[[Alarm], None]) -> None:
        if self._alerts.get(name) is setting:
            self._ring(name, ts_ns, callback)

    def _arm(self, name: str, ts_ns: int, callback: Callable[[Alarm], None], interval_ns: int) -> None:
        assert self._loop is not None
        delay_s = max(0, ts_ns - self.clock.timestamp_ns()) / 1e9  # type: ignore[attr-defined]
        self._timers[name] = self._loop.call_later(delay_s, self._due, name, ts_ns, callback, interval_ns)

    def _due(self, name: str, ts_ns: int, callback: Callable[[Alarm], None], interval_ns: int) -> None:
        now_ns = self.clock.timestamp_ns()  # type: ignore[attr-defined]
        if now_ns < ts_ns:  # the loop's timers are whole milliseconds: never call early
            self._arm(name, ts_ns, callback, interval_ns)
            return
        if interval_ns:
            missed = (now_ns - ts_ns) // interval_ns
            self._arm(name, ts_ns + (missed + 1) * interval_ns, callback, interval_ns)
        else:
            self._timers.pop(name, None)
        self._ring(name, ts_ns, callback)

    def _ring(self, name: str, ts_ns: int, callback: Callable[[Alarm], None]) -> None:
        if self.is_running:  # type: ignore[attr-defined]
            self._run(f"timer {name.split(':')[0]}", callback, Alarm(name=name, ts_event=ts_ns))

    def _run(self, label: str, callback: Callable[..., None], *args: Any) -> None:
        try:
            callback(*args)
        except Exception as error:
            if not isinstance(self, Safe):
                raise
            self.report_fault(label, error)
