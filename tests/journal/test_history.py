"""Settled funding in a real database, SQLite always and PostgreSQL where its server is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from oracle.core.types import FundingRate, Reason
from oracle.errors import JournalError
from oracle.journal import history
from oracle.journal.history import History
from tests.journal.conftest import START_NS, MakeScribe, beat_of, settled


def server_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def as_postgres(*command: str) -> list[str]:
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else list(command)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server that lives as long as this file's tests."""
    binaries = server_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed: /usr/lib/postgresql/*/bin/initdb")
    if os.getuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("a PostgreSQL server does not run as root, and there is no runuser")
    home = Path(tempfile.mkdtemp(prefix="oracle-pg-"))
    home.chmod(0o777)
    data = str(home / "data")
    subprocess.run(
        as_postgres(str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "oracle", "--no-sync"),
        check=True,
        capture_output=True,
        cwd=home,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-p {port} -h 127.0.0.1 -k {home} -F"
    control = as_postgres(str(binaries / "pg_ctl"), "-D", data, "-w")
    subprocess.run([*control, "-o", options, "-l", str(home / "log"), "start"], check=True, cwd=home)
    try:
        yield f"postgresql://oracle@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def past(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    """An empty history in each kind of database."""
    if request.param == "sqlite":
        made = History(f"sqlite:///{tmp_path / 'history.db'}")
    else:
        made = History(request.getfixturevalue("postgresql"))
        with made._engine.begin() as connection:
            connection.execute(history._funding.delete())
    yield made
    made.close()


def settlement(n: int, instrument: str = "BTC-USD-PERP") -> FundingRate:
    rate = settled(n, n * 10**18, -(2**40), instrument)
    reasons = (Reason.FUNDING_AT_CAP, Reason.LATE)
    return replace(rate, premium_mean_e10=5 * 2**40, index=6_000_400, cap_binding=True, reasons=reasons)


def test_a_settlement_is_kept_once(past: History) -> None:
    one, bare = settlement(1), replace(settlement(2), premium_mean_e10=None, index=None, reasons=())
    assert past.add(one)
    assert past.add(bare)
    assert not past.add(one)
    assert past.funding("BTC-USD-PERP") == [one, bare]
    with pytest.raises(AssertionError):
        past.add(replace(settlement(3), final=False))
    with pytest.raises(JournalError, match="settled 1000000000000000000 with other figures already"):
        past.add(replace(one, rate_e8=1))
    assert past.funding("BTC-USD-PERP") == [one, bare]


def test_a_range_is_answered_oldest_first(past: History, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (3, 1, 2, 5, 4):
        past.add(settlement(n))
    past.add(settlement(1, "ETH-USD-PERP"))

    def seqs(*args: int | None) -> list[int]:
        return [found.seq for found in past.funding("BTC-USD-PERP", *args)]  # type: ignore[arg-type]

    assert seqs() == [1, 2, 3, 4, 5]
    assert seqs(2 * 10**18, 4 * 10**18) == [2, 3], "the end is not in it"
    assert seqs(2 * 10**18 + 1) == [3, 4, 5]
    assert seqs(0, None, 2) == [1, 2]
    assert seqs(0, None, -1) == []
    assert past.funding("NOTHING") == []
    monkeypatch.setattr(history, "ROWS_MAX", 3)
    assert seqs(0, None, 1_000_000) == [1, 2, 3]


def test_the_latest_is_the_last_that_was_settled(past: History) -> None:
    assert past.latest("BTC-USD-PERP") == []
    for n in (2, 3, 1):
        past.add(settlement(n))
    past.add(settlement(4, "ETH-USD-PERP"))
    assert past.latest("BTC-USD-PERP") == [settlement(3)]


def test_it_is_made_again_from_a_journal(
    past: History, scribe: MakeScribe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH_ROWS", 2)
    writing = scribe(tmp_path / "journal")
    writing.beats(250)
    beat = beat_of(251)
    writing.writer.append(beat, (settled(251, beat.at_ns, 1, "Y", final=False),))
    past.add(settlement(1))
    assert past.rebuild_from_journal(tmp_path / "journal") == 5
    assert [found.seq for found in past.funding("X")] == [50, 100, 150, 200, 250]
    assert past.funding("X")[0].settles_ns == START_NS + 50 * 10**8
    assert past.funding("BTC-USD-PERP") == past.funding("Y") == []
    assert past.rebuild_from_journal(tmp_path / "journal") == 5, "again, and the same"
    writing.beats(50)
    assert past.rebuild_from_journal(tmp_path / "journal") == 6, "whole batches only"


def test_what_a_killed_process_had_written_is_caught_up(past: History, scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path / "journal")
    writing.beats(120)
    past.add(settlement(1))
    assert past.catch_up(tmp_path / "journal") == 2
    assert [found.seq for found in past.funding("X")] == [50, 100]
    assert past.catch_up(tmp_path / "journal") == 0, "nothing twice"
    assert past.funding("BTC-USD-PERP") == [settlement(1)], "nothing is lost"


def test_a_damaged_journal_changes_nothing(past: History, scribe: MakeScribe, tmp_path: Path) -> None:
    writing = scribe(tmp_path / "journal")
    writing.beats(60)
    writing.writer.close()
    writing.writer.path.write_bytes(writing.writer.path.read_bytes() + b"more\n")
    past.add(settlement(1))
    with pytest.raises(JournalError, match="the chain breaks here"):
        past.rebuild_from_journal(tmp_path / "journal")
    assert len(past.funding("BTC-USD-PERP")) == 1
    assert past.funding("X") == []


def test_sqlite_writes_ahead_and_survives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'history.db'}"
    past = History(url)
    past.add(settlement(1))
    with past._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    past.close()
    again = History(url)
    assert again.funding("BTC-USD-PERP") == [settlement(1)]
    again.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "nosuch://x", "mysql+nosuch://x", "sqlite:////absent/folder/history.db"]
)
def test_a_database_that_cannot_be_used(url: str) -> None:
    with pytest.raises(JournalError, match="the history database"):
        History(url)


def test_every_failure_is_one_error(past: History, tmp_path: Path, scribe: MakeScribe) -> None:
    scribe(tmp_path / "journal").beats(60)
    history._metadata.drop_all(past._engine)
    for use in (
        lambda: past.add(settlement(1)),
        lambda: past.funding("X"),
        lambda: past.latest("X"),
        lambda: past.catch_up(tmp_path / "journal"),
        lambda: past.rebuild_from_journal(tmp_path / "journal"),
    ):
        with pytest.raises(JournalError, match="the history database failed"):
            use()
    history._metadata.create_all(past._engine)


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(JournalError) as caught:
        History("postgresql://oracle:secret@127.0.0.1:1/postgres?connect_timeout=1")
    assert "secret" not in str(caught.value)
