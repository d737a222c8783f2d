"""The contract that every venue file keeps, as tools: strategies of facts, bad frames, and a way to read recordings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress

import pytest
from hypothesis import strategies as st

from oracle.collectors.tape import Direction, Frame
from oracle.core.types import BookTop, Side, Trade
from oracle.errors import Refusal, VenueError
from oracle.venues import base

AT_MS = 1_760_000_000_000
MS = 1_000_000


class Contract:
    """What `receive` and `speak` promise, whichever venue it is."""

    at_ns = AT_MS * MS

    def refusal(self, session: base.Session, frame: bytes, recv_ns: int = at_ns) -> Refusal:
        """Why a frame is refused; it must be."""
        with pytest.raises(VenueError) as caught:
            session.receive(frame, recv_ns)
        return caught.value.reason

    def refuses_or_reads(self, session: base.Session, frame: bytes) -> list[base.Event]:
        """What comes of a frame, nothing when it is refused. Anything but a VenueError is a failure of the test."""
        with suppress(VenueError):
            return session.receive(frame, self.at_ns)
        return []

    def round_trip(self, session: base.Session, mimic: base.Mimic, facts: list[BookTop | Trade]) -> None:
        """What the Mimic says of a fact is read as that fact and nothing else, one after another."""
        for fact in facts:
            frames = [frame.encode() if isinstance(frame, str) else frame for frame in mimic.speak(fact)]
            heard = [event for frame in frames for event in session.receive(frame, fact.recv_ns)]
            assert heard == [fact]

    def facts(self, mimic: base.Mimic) -> st.SearchStrategy[list[BookTop | Trade]]:
        """Sequences of facts that this Mimic can state, crossed books and empty sides among them."""
        amount = st.one_of(st.floats(1e-12, 1e12, allow_nan=False), st.integers(1, 10**9).map(lambda n: n / 100))
        whole = st.tuples(amount, amount)
        level = st.one_of(whole, st.just((0.0, 0.0))) if mimic.states_one_side else whole
        source = st.sampled_from(sorted(mimic.symbols))
        late = st.integers(0, 60_000).map(lambda ms: self.at_ns + ms * MS)
        recv = st.integers(0, 60_000_000_000).map(lambda ns: self.at_ns + ns)
        top_time = late if mimic.states_book_time else st.just(0)
        tops = st.builds(_top, source, level, level, top_time, recv)
        side = st.sampled_from([Side.BUY, Side.SELL] if mimic.states_side else [Side.UNKNOWN])
        trades = st.builds(Trade, source, amount, amount, side, late if mimic.states_trade_time else st.just(0), recv)
        return st.lists(st.one_of(tops, trades) if mimic.states_trades else tops, min_size=1, max_size=8)

    def damaged(self, frames: list[bytes]) -> st.SearchStrategy[bytes]:
        """A good frame with bytes cut out, put in or changed; or no frame at all."""

        def damage(frame: bytes, at: int, length: int, insert: bytes) -> bytes:
            place = at % (len(frame) + 1)
            return frame[:place] + insert + frame[place + length :]

        bits = st.one_of(
            st.binary(max_size=4),
            st.sampled_from(
                [b'"', b"{", b"]", b":", b"-", b"null", b"NaN", b"\\ud800", b'"s":"X",', b"1e400", b"9" * 50]
            ),
        )
        cut = st.builds(damage, st.sampled_from(frames), st.integers(0, 4_000), st.integers(0, 8), bits)
        return st.one_of(cut, st.binary(max_size=64), st.sampled_from(frames).map(lambda f: f + f))

    def doubled(self, frame: bytes, key: bytes) -> bytes:
        """The frame with a key of its own said twice."""
        place = frame.index(b'"' + key + b'":')
        end = min(at for at in (frame.find(b",", place), frame.find(b"}", place)) if at > 0)
        return frame[:place] + frame[place:end] + b"," + frame[place:]

    def traded(self, frame: bytes) -> Iterator[bytes]:
        """The frame with one key said twice and another left out, for every two: the count of keys stays the same."""
        said = json.loads(frame)
        keys = list(_paths(said, ()))
        for gone in keys:
            for twice in keys:
                if twice[: len(gone)] != gone:
                    yield _text(said, (), gone, twice).encode()

    def conform(self, session: base.Session, frames: Iterable[Frame]) -> Counter[str]:
        """How often each kind of event, and each reason to refuse, came of the received frames of a recording."""
        counts: Counter[str] = Counter()
        for frame in frames:
            if frame.direction is not Direction.RECEIVED:
                continue
            try:
                counts.update(type(event).__name__ for event in session.receive(frame.data, frame.recv_ns))
            except VenueError as error:
                counts[error.reason] += 1
            counts["frames"] += 1
        return counts


def _top(source: int, bid: tuple[float, float], ask: tuple[float, float], venue_ns: int, recv_ns: int) -> BookTop:
    return BookTop(source, *bid, *ask, venue_ns=venue_ns, recv_ns=recv_ns)


Path = tuple[str | int, ...]


def _paths(said: object, here: Path) -> Iterator[Path]:
    inner = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in inner:
        if isinstance(said, dict):
            yield (*here, key)
        yield from _paths(value, (*here, key))


def _text(said: object, here: Path, gone: Path, twice: Path) -> str:
    if isinstance(said, list):
        return f"[{','.join(_text(v, (*here, n), gone, twice) for n, v in enumerate(said))}]"
    if not isinstance(said, dict):
        return json.dumps(said)
    pairs: list[str] = []
    for key, value in said.items():
        path = (*here, key)
        pairs += [f"{json.dumps(key)}:{_text(value, path, gone, twice)}"] * (0 if path == gone else 1 + (path == twice))
    return f"{{{','.join(pairs)}}}"


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()
