"""Whether a port is free, and who has it when it is not (Linux says so in /proc, for processes of the same user)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from oracle.errors import ServiceError

if TYPE_CHECKING:
    from oracle.config import Settings

_LISTENING = "0A"


def doors(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Every (section, host, port) that the service will listen on."""
    yield "service", settings.service.host, settings.service.port
    if settings.metrics.enabled:
        yield "metrics", settings.metrics.host, settings.metrics.port
    if settings.engine_feed.enabled:
        yield "engine_feed", settings.engine_feed.host, settings.engine_feed.port


def require_free(settings: Settings) -> None:
    """Raise ServiceError for the first of the service's ports that cannot be had, with who has it and what to do."""
    for section, host, port in doors(settings):
        problem = refused(host, port)
        if problem:
            raise ServiceError(f"{section} cannot listen on {host}:{port}: {problem}; {way_out(section)}")


def way_out(section: str) -> str:
    """How to take another port."""
    option = "--port 0 lets the system choose, or set " if section == "service" else "set "
    return f"{option}ORACLE_{section.upper()}__PORT"


def refused(host: str, port: int) -> str:
    """Why this address cannot be listened on; empty when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return str(error.strerror or error).lower()
            holder = who_listens(port)
            return f"the port is busy ({holder})" if holder else "the port is busy"
    return ""


def who_listens(port: int, proc: Path = Path("/proc")) -> str:
    """The process that listens on a local port, as `name pid 123`; empty when nobody can tell."""
    inodes = {inode for name in ("tcp", "tcp6") for inode in _listening(proc / "net" / name, port)}
    if not inodes:
        return ""
    for process in proc.iterdir():
        if process.name.isdigit() and inodes & _socket_inodes(process / "fd"):
            try:
                return f"{(process / 'comm').read_text().strip()} pid {process.name}"
            except OSError:
                return f"pid {process.name}"
    return ""


def _listening(table: Path, port: int) -> Iterator[str]:
    try:
        rows = table.read_text().splitlines()[1:]
    except OSError:
        return
    for row in rows:
        columns = row.split()
        if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
            yield columns[9]


def _socket_inodes(folder: Path) -> set[str]:
    found = set()
    try:
        for descriptor in folder.iterdir():
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except OSError:
        pass  # the process is another user's, or has ended
    return found
