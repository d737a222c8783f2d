"""What the settings declare becomes a collector that asks or dials, at the address that is configured."""

from __future__ import annotations

import pytest

from oracle.clock import ManualClock
from oracle.collectors.json_source import JsonPoller
from oracle.collectors.reference import URL, EcbPoller
from oracle.collectors.rest import Rest
from oracle.config.declared import declared, poller_of, session_of
from oracle.config.reading import read
from oracle.venues import kraken
from oracle.venues.base import Feed
from tests.config.conftest import Bench

pytestmark = pytest.mark.anyio
FEEDS = """[feeds.desk]
url = "https://rates.example/{symbol}"
path = "mid"
scale = 0.01
time_path = "at"
time_unit = "s"
headers = { A = "one" }
[feeds.stream]
url = "wss://stream.example/v1"
path = "rates.{symbol}"
subscribe = "all"
[venues.ecb]
url = "http://127.0.0.1:9"
[venues."feed.desk"]
url = "http://127.0.0.1:8"
"""


async def test_whoever_is_asked_is_polled_and_whoever_is_dialled_is_read_by_a_session(bench: Bench) -> None:
    settings, clock = bench.settings(tail=FEEDS), ManualClock(1)
    feeds = [Feed(3, "USD/HKD")]
    async with Rest(clock) as rest:
        made = {v: poller_of(settings, v, feeds, put=print, clock=clock, rest=rest) for v in ("ecb", "feed.desk")}
        assert poller_of(settings, "feed.stream", feeds, put=print, clock=clock, rest=rest) is None
        assert poller_of(settings, "kraken", feeds, put=print, clock=clock, rest=rest) is None
    ecb, desk = made["ecb"], made["feed.desk"]
    assert isinstance(ecb, EcbPoller)
    assert isinstance(desk, JsonPoller)
    assert ecb._url == URL.replace("https://www.ecb.europa.eu", "http://127.0.0.1:9")
    assert desk._declared.address("USD/HKD") == "http://127.0.0.1:8/USD%2FHKD"
    assert (ecb.stats.venue, desk.stats.venue) == ("ecb", "feed.desk")
    session = session_of(settings, "feed.stream")(feeds)
    assert (session.url(), [send.data for send in session.open()]) == ("wss://stream.example/v1", ["all"])
    assert session_of(settings, "kraken") is kraken.Session


async def test_every_setting_of_a_feed_reaches_its_collector(bench: Bench) -> None:
    settings = bench.settings(tail=FEEDS)
    made = declared(settings, "feed.desk")
    desk = settings.feeds["desk"]
    for name in type(desk).model_fields:
        if name not in ("headers", "subscribe", "age_ms_max", "calendar"):
            assert getattr(made, name) == getattr(desk, name), name
    assert made.headers == {"A": "one"}
    assert declared(settings, "feed.stream").subscribe == "all"


async def test_a_header_comes_from_the_environment_and_is_shown_to_nobody(bench: Bench) -> None:
    bench.settings(tail=FEEDS)
    settings = read(bench.path, {"ORACLE_FEEDS__DESK__HEADERS__X_API_KEY": "from outside"})
    assert declared(settings, "feed.desk").headers == {"A": "one", "x-api-key": "from outside"}
    assert "outside" not in repr(settings)
