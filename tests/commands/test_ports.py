"""A busy port is said, with who has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from oracle.commands import ports
from oracle.config import Settings
from oracle.errors import ServiceError


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_busy_port_names_its_holder(taken: int) -> None:
    said = ports.refused("127.0.0.1", taken)
    assert said.startswith("the port is busy")
    if Path("/proc/net/tcp").exists():
        assert f"pid {os.getpid()}" in said


def test_the_first_busy_door_stops_the_service_and_offers_a_way_out(taken: int) -> None:
    settings = Settings(service={"port": taken}, metrics={"enabled": False}, engine_feed={"enabled": False})
    with pytest.raises(ServiceError, match=rf"service cannot listen on 127\.0\.0\.1:{taken}.*--port 0") as error:
        ports.require_free(settings)
    assert "ORACLE_SERVICE__PORT" in str(error.value)
    settings = Settings(service={"port": 0}, metrics={"port": taken}, engine_feed={"port": 0})
    with pytest.raises(ServiceError, match="set ORACLE_METRICS__PORT"):
        ports.require_free(settings)


def test_free_doors_are_free() -> None:
    ports.require_free(Settings(service={"port": 0}, metrics={"port": 0}, engine_feed={"port": 0}))
    assert [section for section, _, _ in ports.doors(Settings())] == ["service", "metrics", "engine_feed"]


def test_an_address_that_is_not_ours_is_another_problem() -> None:
    assert "busy" not in ports.refused("192.0.2.1", 0)
    assert ports.refused("192.0.2.1", 0)
    assert "busy" not in ports.refused("::1", 0)


ROWS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1
   1: 0100007F:1F91 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4243 1
"""


def test_the_process_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(ROWS)
    folder = tmp_path / "77" / "fd"
    folder.mkdir(parents=True)
    (tmp_path / "self").mkdir()
    (tmp_path / "78").mkdir()  # another user's: its descriptors cannot be read
    (folder / "1").symlink_to("/dev/null")
    (folder / "3").symlink_to("socket:[4242]")
    assert ports.who_listens(0x1F90, tmp_path) == "pid 77"
    (tmp_path / "77" / "comm").write_text("nginx\n")
    assert ports.who_listens(0x1F90, tmp_path) == "nginx pid 77"
    assert ports.who_listens(0x1F91, tmp_path) == ""  # connected, not listening
    assert ports.who_listens(1, tmp_path) == ""


def test_a_holder_that_nobody_may_see_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(ROWS)
    assert ports.who_listens(0x1F90, tmp_path) == ""
    monkeypatch.setattr(ports, "who_listens", lambda port: "")
    assert ports.refused("127.0.0.1", taken) == "the port is busy"
