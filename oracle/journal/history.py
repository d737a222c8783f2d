"""Settled funding, kept in a database for those who ask for a range: SQLite or PostgreSQL, made again from a journal.

The journal is the truth; this is an index over it. A settlement is written once and never changed. Calls block: the
service makes them in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    create_engine,
    event,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from oracle.core import wire
from oracle.core.types import FundingRate, Nanos, Reason
from oracle.errors import JournalError
from oracle.journal.lines import BeatLine
from oracle.journal.reader import Reader

BATCH_ROWS = 500
BUSY_MS = 5_000
ROWS_MAX = 1_000  # one answer's

_metadata = MetaData()
_funding = Table(
    "funding",
    _metadata,
    Column("instrument", String(64), primary_key=True),
    Column("settles_ns", BigInteger, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("rate_e8", BigInteger, nullable=False),
    Column("interval_start_ns", BigInteger, nullable=False),
    Column("premium_mean_e10", BigInteger),
    Column("samples", Integer, nullable=False),
    Column("expected", Integer, nullable=False),
    Column("interest_e8", BigInteger, nullable=False),
    Column("inner_binding", Boolean, nullable=False),
    Column("cap_binding", Boolean, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("index", BigInteger),
)


class History:
    """The database. Every method raises JournalError when it cannot be used."""

    def __init__(self, url: str) -> None:
        """`url`: `sqlite:////path/to/history.db` or `postgresql://user:password@host/name`. Tables are made."""
        try:
            parsed = make_url(url)
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self._engine = create_engine(parsed)
        except (SQLAlchemyError, ImportError) as error:
            raise JournalError(f"the history database cannot be used: {error}") from None
        self._name = parsed.render_as_string(hide_password=True)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _prepare_sqlite)
        try:
            with self._engine.begin() as connection:
                _metadata.create_all(connection)
        except SQLAlchemyError as error:
            self.close()
            raise self._failed(error) from error

    def add(self, settlement: FundingRate) -> bool:
        """Keep a final rate; False when it is there already. One of other figures for the same instant is refused."""
        assert settlement.final, settlement
        try:
            with self._engine.begin() as connection:
                if self._insert(connection, [settlement]):
                    return True
                there = self._at(connection, settlement)
        except SQLAlchemyError as error:
            raise self._failed(error) from error
        if there != settlement:
            problem = f"{settlement.instrument} settled {settlement.settles_ns} with other figures already"
            raise JournalError(problem, path=self._name, seq=settlement.seq)
        return False

    def funding(
        self, instrument: str, start_ns: Nanos = 0, end_ns: Nanos | None = None, limit: int = ROWS_MAX
    ) -> list[FundingRate]:
        """Final rates with start_ns <= settles_ns < end_ns, oldest first, at most `limit` of them."""
        where = [_funding.c.instrument == instrument, _funding.c.settles_ns >= start_ns]
        if end_ns is not None:
            where.append(_funding.c.settles_ns < end_ns)
        wanted = (
            select(_funding).where(and_(*where)).order_by(_funding.c.settles_ns).limit(max(0, min(limit, ROWS_MAX)))
        )
        try:
            with self._engine.connect() as connection:
                return [_settlement(row) for row in connection.execute(wanted)]
        except SQLAlchemyError as error:
            raise self._failed(error) from error

    def latest(self, instrument: str) -> list[FundingRate]:
        """The final rate that was settled last; none when nothing was."""
        wanted = (
            select(_funding).where(_funding.c.instrument == instrument).order_by(_funding.c.settles_ns.desc()).limit(1)
        )
        try:
            with self._engine.connect() as connection:
                return [_settlement(row) for row in connection.execute(wanted)]
        except SQLAlchemyError as error:
            raise self._failed(error) from error

    def catch_up(self, path: Path) -> int:
        """Add what a journal, or a segment of it, has settled and this table lacks; how many that were.

        A process that is killed may have written a settlement to the journal and not yet here. Raises JournalError.
        """
        count = 0
        try:
            for batch in _batches(_settled(path)):
                with self._engine.begin() as connection:
                    count += self._insert(connection, batch)
        except SQLAlchemyError as error:
            raise self._failed(error) from error
        return count

    def rebuild_from_journal(self, path: Path) -> int:
        """Make the table again from a journal, in one transaction; how many settlements it holds then.

        Raises JournalError, and changes nothing, when the journal is damaged.
        """
        count = 0
        try:
            with self._engine.begin() as connection:
                connection.execute(_funding.delete())
                for batch in _batches(_settled(path)):
                    count += self._insert(connection, batch)
        except SQLAlchemyError as error:
            raise self._failed(error) from error
        return count

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _insert(self, connection: Connection, batch: Sequence[FundingRate]) -> int:
        """Insert those that are not there; how many were inserted."""
        rows = [_row(settlement) for settlement in batch]
        insert = _insert_for(self._engine.dialect)(_funding).values(rows)
        unique = insert.on_conflict_do_nothing(index_elements=["instrument", "settles_ns"])
        return len(connection.execute(unique.returning(_funding.c.instrument)).all())

    def _at(self, connection: Connection, like: FundingRate) -> FundingRate:
        same = and_(_funding.c.instrument == like.instrument, _funding.c.settles_ns == like.settles_ns)
        return _settlement(connection.execute(select(_funding).where(same)).one())

    def _failed(self, error: SQLAlchemyError) -> JournalError:
        return JournalError(f"the history database failed: {getattr(error, 'orig', None) or error}", path=self._name)


def _prepare_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.close()


def _insert_for(dialect: Dialect) -> Any:
    return postgresql.insert if dialect.name == "postgresql" else sqlite.insert


def _row(settlement: FundingRate) -> dict[str, object]:
    row: dict[str, object] = msgspec.structs.asdict(settlement)
    row["reasons"] = " ".join(settlement.reasons)
    return row


def _settlement(row: Any) -> FundingRate:
    fields = dict(row._mapping)
    return FundingRate(**(fields | {"reasons": tuple(Reason(word) for word in fields["reasons"].split())}))


def _settled(path: Path) -> Iterator[FundingRate]:
    """Every settlement in a journal. A beat without a funding rate is not even decoded."""
    for line in Reader(path):
        if not isinstance(line.record, BeatLine) or b'["F",' not in bytes(line.record.values):
            continue
        for value in wire.decode_values(line.record.values):
            if isinstance(value, FundingRate) and value.final:
                yield value


def _batches(settlements: Iterable[FundingRate]) -> Iterator[list[FundingRate]]:
    batch: list[FundingRate] = []
    for settlement in settlements:
        batch.append(settlement)
        if len(batch) >= BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
