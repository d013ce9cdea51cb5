"""The hook sees every message, and neither a bad frame nor a bad handler ends a receive loop."""

from types import SimpleNamespace

from adapters.ccxt.hook import Counters, attach


class Exchange:
    """The four members of a ccxt instance that the hook wraps, and a client as ccxt makes it."""

    id = "fake"

    def __init__(self) -> None:
        self.clients: dict[str, SimpleNamespace] = {}
        self.handled: list = []
        self.options: dict = {}

    def handle_message(self, client, message) -> None:
        if message == "ccxt cannot":
            raise KeyError("spot")
        self.handled.append(message)

    def on_error(self, client, error) -> None:
        self.handled.append(("error", str(error)))

    def on_connected(self, client, message=None) -> None: ...

    def on_close(self, client, code) -> None:
        self.handled.append(("close", code))

    def client(self, url):
        if url not in self.clients:
            made = SimpleNamespace(url=url)

            def receive(data) -> None:
                if data == "{broken":
                    raise ValueError("not JSON")
                self.handle_message(made, data)

            made.handle_text_or_binary_message = receive
            self.clients[url] = made
        return self.clients[url]


def hooked(on_message):
    exchange, counters, downs = Exchange(), Counters(), []
    attach(exchange, counters, on_message, lambda client, reason: downs.append(reason))
    return exchange, counters, downs


def test_every_message_in_order_before_ccxt_sees_it():
    seen = []
    exchange, counters, _ = hooked(lambda client, message: seen.append((message, list(exchange.handled))))
    client = exchange.client("ws://x")
    for number in range(3):
        client.handle_text_or_binary_message(number)
    assert seen == [(0, []), (1, [0]), (2, [0, 1])]
    assert counters.messages == 3


def test_faults_are_counted_and_the_next_message_comes_through():
    def on_message(client, message) -> None:
        if message == "we cannot":
            raise ValueError("bad")

    exchange, counters, _ = hooked(on_message)
    client = exchange.client("ws://x")
    for data in ("{broken", "we cannot", "ccxt cannot", "fine"):
        client.handle_text_or_binary_message(data)
    assert exchange.handled == ["we cannot", "fine"]
    assert (counters.frames_bad, counters.handler_faults, counters.messages) == (2, 1, 3)


def test_a_lost_connection_is_told_with_its_reason():
    exchange, _, downs = hooked(lambda client, message: None)
    client = exchange.client("ws://x")
    exchange.on_error(client, ConnectionError("reset"))
    exchange.on_close(client, 1001)
    assert downs == ["ConnectionError: reset", "closed by the venue, code 1001"]


def test_a_client_is_guarded_once():
    exchange, _, _ = hooked(lambda client, message: None)
    assert (
        exchange.client("ws://x").handle_text_or_binary_message
        is exchange.client("ws://x").handle_text_or_binary_message
    )
