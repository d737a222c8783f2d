"""`oracle play`: serves a recording through real sockets of this machine, so that an oracle can be pointed at it.

The frames are played as they were recorded, to the byte: event times are those of the recording, and an oracle that
hears of a day that has passed refuses them. Symbols that the recording does not hold say nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from oracle.collectors import tape
from oracle.collectors.tape import Direction, Frame
from oracle.errors import ConfigError

EXAMPLES = (
    "oracle play kraken.txt.gz                          at the pace at which it was recorded",
    "oracle play kraken.txt.gz --speed 100 --venue kraken",
    "oracle play kraken.txt.gz --once | tee address.txt",
)
SPEED_MAX = 1_000.0
LOOK_S = 0.05


class Recorded(NamedTuple):
    """What a recording holds, as a TapeServer plays it: connections and REST bodies, by path, in order."""

    takes: dict[str, list[list[tuple[int, bytes]]]]
    answers: dict[str, list[bytes]]
    hosts: list[str]
    asked: bool

    @property
    def frames(self) -> int:
        """How many frames are played, over all connections."""
        return sum(len(take) for takes in self.takes.values() for take in takes)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a recording, as `oracle record` makes it")
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="X", help=f"1 to {SPEED_MAX:g} times as fast")
    parser.add_argument("--port", type=int, default=0, help="0, the default: any free one")
    parser.add_argument("--venue", metavar="VENUE", help="whose recording it is; without it the address tells")
    parser.add_argument("--once", action="store_true", help="end when a client has heard the tape to its end")


def main(args: argparse.Namespace) -> int:
    """Serve until interrupted; 0. Raises ConfigError, OSError."""
    recorded = sorted_out(tape.read(args.file))
    if not recorded.frames:
        raise ConfigError("no received frames", file=str(args.file), remedy="is it a recording? see oracle record")
    venue = args.venue or _venue_of(recorded.hosts) or "VENUE"
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(recorded, venue, args.speed, args.port, args.once))
    return 0


def sorted_out(frames: Iterable[Frame]) -> Recorded:
    """The connections of a recording, each with its times since its own first frame, and its REST answers.

    A recording that names no address is one connection to any path.
    """
    recorded = Recorded({}, {}, [], False)
    take: list[tuple[int, bytes]] = []
    began_ns, asked, dialled = 0, False, None
    for frame in frames:
        parts = urlsplit(frame.url)
        if frame.direction is Direction.ANSWER:
            page = parts.path + (f"?{parts.query}" if parts.query else "")
            recorded.answers.setdefault(page, []).append(frame.data)
            continue
        opens = frame.direction is Direction.OPENED
        if opens or dialled is None or (parts.scheme in ("ws", "wss") and frame.url != dialled):
            take, dialled = [], frame.url if parts.scheme in ("ws", "wss") else dialled or ""
            recorded.takes.setdefault(urlsplit(dialled).path or "/", []).append(take)
            recorded.hosts.append(urlsplit(dialled).netloc)
        if frame.direction is Direction.SENT:
            asked = asked or not take
        elif frame.direction is Direction.RECEIVED:
            began_ns = began_ns if take else frame.recv_ns
            take.append((frame.recv_ns - began_ns, frame.data))
    return recorded._replace(asked=asked)


async def _serve(recorded: Recorded, venue: str, speed: float, port: int, once: bool) -> None:
    from oracle.simulator.tape import Takes, TapeServer

    takes = {path: Takes(played) for path, played in recorded.takes.items()}
    async with TapeServer(takes, speed, answers=recorded.answers, asked=recorded.asked, port=port) as server:
        print(told(server.url, venue), flush=True)
        count = sum(len(played) for played in recorded.takes.values())
        print(f"{recorded.frames} frames, {count} connections, {speed:g} times as fast; Ctrl-C ends", file=sys.stderr)
        while not (once and server.played):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(LOOK_S)


def told(url: str, venue: str) -> str:
    """The address, and how to point the oracle at it."""
    name = venue.upper().replace(".", "_")
    return f'{url}\n\n[venues.{venue}]\nurl = "{url}"\n\n# or\nexport ORACLE_VENUES__{name}__URL={url}'


def _venue_of(hosts: Sequence[str]) -> str:
    """The venue whose own address these hosts are; empty: nobody's."""
    from oracle.config.venues import venue_names
    from oracle.venues import base

    for name in venue_names():
        with suppress(Exception):  # an address that is only given on request, or a symbol the venue cannot spell
            if urlsplit(base.load(name)[0]([base.Feed(0, "BTCUSD")]).url()).netloc in hosts:
                return name
    return ""


def _speed(text: str) -> float:
    speed = float(text)
    if not 1.0 <= speed <= SPEED_MAX:
        raise argparse.ArgumentTypeError(f"a speed is 1 to {SPEED_MAX:g}")
    return speed
