"""Settings become a World, and what would mislead a consumer is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle import config
from oracle.config.world import venue_names, world
from oracle.core.params import Contract, Leg, Role, World
from oracle.errors import ConfigError

BTC = ["coinbase:BTC-USD", "kraken:BTC/USD", "bitstamp:btcusd", "gemini:BTCUSD", "bitfinex:tBTCUSD", "binance:BTCUSDT"]
USDT = ["coinbase:USDT-USD", "kraken:USDT/USD", "bitstamp:usdtusd", "bitfinex:tUSTUSD=USD"]


def index(name: str, base: str, sources: list[str], more: str = "") -> str:
    quoted = ",\n".join(f'"{s}"' for s in sources)
    return f'[[index]]\nid = "{name}"\nbase = "{base}"\nsources = [\n{quoted}]\n{more}\n'


def conversion(more: str = "") -> str:
    return index("USDT-USD", "USDT", USDT, f'kind = "conversion"\nprice_decimals = 6\n{more}')


def btc(more: str = "", sources: list[str] = BTC) -> str:
    return index("BTC-USD", "BTC", sources, f'conversions = {{ USDT = "USDT-USD" }}\n{more}')


PERP = '[[perp]]\nid = "BTC-PERP"\nindex = "BTC-USD"\ntick = "0.1"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "o.toml"


def built(path: Path, text: str) -> World:
    path.write_text(text)
    return config.world(config.load(path, {}))


def refusal(path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        built(path, text)
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(f"{path}:")
    return said.removeprefix(f"{path}:")


def test_conversions_come_before_what_they_convert(path: Path) -> None:
    made = built(path, btc() + conversion() + PERP)
    assert [i.id for i in made.indices] == ["USDT-USD", "BTC-USD"]
    assert [made.sources[s].name for s in made.indices[1].sources] == BTC
    assert [s.id for s in made.sources] == list(range(len(made.sources)))
    binance = next(s for s in made.sources if s.name == "binance:BTCUSDT")
    assert (binance.quote, binance.role, binance.market, binance.group) == ("USDT", Role.SPOT, "spot", "binance")
    assert made.methodology == "hk1-" + made.indices[0].rules.version
    assert len(made.configuration_hash) == 64


def test_a_perpetual_has_its_own_book_and_its_tick_in_units(path: Path) -> None:
    made = built(path, btc() + conversion() + PERP)
    perp = made.perps[0]
    engine = made.sources[perp.engine_source]
    assert (engine.name, engine.role, engine.venue) == ("engine:BTC-PERP", Role.ENGINE, "engine")
    assert (perp.tick_units, perp.contract, perp.contract_size) == (10, Contract.LINEAR, 1.0)


def test_equal_settings_have_an_equal_hash_and_others_another(path: Path) -> None:
    first, again = built(path, btc() + conversion()), built(path, "# moved\n" + btc() + conversion())
    other = built(path, btc() + conversion() + "[index.rules.source]\nstale_ms_max = 9999")
    assert first == again
    assert first.configuration_hash != other.configuration_hash


def test_an_owner_has_one_vote_and_what_is_set_stands_over_what_is_known(path: Path) -> None:
    made = built(path, btc() + conversion() + '[groups]\ngemini = "x"\n')
    groups = {source.venue: source.group for source in made.sources}
    assert (groups["kraken"], groups["gemini"], groups["coinbase"]) == ("payward", "x", "coinbase")


def test_an_outside_perpetual_is_no_vote(path: Path) -> None:
    made = built(path, btc('perp_sources = ["okx:BTC-USDT-SWAP", "bybit/linear:BTCUSDT"]') + conversion())
    roles = [made.sources[s].role for s in made.indices[1].perp_sources]
    assert roles == [Role.PERP, Role.PERP]
    assert made.sources[made.indices[1].perp_sources[1]].name == "bybit/linear:BTCUSDT"


def test_a_test_instrument_is_exempt_from_what_protects_consumers(path: Path) -> None:
    text = index("X", "BTC", ["kraken:BTC/USD"], 'status = "TEST"') + '[venues.kraken]\nurl = "wss://sandbox.k.com"\n'
    assert len(built(path, text).sources) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            btc(sources=BTC[:4]) + conversion(),
            "4: index[0].sources: 4 owner groups behind a LIVE index: coinbase, payward",
        ),
        (btc() + conversion() + '[groups]\nkraken = "x"\nbitstamp = "x"', "sources: 5"),
        (btc() + conversion() + "[venues.kraken]\nenabled = false\n[venues.gemini]\nenabled = false", "4 owner groups"),
        (index("U", "USDT", USDT[:2], 'kind = "conversion"'), "2 owner groups behind a LIVE index"),
        (
            'own_venues = ["kraken"]\n' + btc() + conversion(),
            "19: index[1].sources[1] = 'kraken:USDT/USD': stands in own_v",
        ),
        ('affiliates = ["okx"]\n' + btc('perp_sources = ["okx:BTC-USDT-SWAP"]') + conversion(), "stands in affiliates"),
        (btc(sources=[*BTC, BTC[1]]) + conversion(), "11: index[0].sources[6] = 'kraken:BTC/USD': stands here twice"),
        (btc(sources=[*BTC, "okx:BTC-EUR"]) + conversion(), "'okx:BTC-EUR': does not spell BTC and one of USD, USDT"),
        (btc(sources=[*BTC, "okx:BTC-EUR=EUR"]) + conversion(), 'EUR has no conversion (add EUR = "EUR-USD")'),
        (btc(sources=[*BTC, "kraken"]) + conversion(), "a source is written venue[/market]:symbol[=QUOTE]"),
        (btc(sources=[*BTC, "krakn:BTC/USD"]) + conversion(), "no such venue (did you mean kraken?)"),
        (btc(sources=[*BTC, "no.such:BTC/USD"]) + conversion(), "no such venue"),
        (btc(), "11: index[0].conversions.USDT = 'USDT-USD': no such index"),
        (btc() + conversion('conversions = { BTC = "BTC-USD" }'), "converts itself (BTC-USD -> USDT-USD -> BTC-USD)"),
        (btc() + index("USDT-USD", "USDC", USDT[:3]), "prices USDC in USD, not USDT in USD"),
        (btc() + index("USDT-USD", "USDT", USDT), "is not of kind conversion"),
        (btc() + conversion('status = "TEST"'), "a LIVE index rests on a TEST conversion"),
        (
            btc() + conversion() + "[venues.kraken]\nurl = 'wss://beta-testnet.kraken.com'",
            "kraken.url = ",
        ),
        (btc() + conversion() + "[venues.kraken]\nurl = 'https://Sandbox.kraken.com'", "is no market"),
        (
            btc()
            + conversion()
            + "[domains]\n"
            + "\n".join(f'{v} = "tokyo"' for v in ("kraken", "binance", "gemini", "bitstamp")),
            "losing tokyo leaves 2 owner groups (at least 3 must remain",
        ),
        (btc() + conversion() + conversion(), "id = 'USDT-USD': is published twice"),
        (btc('method = "hk2"') + conversion(), "12: index[0].method = 'hk2': no such methodology (did you mean hk1?)"),
        (btc() + conversion() + PERP + 'method = "x"', "perp[0].method"),
        (btc() + conversion() + PERP.replace("BTC-USD", "BTC-USDD"), "no such index (did you mean BTC-USD?)"),
        (btc() + conversion() + PERP.replace("0.1", "0.001"), "tick = '0.001': no multiple of the scale"),
        (btc() + conversion() + PERP.replace("0.1", "0.015"), "no multiple of the scale"),
        (btc() + conversion() + PERP.replace("0.1", "0"), "no multiple of the scale"),
        (
            btc() + conversion() + PERP + "[perp.rules.funding]\ninterval_ms = 25000000",
            "perp[0].rules.funding.interval_ms = 25000000: a funding interval",
        ),
        (
            btc("[index.rules.source]\nstale_ms_min = 20000\n") + conversion(),
            "13: index[0].rules.source.stale_ms_min = 20000: source.stale_ms_min 20000 exceeds source.stale",
        ),
        (
            btc('perp_sources = ["okx:BTC-USDT-SWAP"]')
            + conversion()
            + index("B2", "BTC", [*BTC[:5], "okx:BTC-USDT-SWAP=USD"]),
            "is a perp source in USDT elsewhere",
        ),
    ],
)
def test_what_would_mislead_is_refused(path: Path, text: str, line: str) -> None:
    if "sources: 5" in line:
        assert len(built(path, text).indices) == 2  # six venues of five owners are enough
    else:
        assert line in refusal(path, text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[metrics]\nport = 8080", "2: metrics.port = 8080: is service's port too (give each its own, or 0)"),
        ("[service]\nport = 8081", "engine_feed.port = 8081: is service's port too"),
        ("[venues.krakn]\nenabled = true", "1: venues.krakn: no such venue (did you mean kraken?)"),
        ('[groups]\nkrakn = "x"', "2: groups.krakn: no such venue"),
        ('[domains]\nkraken_v1 = "x"', "2: domains.kraken_v1: no such venue"),
        ('[groups]\n"ccxt.kraken" = "x"', "2: groups.ccxt.kraken: is kraken (write it for kraken)"),
        ('[groups]\n"feed.desk" = "x"', "no such venue"),
    ],
)
def test_doors_and_names_are_checked_without_any_instrument(path: Path, text: str, line: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        config.load(path, {})
    assert line in str(error.value)


def test_port_zero_never_clashes_and_a_closed_door_has_no_port(path: Path) -> None:
    path.write_text("[service]\nport = 0\n[metrics]\nport = 0\n[engine_feed]\nenabled = false\nport = 0")
    config.load(path, {})
    path.write_text("[metrics]\nenabled = false\nport = 8080")
    config.load(path, {})


def test_nothing_to_publish_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no index to publish"):
        world(config.Settings())


STATED = """[[index]]
id = "USD-HKD"
base = "USD"
quote = "HKD"
kind = "conversion"
status = "TEST"
sources = ["ecb:USD/HKD", "feed.desk:USD/HKD", { source = "gate:USD_HKD", from = 2026-12-01T00:00:00Z, ratio = 10 }]
[feeds.desk]
url = "https://rates.example/"
path = "mid"
age_ms_max = 90000
calendar = "fx"
"""


def test_a_stated_rate_carries_its_age_and_its_calendar_and_a_dated_source_its_time(path: Path) -> None:
    ecb, desk, dated = built(path, STATED).sources
    assert (ecb.role, ecb.calendar, ecb.age_ms_max, ecb.group) == (Role.REFERENCE, "target", 108_000_000, "ecb")
    assert (desk.role, desk.calendar, desk.age_ms_max, desk.name) == (Role.REFERENCE, "fx", 90_000, "feed.desk:USD/HKD")
    assert (dated.role, dated.calendar, dated.age_ms_max) == (Role.SPOT, "", 0)
    assert (dated.ratio, dated.valid_from_ns, dated.valid_to_ns) == (10.0, 1_796_083_200 * 10**9, 0)


def test_old_dialects_are_no_venues() -> None:
    assert "kraken" in venue_names()
    assert not {"base", "_strict", "kraken_v1"} & set(venue_names())


FX = """
[[index]]
id = "USD-HKD"
base = "USD"
quote = "HKD"
method = "reference"
status = "TEST"
sources = ["ecb:USD/HKD"]
"""
CROSS = """
[[index]]
id = "BTC-HKD"
base = "BTC"
quote = "HKD"
method = "gsr"
status = "{status}"
legs = [{legs}]
{more}
"""


def cross(legs: str = '"BTC-USD", "USD-HKD"', more: str = "", status: str = "TEST") -> str:
    return CROSS.format(legs=legs, more=more, status=status) + FX + btc() + conversion()


def test_an_index_may_be_made_of_others(path: Path) -> None:
    made = built(path, cross('"BTC-USD", "1/USD-HKD"'))
    last = made.indices[-1]
    assert (last.id, last.sources) == ("BTC-HKD", ())
    assert last.legs == (Leg("BTC-USD"), Leg("USD-HKD", inverse=True))
    assert [i.id for i in made.indices].index("USD-HKD") < len(made.indices) - 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cross('"BTC-EUR"'), "no such index"),
        (cross('"BTC-HKD"'), "is made of itself"),
        (cross(more='sources = ["kraken:BTC/USD"]'), "has sources of its own too"),
        (cross(status="LIVE"), "a LIVE index is made of a TEST one"),
        (cross(""), "is made of nothing"),
    ],
)
def test_what_an_index_may_not_be_made_of(path: Path, text: str, said: str) -> None:
    assert said in refusal(path, text)


def test_a_source_is_remembered_by_one_rule(path: Path) -> None:
    twin = index("BTC-TEST", "BTC", ["kraken:BTC/USD"], 'status = "TEST"')
    rules = "[index.rules.source]\nclock_window_ms = 60000\n"
    said = refusal(path, btc() + conversion() + twin + rules)
    assert "rules.source.clock_window_ms = 60000: is 600000 for BTC-USD, which reads kraken:BTC/USD too" in said
    assert built(path, btc() + conversion() + twin).indices[-1].id == "BTC-TEST"
