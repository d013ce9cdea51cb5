"""`Direct`: market data reach their listeners within the call that brought them.

The engine's live node puts each message on a queue by way of `call_soon_threadsafe`, because a client may call from any thread. That is two
turns of the loop and a wake-up of it for each, and in a burst the first of a hundred messages is told when the hundredth has been read.

1. What is given on the loop's thread to a running engine is handled now. What a handler gives meanwhile follows it, in order.
2. What comes from another thread, or before the engine runs or after, goes the engine's own way.
3. An exception that gets past a handler stops the node in order, as it does from the queue.
"""

from __future__ import annotations

from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nautilus_trader.common.component import MessageBus
    from nautilus_trader.live.data_engine import LiveDataEngine

ENDPOINT = "DataEngine.process"  # where the engine's data clients send to


class Direct:
    """Takes the place of an engine's queue of data. Make it on the loop's thread."""

    def __init__(self, engine: LiveDataEngine, msgbus: MessageBus) -> None:
        self._engine = engine
        self._thread = get_ident()
        self._handling = False
        self._waiting: deque[Any] = deque()  # given by handlers: as many as they make of one message
        msgbus.deregister(ENDPOINT, engine.process)
        msgbus.register(ENDPOINT, self.take)

    def take(self, message: Any) -> None:
        """One message of a client."""
        engine = self._engine
        if get_ident() != self._thread or not engine.is_running:
            engine.process(message)
            return
        if self._handling:
            self._waiting.append(message)
            return
        self._handling = True
        try:
            engine._handle_data(message)
            while self._waiting:
                engine._handle_data(self._waiting.popleft())
        except Exception as error:
            self._waiting.clear()  # the engine stops
            engine._handle_queue_exception(error, "Data")
        finally:
            self._handling = False
