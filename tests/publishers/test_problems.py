"""Problems: stable codes, sentences to act on, and near misses."""

from __future__ import annotations

import pytest

from oracle.publishers import problems
from oracle.publishers.problems import (
    PROBLEMS,
    Problem,
    bad_parameter,
    document,
    nearest,
    page,
    unknown_instrument,
    unknown_methodology,
)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_problem_has_a_page_and_a_document(code: str) -> None:
    made = document(Problem(code, "because"), "/x")
    assert made["type"] == made["doc_url"] == f"/v1/problems/{code}"
    assert made["status"] == page(code)["status"] == PROBLEMS[code].status
    assert page(code)["meaning"].endswith(".")


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("BTC-USD-PREP", "BTC-USD-PERP"), ("btc-usd", "BTC-USD"), ("BTCUSD", "BTC-USD")],
)
def test_a_near_miss_is_named(asked: str, nearest: str) -> None:
    problem = unknown_instrument(asked, ["BTC-USD", "BTC-USD-PERP", "ETH-USD"])
    assert problem.extra["nearest"][0] == nearest
    assert nearest in problem.detail


def test_the_nearest_document_is_named_and_three_at_most() -> None:
    problem = unknown_methodology("HK2", ["hk1", "bitmex", "ladder"])
    assert (problem.code, problem.extra["nearest"]) == ("unknown_methodology", ["hk1"])
    assert "GET /v1/methodology" in unknown_methodology("zzzz", ["hk1"]).detail
    assert len(nearest("hk", ["hk1", "hk2", "hk3", "hk4"])) == 3


def test_a_far_miss_is_not() -> None:
    problem = unknown_instrument("x" * 500, ["BTC-USD"])
    assert problem.extra["nearest"] == []
    assert len(problem.detail) < 200, "what was asked for is not echoed at length"


def test_a_bad_parameter_is_told_with_its_range() -> None:
    problem = bad_parameter("side", "up", "buy or sell")
    assert problem.detail == "side = 'up' is not allowed: it must be buy or sell."
    assert problem.extra == {"parameter": "side", "value": "up", "allowed": "buy or sell"}
    assert bad_parameter("side", None, "x").detail.startswith("side is missing")
    assert problems.CONTENT_TYPE == "application/problem+json"
