"""A client's connection to a simulated venue, as the benches have it: a greeting, answers, and what is said."""

from __future__ import annotations

import time
from collections.abc import Iterable

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from oracle.venues.base import Mimic


class Door(WSListener):
    """Greets the client and answers it with a Mimic's words."""

    def __init__(self, mimic: Mimic, path: str) -> None:
        self.mimic, self._path = mimic, path
        self._asked_s = 0.0  # when the client was last answered, by the monotonic clock

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._answer(self.mimic.greet(self._path, time.time_ns()))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._answer(self.mimic.hear(frame.get_payload_as_utf8_text(), time.time_ns()))
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def say(self, texts: Iterable[str | bytes]) -> None:
        """A frame a text, binary where it is bytes."""
        for text in texts:
            if isinstance(text, str):
                self._transport.send(WSMsgType.TEXT, text.encode())
            else:
                self._transport.send(WSMsgType.BINARY, text)

    def _answer(self, texts: Iterable[str | bytes]) -> None:
        self._asked_s = time.monotonic()
        self.say(texts)
