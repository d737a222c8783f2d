"""Every dated set of every shipped methodology, and the venues that it knows by name: what the laws are held over."""

from __future__ import annotations

from typing import Any

import pytest

from oracle.core.method import funds, makes_index
from oracle.core.params import Rules
from oracle.methods import load, shipped

COMPOSITE = "gsr"  # whose inputs are other indices, all of which it needs
ANYBODY = ("binance", "okx", "bybit", "kraken", "coinbase", "bitstamp", "lmax", "gemini", "gate", "somebody")
_ALL = [(load(name), rules) for name in shipped() for rules in load(name).SETS]


def _ids(chosen: list[tuple[Any, Rules]]) -> list[Any]:
    return [pytest.param(method, rules, id=f"{method.ID}-{rules.version}") for method, rules in chosen]


EVERYTHING = _ids([(method, rules) for method, rules in _ALL if makes_index(method) or funds(method)])
AVERAGES = _ids([(method, rules) for method, rules in _ALL if makes_index(method) and method.ID != COMPOSITE])
PERPS = _ids([(method, rules) for method, rules in _ALL if funds(method)])


def venues(rules: Rules, count: int) -> list[str]:
    """So many venues, those first that the set has a weight for or a list of, the rest by any name."""
    known: list[str] = []
    for field in ("weights", "constituents", "proxies"):
        known += getattr(rules.own, field, ())
    return [name for name in dict.fromkeys([*known, *ANYBODY]) if "proxy" not in name][:count]
