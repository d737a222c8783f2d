"""The ECB's file becomes exact crosses with the fixing's own time, told once; whatever else it is, is named."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
import respx
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from oracle.collectors.reference import LATE_S, URL, EcbPoller, Fixing, fixed_ns, next_publication_ns, read_fixing
from oracle.core.calendar import DAY_NS, civil, day_of, is_open
from oracle.core.types import NANOS_PER_S, Link, Ticker, TickerKind
from oracle.errors import VenueError
from oracle.venues.base import Feed
from tests.collectors.conftest import Asking

FRIDAY = day_of(2026, 11, 20)
FRIDAY_NS = FRIDAY * DAY_NS + (13 * 3_600 + 600) * NANOS_PER_S  # 14:10 in Frankfurt, in winter
NOW_NS = FRIDAY * DAY_NS + 16 * 3_600 * NANOS_PER_S
RATES = {"USD": "1.1520", "JPY": "180.50", "HKD": "8.9700", "KRW": "1695.10", "GBP": "0.8805"}


def xml(date: str = "2026-11-20", rates: dict[str, str] = RATES) -> bytes:
    cubes = "".join(f"<Cube currency='{name}' rate='{rate}'/>" for name, rate in rates.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<g:Envelope xmlns:g="http://www.gesmes.org/xml/2002-08-01" '
        'xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">'
        f"<g:subject>Reference rates</g:subject><Cube><Cube time='{date}'>{cubes}</Cube></Cube></g:Envelope>"
    ).encode()


def refusal(body: bytes, symbol: str = "USD/HKD") -> str:
    with pytest.raises(VenueError) as error:
        read_fixing(body).cross(symbol)
    return str(error.value.reason)


def test_both_formats_say_the_same() -> None:
    head = "Date, " + ", ".join(RATES)
    for date in ("20 November 2026", "2026-11-20"):
        table = f"{head}, \n{date}, {', '.join(RATES.values())}, \n".encode()
        assert read_fixing(table) == read_fixing(xml())
    history = f"{head},BGN,\n2026-11-19,1,1,1,1,1,N/A,\n2026-11-20,{','.join(RATES.values())},N/A,\n".encode()
    assert read_fixing(history) == read_fixing(b"\xef\xbb\xbf" + xml())
    assert read_fixing(xml()).day == FRIDAY


def test_a_cross_is_the_quotient_rounded_once() -> None:
    fixing = read_fixing(xml())
    assert fixing.cross("EUR/USD") == 1.152
    assert fixing.cross("USD/EUR") == float(Fraction(10_000, 11_520))
    assert fixing.cross("USD/HKD") == float(Fraction(89_700, 11_520))
    assert fixing.cross("KRW/USD") == float(Fraction(11_520, 16_951_000))
    assert fixing.cross("EUR/EUR") == 1.0


@given(st.integers(5_000, 25_000), st.integers(35_000, 200_000))
def test_a_cross_there_and_back_is_within_a_rounding(usd: int, hkd: int) -> None:
    fixing = Fixing(1, {"EUR": Fraction(1), "USD": Fraction(usd, 10_000), "HKD": Fraction(hkd, 10_000)})
    assert fixing.cross("USD/HKD") * fixing.cross("HKD/USD") == pytest.approx(1.0, rel=1e-15)
    assert fixing.cross("USD/HKD") == hkd / usd


BAD = [
    (b"", "WRONG_SHAPE"),
    (b"<", "WRONG_SHAPE"),
    (b"\xff\xfe<", "NOT_UTF8"),
    (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a time='2026-11-20'>&b;</a>", "WRONG_SHAPE"),
    (b"<a/>", "WRONG_SHAPE"),
    (b'{"USD": 1}', "WRONG_SHAPE"),
    (b"Date, USD\n", "WRONG_SHAPE"),
    (b"Date, USD\n2026-11-20, 1, 2\n", "WRONG_SHAPE"),
    (b" " * (300 << 10), "TOO_LARGE"),
    (xml("2026-11-20", {}), "WRONG_SHAPE"),
    (xml("2026-02-30"), "TIME_UNIT"),
    (xml("20 Nonember 2026"), "TIME_UNIT"),
    (xml("20261120"), "TIME_UNIT"),
    (xml("2026-13-01"), "TIME_UNIT"),
    (xml(rates=RATES | {"usd": "1"}), "WRONG_SHAPE"),
    (xml(rates=RATES | {"EUR": "1"}), "DUPLICATE_KEY"),
    (xml().replace(b"currency='JPY'", b"currency='USD'"), "DUPLICATE_KEY"),
    (xml().replace(b" currency='JPY'", b""), "WRONG_SHAPE"),
    *((xml(rates=RATES | {"USD": bad}), "NOT_A_NUMBER") for bad in ("", "1,1", "-1.1", "1e0", "nan", "1/2", "١")),
    (xml(rates=RATES | {"USD": "0.000"}), "NOT_POSITIVE"),
    (xml(rates=RATES | {"USD": "11.52"}), "OUT_OF_RANGE"),
    (xml(rates=RATES | {"HKD": "0.8970"}), "OUT_OF_RANGE"),
    (xml(rates={"USD": "1.1520"}), "UNKNOWN_SYMBOL"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), BAD)
def test_what_is_no_file_of_the_bank_is_named(body: bytes, reason: str) -> None:
    assert refusal(body) == reason


@given(st.binary(max_size=200), st.integers(0, 400))
def test_whatever_the_file_holds_the_answer_is_a_fixing_or_a_refusal(noise: bytes, place: int) -> None:
    body = xml()
    for said in (noise, body[:place] + noise + body[place:], body[:place]):
        with suppress(VenueError):
            read_fixing(said)


def test_a_fixing_has_frankfurts_time() -> None:
    hours = {
        (2026, 11, 20): 13,
        (2026, 3, 27): 13,  # the Friday before summer time
        (2026, 3, 30): 12,
        (2026, 10, 23): 12,
        (2026, 10, 26): 13,
    }
    for date, hour in hours.items():
        assert fixed_ns(day_of(*date)) - day_of(*date) * DAY_NS == (hour * 3_600 + 600) * NANOS_PER_S


def test_the_next_fixing_is_published_on_the_next_day_that_has_one() -> None:
    four = 15 * 3_600 * NANOS_PER_S
    assert next_publication_ns(FRIDAY, NOW_NS) == (FRIDAY + 3) * DAY_NS + four
    assert next_publication_ns(day_of(2026, 12, 24), 0) == day_of(2026, 12, 28) * DAY_NS + four
    before_easter = day_of(2027, 3, 25)
    assert next_publication_ns(before_easter, 0) == day_of(2027, 3, 30) * DAY_NS + four - 3_600 * NANOS_PER_S
    assert next_publication_ns(None, FRIDAY * DAY_NS + four) == FRIDAY * DAY_NS + four
    assert next_publication_ns(None, FRIDAY * DAY_NS + four - 1) == (FRIDAY - 1) * DAY_NS + four


class Bench(Asking):
    """A poller with its world replaced."""

    def __init__(self, *symbols: str, url: str = URL) -> None:
        super().__init__(NOW_NS)
        feeds = [Feed(place, symbol) for place, symbol in enumerate(symbols or ("USD/HKD", "EUR/USD"))]
        self.poller = EcbPoller(feeds, url=url, **self.tools)

    def rates(self) -> list[tuple[int, float, int]]:
        return [(fact.source, fact.price, fact.venue_ns) for fact in self.tickers()]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with Bench() as made:
        yield made


@pytest.mark.anyio
@respx.mock
async def test_a_fixing_is_told_once_with_its_own_time(bench: Bench) -> None:
    route = respx.get(URL).respond(content=xml())
    assert await bench.poller.look() == (2 * 86_400 + 23 * 3_600) + 60.0
    cross = float(Fraction(89_700, 11_520))
    assert cross != 8.97 / 1.152, "two roundings are one too many"
    assert bench.seen[:2] == [Link(0, True, "", NOW_NS), Ticker(0, TickerKind.REFERENCE, cross, FRIDAY_NS, NOW_NS)]
    assert bench.rates()[1] == (1, 1.152, FRIDAY_NS)
    bench.clock.advance(3 * DAY_NS)
    assert await bench.poller.look() == LATE_S, "yesterday's file is not new, and today's is due"
    assert len(bench.rates()) == 2
    route.respond(content=xml("2026-11-23"))
    await bench.poller.look()
    assert [venue_ns for _, _, venue_ns in bench.rates()[2:]] == [FRIDAY_NS + 3 * DAY_NS] * 2
    assert bench.poller.stats.frames == 3
    assert len([o for o in bench.seen if isinstance(o, Link)]) == 2


@pytest.mark.anyio
@respx.mock
async def test_an_older_file_and_one_of_the_future_are_refused(bench: Bench) -> None:
    route = respx.get(URL).respond(content=xml())
    await bench.poller.look()
    for date in ("2026-11-19", "2026-11-21"):
        route.respond(content=xml(date))
        assert await bench.poller.look() >= 60.0
    assert bench.poller.stats.refused == {"TIME_UNIT": 2}
    assert len(bench.rates()) == 2
    assert bench.poller.stats.connected_since_ns == 0


@pytest.mark.anyio
@respx.mock
async def test_a_corrected_fixing_is_told_again_and_one_that_lacks_a_currency_costs_only_that(bench: Bench) -> None:
    route = respx.get(URL).respond(content=xml(rates={"USD": "1.1520"}))
    assert await bench.poller.look() == LATE_S
    assert bench.rates() == [(1, 1.152, FRIDAY_NS)]
    assert bench.poller.stats.refused == {"UNKNOWN_SYMBOL": 1}
    route.respond(content=xml())
    assert await bench.poller.look() > LATE_S
    assert [source for source, _, _ in bench.rates()] == [1, 0, 1]


@pytest.mark.anyio
@respx.mock
async def test_a_failure_is_counted_logged_once_and_takes_nothing_back(bench: Bench) -> None:
    route = respx.get(URL).respond(content=xml())
    await bench.poller.look()
    with capture_logs() as logs:
        route.mock(side_effect=httpx.ReadTimeout("slow"))
        waits = [await bench.poller.look() for _ in range(6)]
        route.mock(side_effect=None, return_value=httpx.Response(429, headers={"retry-after": "300"}))
        assert await bench.poller.look() >= 300.0
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (90.0, 60.0 + 450.0)
    assert bench.poller.stats.ended == {"TIMEOUT": 6, "RATE_LIMITED": 1}
    assert [log["reason"] for log in logs] == ["TIMEOUT", "RATE_LIMITED"]
    assert [o.up for o in bench.seen if isinstance(o, Link)] == [True, True]


@pytest.mark.anyio
async def test_a_week_of_the_real_thing_over_a_real_socket() -> None:
    asked: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["User-Agent"] == "oracle"
        asked.append(made.clock.now_ns())
        day = made.clock.now_ns() // DAY_NS
        while not is_open("target", day * DAY_NS) or day * DAY_NS + 15 * 3_600 * NANOS_PER_S > made.clock.now_ns():
            day -= 1
        return web.Response(body=xml("{}-{:02}-{:02}".format(*civil(day)), RATES | {"USD": f"1.15{day % 100:02d}"}))

    app = web.Application()
    app.router.add_get("/stats/eurofxref/eurofxref-daily.xml", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    made = Bench("EUR/USD", url=f"http://127.0.0.1:{port}/stats/eurofxref/eurofxref-daily.xml")
    going_on = asyncio.create_task(made.poller.run())
    async with asyncio.timeout(20):
        while len(made.rates()) < 6:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    going_on.cancel()
    await asyncio.gather(going_on, return_exceptions=True)
    await made.rest.aclose()
    await runner.cleanup()
    days = [(venue_ns // DAY_NS) - FRIDAY for _, _, venue_ns in made.rates()]
    assert days[:6] == [0, 3, 4, 5, 6, 7]
    assert len(asked) <= len(made.rates()) + 1, "one question a fixing, and perhaps one on its way"
    assert made.seen[-1] == Link(0, False, "STOPPED", made.seen[-1].recv_ns)


@pytest.mark.data
def test_the_real_fixings_keep_the_hong_kong_dollar_in_its_band(data: Path) -> None:
    """The band is 7.75 to 7.85 since 18 May 2005; four decimals of EUR/HKD and EUR/USD blur a cross at its edge."""
    crosses = {}
    with (data / "series" / "ecb_reference_rates.csv").open(encoding="ascii") as rows:
        for row in csv.DictReader(rows):
            rates = {"USD": row["eurusd"], "HKD": row["eurhkd"], "JPY": row["eurjpy"], "KRW": row["eurkrw"]}
            fixing = read_fixing(xml(row["date"], rates))
            assert is_open("target", fixing.day * DAY_NS) or row["date"] < "2002", row["date"]
            crosses[row["date"]] = [fixing.cross(pair) for pair in ("USD/HKD", "USD/JPY", "USD/KRW", "EUR/USD")]
    assert len(crosses) > 7_000
    inside = [hkd for date, (hkd, *_) in crosses.items() if date >= "2006"]
    assert 7.75 - 2e-3 <= min(inside) < max(inside) <= 7.85 + 1e-4
    assert sum(7.75 <= hkd <= 7.85 for hkd in inside) / len(inside) > 0.99
