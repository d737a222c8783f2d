"""What a message of the trading engine must be to be believed, and what it then means. No socket, no clock, no disk.

A frame is `<64 hex digits> <json>`: the HMAC-SHA-256, under the secret of the key the JSON names, of a domain line and
the JSON's bytes exactly as sent. The JSON is {"key", "ts" (ms), "epoch", "seq", "instrument", "type", "body"}.
The checks stand in the order in which they cost: size, shape, key, MAC, time; the sequence is the Watermark's.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from math import inf
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from oracle.core.params import World
from oracle.core.types import (
    NANOS_PER_MS,
    Action,
    Command,
    Depth,
    Liquidation,
    Nanos,
    Observation,
    Side,
    Trade,
)
from oracle.errors import FeedError, Refusal, VenueError
from oracle.venues.base import check_strictly, price, size, top

DOMAIN = b"oracle.engine-feed.v1\n"
FRAME_BYTES_MAX = 256 << 10
LEVELS_MAX = 1_000  # a side
SKEW_MS_MAX = 2_000
EPOCH_AHEAD_MS_MAX = 86_400_000  # an epoch is a start time: one from the future would lock its sender out for good
NUMBER_MAX = (1 << 53) - 1
_MAC_CHARS = 64

Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Levels = Annotated[tuple[tuple[float, float], ...], Meta(max_length=LEVELS_MAX)]


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """The envelope, as sent. `ts` is the sender's UTC in ms; `body` is read once the message is believed."""

    key: str
    ts: Number
    epoch: Number
    seq: Number
    instrument: str
    type: Literal["book", "depth", "trade", "liquidation", "status", "heartbeat"]
    body: Raw


class _Book(Struct, forbid_unknown_fields=True):
    bid: float
    bid_size: float
    ask: float
    ask_size: float


class _Depth(Struct, forbid_unknown_fields=True):
    bids: Levels
    asks: Levels


class _Deal(Struct, forbid_unknown_fields=True):
    price: float
    size: float
    side: Side


class _Status(Struct, forbid_unknown_fields=True):
    reference_asset: Literal["trading", "suspended"]


class _Heartbeat(Struct, forbid_unknown_fields=True):
    pass


_BODIES: dict[str, type[Struct]] = {
    "book": _Book,
    "depth": _Depth,
    "trade": _Deal,
    "liquidation": _Deal,
    "status": _Status,
    "heartbeat": _Heartbeat,
}
_KEYS = {name: len(Message.__struct_fields__) + len(body.__struct_fields__) for name, body in _BODIES.items()}
_decode = msgspec.json.Decoder(Message, strict=False).decode
_decode_body = {name: msgspec.json.Decoder(body, strict=False).decode for name, body in _BODIES.items()}


class Gate:
    """Knows the senders' secrets and the markets they may speak of."""

    def __init__(self, world: World, secrets: Mapping[str, bytes]) -> None:
        self._secrets = dict(secrets)
        self._sources = {perp.id: perp.engine_source for perp in world.perps}
        self._targets = {perp.id: perp.index for perp in world.perps}

    def parse(self, frame: bytes) -> Message:
        """The envelope of a frame, not yet believed. Raises FeedError TOO_LARGE or SHAPE."""
        if len(frame) > FRAME_BYTES_MAX:
            raise FeedError("TOO_LARGE", f"{len(frame)} bytes")
        if frame[_MAC_CHARS : _MAC_CHARS + 1] != b" ":
            raise FeedError("SHAPE", "not `<64 hex digits> <json>`")
        data = frame[_MAC_CHARS + 1 :]
        try:
            message = _decode(data)
            if data.count(b'":') != _KEYS[message.type] or not data.isascii() or b"\\" in data:
                check_strictly(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, VenueError) as error:
            raise FeedError("SHAPE", str(error)[:120]) from None
        return message

    def authenticate(self, message: Message, frame: bytes, now_ns: Nanos) -> None:
        """Believe the sender and its clock. Raises FeedError KEY, MAC, OLD or FUTURE."""
        secret = self._secrets.get(message.key)
        if secret is None:
            raise FeedError("KEY", message.key[:40])
        mac = hmac.digest(secret, DOMAIN + frame[_MAC_CHARS + 1 :], "sha256").hex().encode()
        if not hmac.compare_digest(mac, frame[:_MAC_CHARS]):
            raise FeedError("MAC", message.key)
        ahead_ms = message.ts - now_ns // NANOS_PER_MS
        if ahead_ms < -SKEW_MS_MAX:
            raise FeedError("OLD", f"{-ahead_ms} ms")
        if ahead_ms > SKEW_MS_MAX:
            raise FeedError("FUTURE", f"{ahead_ms} ms")
        if message.epoch > message.ts + EPOCH_AHEAD_MS_MAX:
            raise FeedError("FUTURE", f"epoch {message.epoch}")

    def read(self, message: Message, now_ns: Nanos) -> Observation | None:
        """What the message says; None for a heartbeat. Raises FeedError INSTRUMENT, SHAPE or NUMBER."""
        source = self._sources.get(message.instrument)
        if source is None:
            raise FeedError("INSTRUMENT", message.instrument[:40])
        try:
            body = _decode_body[message.type](message.body)
            return self._fact(message, body, source, now_ns)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FeedError("SHAPE", str(error)[:120]) from None
        except VenueError as error:
            number = error.reason in (Refusal.NOT_A_NUMBER, Refusal.NOT_POSITIVE)
            raise FeedError("NUMBER" if number else "SHAPE", error.detail) from None

    def _fact(self, message: Message, body: Struct, source: int, now_ns: Nanos) -> Observation | None:
        at_ns = message.ts * NANOS_PER_MS
        if isinstance(body, _Book):
            return top(source, body.bid, body.bid_size, body.ask, body.ask_size, at_ns, now_ns)
        if isinstance(body, _Deal):
            kind = Trade if message.type == "trade" else Liquidation
            return kind(source, price(body.price), size(body.size), body.side, at_ns, now_ns)
        if isinstance(body, _Depth):
            return Depth(source, _ladder(body.bids, -1), _ladder(body.asks, 1), at_ns, now_ns)
        if isinstance(body, _Status):
            suspended = body.reference_asset == "suspended"
            action = Action.SUSPEND if suspended else Action.UNSUSPEND
            reason = f"the platform says: {body.reference_asset}"
            return Command(action, self._targets[message.instrument], f"engine:{message.key}", reason, now_ns)
        return None


def _ladder(levels: tuple[tuple[float, float], ...], direction: int) -> tuple[tuple[float, float], ...]:
    """Levels with sound numbers, best first: rising for asks (1), falling for bids (-1).

    In a strict order the ends bound the prices in between; a NaN is in no order.
    """
    last = -inf
    for at, amount in levels:
        if not (at * direction > last and amount > 0.0):
            price(at)
            size(amount)
            raise VenueError(Refusal.WRONG_SHAPE, "levels are not best first")
        last = at * direction
    if levels:
        price(levels[0][0])
        price(levels[-1][0])
        size(max(amount for _, amount in levels))
    return levels
