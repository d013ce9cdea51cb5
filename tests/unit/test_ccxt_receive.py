"""One task reads a socket: every frame in its order, the others' turns kept, and an end whatever the socket says."""

import asyncio
from collections.abc import Callable

import ccxt
from aiohttp import WSMessage, WSMsgType

from adapters.ccxt.hook import TURN_FRAMES, _receive


class Client:
    """Of a ccxt client what its reader needs. `said`: what the socket says next, at once, without a wait."""

    def __init__(self, said: Callable[[], WSMessage]) -> None:
        self._said = said
        self.open = True
        self.handled: list[object] = []
        self.ends: list[object] = []

    def closed(self) -> bool:
        return not self.open

    async def receive(self) -> WSMessage:
        return self._said()

    def handle_message(self, message: WSMessage) -> None:
        if message.type is WSMsgType.TEXT:
            self.handled.append(message.data)

    def on_close(self, code: int) -> None:
        self.ends.append(code)

    def reject(self, error: Exception) -> None:
        self.ends.append(error)


def text(data: object) -> WSMessage:
    return WSMessage(WSMsgType.TEXT, data, None)


def test_frames_come_in_their_order_and_others_have_their_turn_in_a_burst() -> None:
    frames = list(range(4 * TURN_FRAMES))
    seen: list[int] = []

    async def other(client: Client) -> None:
        while client.open:
            seen.append(len(client.handled))
            await asyncio.sleep(0)

    async def main() -> Client:
        rest = iter(frames)

        def said() -> WSMessage:
            if (number := next(rest, None)) is None:
                client.open = False
                return WSMessage(WSMsgType.CLOSED, None, None)
            return text(number)

        client = Client(said)
        await asyncio.gather(_receive(client), other(client))
        return client

    client = asyncio.run(main())
    assert client.handled == frames
    assert seen == [turn * TURN_FRAMES for turn in range(1, 5)]
    assert client.ends == [1006]


def test_a_socket_that_is_being_closed_does_not_hold_up_who_closes_it() -> None:
    async def main() -> Client:
        client = Client(lambda: WSMessage(WSMsgType.CLOSING, None, None))

        async def close() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            client.open = False

        await asyncio.wait_for(asyncio.gather(_receive(client), close()), 5.0)
        return client

    assert asyncio.run(main()).ends == [1006]


def test_what_cannot_be_received_is_told_as_ccxt_tells_it() -> None:
    def said() -> WSMessage:
        raise ConnectionError("the wire is cut")

    client = Client(said)
    asyncio.run(_receive(client))
    (error,) = client.ends
    assert isinstance(error, ccxt.NetworkError)
    assert str(error) == "the wire is cut"
