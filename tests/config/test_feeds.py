"""A feed that contradicts itself is refused before anybody asks it."""

from __future__ import annotations

import pytest

from oracle.config.feeds import ECB_AGE_MS_MAX, ageing
from oracle.core.calendar import open_ns
from oracle.core.types import NANOS_PER_MS
from oracle.errors import ConfigError
from tests.config.conftest import Bench

FEED = '[feeds.desk]\nurl = "https://rates.example/"\npath = "mid"\n'
FRIDAY_FIXING_NS = 1_795_180_200 * 10**9  # 2026-11-20T13:10:00Z
MONDAY_PUBLICATION_NS = 1_795_446_000 * 10**9  # 2026-11-23T15:00:00Z


@pytest.mark.parametrize(
    ("feed", "said"),
    [
        (FEED + "rate_min = 2.0\nrate_max = 2.0", "feeds.desk.rate_min = 2.0: is not below rate_max 2"),
        (FEED + 'subscribe = "token"', "feeds.desk.subscribe = '***': is only sent over a WebSocket"),
        (FEED.replace("https", "wss") + 'headers = { a = "b" }', "feeds.desk.headers: a WebSocket is dialled without"),
        (
            FEED.replace("https", "ws").replace("e/", "e/{base}"),
            "feeds.desk.url = 'ws://rates.example/{base}': one WebS",
        ),
        (FEED.replace("https", "ftp"), "feeds.desk.url = 'ftp://rates.example/': string should match"),
        (FEED.replace("desk", '"De-sk"'), "feeds"),
        (FEED + "every_ms = 10", "feeds.desk.every_ms = 10: input should be greater than or equal to 1000"),
        (FEED + 'calendar = "lunar"', "not allowed (allowed: always, fx, target)"),
    ],
)
def test_a_contradiction_is_one_line(bench: Bench, feed: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        bench.settings(tail=feed)
    assert said in str(error.value)


def test_how_old_a_rate_may_be_is_its_sources(bench: Bench) -> None:
    settings = bench.settings(tail=FEED + 'age_ms_max = 7000\ncalendar = "fx"')
    assert ageing(settings, "feed.desk") == (7_000, "fx")
    assert ageing(settings, "ecb") == (ECB_AGE_MS_MAX, "target")


def test_the_fixing_of_a_friday_stands_until_mondays_is_published_and_not_for_long() -> None:
    waited_ms = open_ns("target", FRIDAY_FIXING_NS, MONDAY_PUBLICATION_NS) // NANOS_PER_MS
    assert 0.8 * ECB_AGE_MS_MAX < waited_ms < ECB_AGE_MS_MAX
