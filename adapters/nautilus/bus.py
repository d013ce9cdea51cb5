"""`Bus`: our port to the engine's message bus. Fixed names, guarded handlers, nothing left behind.

The engine keeps every topic it has ever seen and matches new ones against all subscribers, so a topic with an id in it
leaks memory and slows down without bound: only the names of `adapters.nautilus.topics` are let through. A handler that
raises is the owner's fault (see `safe`), not the sender's. The bus belongs to the loop's thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adapters.nautilus import topics
from adapters.nautilus.safe import guarded

if TYPE_CHECKING:
    from nautilus_trader.common.actor import Actor

NAMES = frozenset(value for name, value in vars(topics).items() if name.isupper())
ENDPOINTS = frozenset(name for name in NAMES if name.startswith("Router."))
TOPICS = NAMES - ENDPOINTS
PER_COUNTERPARTY = re.compile(r"LP\.[A-Z0-9_]{1,32}\.rfq|Exec\.[A-Z0-9_]{1,32}\.(resolve|sweep)")


class UnknownTopic(ValueError):
    """A bus name outside the fixed set: a bug of the caller."""


class Bus:
    """The message bus as one component (`owner`: a `Safe` actor or strategy, already registered) may use it."""

    def __init__(self, owner: Actor) -> None:
        self._owner = owner
        self._msgbus = owner.msgbus
        self._subscribed: dict[tuple[str, Any], Callable[[Any], None]] = {}
        self._registered: dict[str, Callable[[Any], None]] = {}

    def publish(self, topic: str, message: Any) -> None:
        """Give `message` to every subscriber, now, on this thread."""
        self._msgbus.publish(_topic(topic), message)

    def send(self, endpoint: str, message: Any) -> bool:
        """Give `message` to the one receiver of `endpoint`, now. Returns False when nobody is registered there."""
        if _endpoint(endpoint) not in self._msgbus.endpoints():
            return False
        self._msgbus.send(endpoint, message)
        return True

    def subscribe(self, topic: str, handler: Callable[[Any], None]) -> None:
        """Call `handler` with every message of `topic`; a second subscription of the same pair changes nothing."""
        key = (_topic(topic), handler)
        if key not in self._subscribed:
            self._subscribed[key] = guarded(self._owner, handler, f"{topic} → {_name(handler)}")
            self._msgbus.subscribe(topic, self._subscribed[key])

    def unsubscribe(self, topic: str, handler: Callable[[Any], None]) -> None:
        """End a subscription; unknown ones are ignored."""
        call = self._subscribed.pop((_topic(topic), handler), None)
        if call is not None:
            self._msgbus.unsubscribe(topic, call)

    def register(self, endpoint: str, handler: Callable[[Any], None]) -> None:
        """Be the one receiver of `endpoint`. Raises KeyError when somebody is already."""
        call = guarded(self._owner, handler, f"{_endpoint(endpoint)} → {_name(handler)}")
        self._msgbus.register(endpoint, call)
        self._registered[endpoint] = call

    def close(self) -> None:
        """Leave the bus, as `on_stop` must: endpoints outlive a component otherwise."""
        for (topic, _), call in self._subscribed.items():
            self._msgbus.unsubscribe(topic, call)
        for endpoint, call in self._registered.items():
            self._msgbus.deregister(endpoint, call)
        self._subscribed.clear()
        self._registered.clear()


def _topic(topic: str) -> str:
    if topic not in TOPICS:
        raise UnknownTopic(f"{topic!r} is not a topic of adapters.nautilus.topics")
    return topic


def _endpoint(endpoint: str) -> str:
    if endpoint not in ENDPOINTS and PER_COUNTERPARTY.fullmatch(endpoint) is None:
        raise UnknownTopic(f"{endpoint!r} is not an endpoint of adapters.nautilus.topics")
    return endpoint


def _name(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__qualname__", repr(handler))
