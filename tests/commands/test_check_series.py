"""`oracle check-series`: venues' own published numbers, and one line for what cannot be checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.cli import main

RATES = "time_ms,premium,funding_rate\n1704067200151,0.0009943926,0.0000617991\n"


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.data
def test_every_settled_rate_of_hyperliquid(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-series", "hyperliquid", str(data / "series" / "hyperliquid_btc_funding_2024.csv")]) == 0
    assert "6144 rows, 6144 matched" in capsys.readouterr().out


@pytest.mark.data
def test_every_mark_of_bitmex(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-series", "bitmex", str(data / "series" / "bitmex_perpetuals_20210722.csv")]) == 0
    assert "23 rows, 23 matched" in capsys.readouterr().out


@pytest.mark.data
def test_every_rate_of_binance_lies_within_its_bars(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates, bars = (data / "series" / f"binance_btcusdt_{n}" for n in ("funding_8h.csv", "premium_index_1h.csv.gz"))
    assert main(["check-series", "binance", str(rates), "--bars", str(bars)]) == 0
    out = capsys.readouterr()
    assert "1944 rows, 1944 matched" in out.out
    assert "1 rows have no bars" in out.err


def test_another_methodology_does_not_come_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "r.csv", RATES)
    assert main(["check-series", "hyperliquid", path]) == 0
    assert main(["check-series", "hk1", path]) == 1
    assert "1 rows, 0 matched" in capsys.readouterr().out
    assert main(["check-series", "hk1", path, "--tolerance", "1"]) == 0


def test_rates_outside_their_bars_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = "Timestamp,Low,High\n" + "".join(f"2024-01-01 {hour:02d}:00:00,0.0001,0.0002\n" for hour in range(8))
    rates = "symbol,Timestamp,Rate\nBTC,2024-01-01 08:00:00,0.0001\nBTC,2024-01-01 16:00:00,0.01\n"
    files = [write(tmp_path / "r.csv", rates), "--bars", write(tmp_path / "b.csv", bars)]
    assert main(["check-series", "binance", *files]) == 0
    more = bars + "".join(f"2024-01-01 {hour:02d}:00:00,0.0001,0.0002\n" for hour in range(8, 16))
    files[-1] = write(tmp_path / "more.csv", more)
    assert main(["check-series", "binance", *files]) == 1
    told = capsys.readouterr()
    assert "2024-01-01 16:00:00" in told.out
    assert "1 do not come out" in told.err


@pytest.mark.parametrize(
    ("method", "text", "said"),
    [
        ("hyperliquid", "a,b\n1,2\n", "columns of no known series"),
        ("hyperliquid", "", "holds no row"),
        ("hyperliquid", "time_ms,premium,funding_rate\n1,x,2\n", "premium = 'x': is no number"),
        ("hyperliquid", "time_ms,premium,funding_rate\n1,nan,2\n", "is no number"),
        ("hyperliquid", "time_ms,premium,funding_rate\n1,2\n", "another number of columns"),
        ("hyperliquid", "Timestamp,Rate\n2024-01-01,1\n", "states no bounds"),
        ("binance", "Timestamp,Rate\n2024-01-01,1\n", "--bars FILE"),
        ("hk9", RATES, "no such methodology"),
        ("weighted_median", RATES, "has no funding rule"),
        ("hk1", "symbol,timestamp,indicativeSettlePrice,markPrice,fundingRate,tickSize\na,b,1,1,1,1\n", "fair-price"),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    method: str, text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-series", method, write(tmp_path / "r.csv", text)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_time_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = write(tmp_path / "b.csv", "Timestamp,Low,High\nyesterday,1,2\n")
    rates = write(tmp_path / "r.csv", "Timestamp,Rate\n2024-01-01,1\n")
    assert main(["check-series", "binance", rates, "--bars", bars]) == 2
    assert "b.csv:2: Timestamp = 'yesterday': is no time" in capsys.readouterr().err


def test_rows_without_bars_leave_nothing_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = write(tmp_path / "b.csv", "Timestamp,Low,High\n2020-01-01,1,2\n")
    rates = write(tmp_path / "r.csv", "Timestamp,Rate\n2024-01-01,1\n")
    assert main(["check-series", "binance", rates, "--bars", bars]) == 2
    assert "holds no row that can be checked" in capsys.readouterr().err
