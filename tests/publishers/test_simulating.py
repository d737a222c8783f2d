"""What a premium would cost, asked over HTTP: the numbers of the command line, and a reason for what it cannot read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle import cli, methods
from oracle.core.simulation import Simulated
from oracle.edition.pages import Shelf
from oracle.publishers import schemas, simulating

PATH = "/v1/simulate/funding"


async def asked(session: Any, query: str, status: int = 200) -> Any:
    async with session.get(f"{PATH}?{query}") as response:
        assert response.status == status, await response.text()
        return await response.json(content_type=None)


@pytest.mark.anyio
@pytest.mark.parametrize("premium", ["9bp", "-0.35%25", "0", "0.0001"])
async def test_the_numbers_are_those_of_the_command_line(
    serving: Any, capsys: pytest.CaptureFixture[str], premium: str
) -> None:
    arguments = ["--premium=" + premium.replace("%25", "%"), "--notional", "60000", "--at", "2026-11-21", "--json"]
    assert cli.main(["simulate-funding", *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)
    async with serving() as session:
        answer = await asked(session, f"premium={premium}&notional=60000&at=2026-11-21")
    schemas.MODELS["FundingSimulation"].model_validate(answer)
    assert len(answer["items"]) == len(printed)
    for item, row in zip(answer["items"], printed, strict=True):
        assert (item["method"], item["version"], item["binds"]) == (row["method"], row["version"], row["binds"])
        for ours, theirs in (
            ("rate", "rate"),
            ("cost", "cost"),
            ("rate_per_8h", "per_8h"),
            ("rate_per_year", "per_year"),
        ):
            assert float(item[ours]) == row[theirs]


@pytest.mark.anyio
async def test_one_methodology_answers_with_its_document(serving: Any, shelf: Shelf) -> None:
    async with serving(documents=shelf) as session:
        answer = await asked(session, "method=hk1&premium=0.0009&notional=60000")
    (item,) = answer["items"]
    assert (item["rate"], item["cost"], item["binds"], item["interval_ms"]) == (
        "0.0004",
        "24",
        "inner_clamp",
        28_800_000,
    )
    document = shelf.find("hk1")
    assert document is not None
    assert item["methodology_hash"] == document.sha256
    assert item["curve"] is None


@pytest.mark.anyio
async def test_the_curve_is_that_of_the_command_line(serving: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate-funding", "--method", "hk1", "--curve", "--reach", "2%", "--points", "5"]) == 0
    printed = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    rows = [dict(zip(printed[0], row, strict=True)) for row in printed[1:]]
    async with serving() as session:
        answer = await asked(session, "method=hk1&points=5&reach=2%25")
    drawn = answer["items"][0]["curve"]
    assert [(float(p["premium"]), float(p["rate"]), p["binds"]) for p in drawn] == [
        (float(row["premium"]), float(row["rate"]), row["binds"]) for row in rows
    ]
    assert "-0" not in {p["premium"] for p in drawn}


@pytest.mark.anyio
async def test_a_date_finds_the_parameters_of_its_time(serving: Any) -> None:
    sets = methods.load("hyperliquid").SETS
    async with serving() as session:
        for rules in sets:
            ms = max(rules.effective_ns // 1_000_000, 10**12)
            answer = await asked(session, f"method=hyperliquid&at={ms}")
            assert answer["items"][0]["version"] == rules.version
            assert answer["ts"] == ms


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("method=weighted_median", "method"),
        ("method=os.path", "method"),
        ("method=", "method"),
        ("premium=much", "premium"),
        ("premium=2", "premium"),
        ("premium=1e400", "premium"),
        ("premium=nan", "premium"),
        ("premium=", "premium"),
        ("notional=0", "notional"),
        ("notional=-1", "notional"),
        ("notional=1e9", "notional"),
        ("at=someday", "at"),
        ("at=99999-01-01", "at"),
        ("method=hk1&points=1", "points"),
        ("method=hk1&points=1002", "points"),
        ("method=hk1&points=9&reach=200%25", "reach"),
        ("points=9", "method"),
    ],
)
async def test_bad_input_is_named(serving: Any, query: str, parameter: str) -> None:
    async with serving() as session:
        problem = await asked(session, query, 400)
    assert (problem["code"], problem["parameter"]) == ("bad_parameter", parameter)
    assert problem["allowed"] in problem["detail"]


@pytest.mark.anyio
async def test_a_misspelt_methodology_is_answered_with_the_nearest(serving: Any) -> None:
    async with serving() as session:
        problem = await asked(session, "method=HK2", 400)
    assert "hk1" in problem["nearest"]
    assert "weighted_median" not in problem["allowed"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.0005", 0.0005), ("5bp", 0.0005), ("-5 bps", -0.0005), ("0.05%", 0.0005), ("+1e-4", 1e-4), (" 1 %", 0.01)],
)
def test_a_share_is_written_as_people_write_it(text: str, value: float) -> None:
    assert simulating.share(text) == pytest.approx(value, rel=1e-15)


@given(text=st.text(max_size=40) | st.from_regex(r"[+-]?[0-9]{1,25}(e[0-9]{1,4})?%?", fullmatch=True))
def test_no_text_is_an_error(text: str) -> None:
    share, instant = simulating.share(text), simulating.instant(text)
    assert share is None or abs(share) < float("inf")
    assert instant is None or isinstance(instant, int)


def test_instants() -> None:
    assert simulating.instant("1970-01-02") == 86_400_000_000_000
    assert simulating.instant("1970-01-01T08:00:00+08:00") == 0
    assert simulating.instant("1687219200000") == 1_687_219_200_000_000_000
    assert simulating.instant("١٩٧٠-٠١-٠٢") is None


def test_a_line_is_plain_decimal_text() -> None:
    made = Simulated(-0.0, 1e-10, 1e-9, 1e-6, 0.5, 0.0, 1_000, "none")
    rules = methods.load("hk1").SETS[0]
    line = simulating.line("hk1", rules, made, "ab")
    assert (line["premium"], line["rate"], line["cost"]) == ("0", "0.0000000001", "0.5")
