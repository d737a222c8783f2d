"""A service is healthy when what it publishes is fresh and priced, and not otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from oracle import cli
from oracle.commands.health import judged


def item(age_ms: int | None = 100, price: str | None = "60000.00", name: str = "BTC-USD-PERP") -> dict[str, Any]:
    return {"instrument": name, "age_ms": age_ms, "index": {"price": price, "state": "warming"}}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"items": [item(), item(price=None)]}, ""),
        ({"items": [item(), item(age_ms=6_000, name="OLD")]}, "not fresh: OLD"),
        ({"items": [item(age_ms=None)]}, "not fresh: BTC-USD-PERP"),
        ({"items": [item(price=None)]}, "no price: BTC-USD-PERP is warming"),
        ({"items": []}, "no instrument is published"),
        ({}, "no instrument is published"),
        ([], "no instrument is published"),
    ],
)
def test_an_answer_is_judged(answer: Any, problem: str) -> None:
    assert judged(answer, 5_000) == problem


class Handler(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/v1/key-parameters" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_fresh_service_is_healthy(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Handler, "body", json.dumps({"items": [item()]}).encode())
    assert cli.main(["health", "--url", url]) == 0
    assert cli.main(["health", "--url", url + "/", "--age-ms", "50"]) == 1
    assert capsys.readouterr().err == "not fresh: BTC-USD-PERP\n"


def test_rubbish_a_missing_page_and_nobody_are_not_healthy(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Handler, "body", b"<html>")
    assert cli.main(["health", "--url", url]) == 1
    assert cli.main(["health", "--url", url + "/elsewhere"]) == 1
    assert cli.main(["health", "--url", "http://127.0.0.1:1"]) == 1
    assert cli.main(["health", "--url", "file:///etc/passwd"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 4
