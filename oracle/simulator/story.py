"""The demo's ten minutes: calm, a frozen venue, a spike, a depeg, a crash, the whole ladder down and up, a suspension.

Each act's length follows from the methodology's own times: a halt needs sixty seconds of fallback, thirty seconds of
agreement and ten of warming; a lost feed needs thirty seconds; a readmitted source serves a minute.
"""

from __future__ import annotations

from oracle.simulator.faults import Episode, Kind, Script

LENGTH_MS = 600_000
RETURN_MS = 468_000  # when everybody who fell silent speaks again
ASSETS = ("BTC", "ETH")
OWN = "engine/*"


def _frozen_venue() -> tuple[Episode, ...]:
    return (Episode(at_ms=48_000, lasts_ms=24_000, kind=Kind.FREEZE, target="kraken/spot/*"),)


def _spike() -> tuple[Episode, ...]:
    return (Episode(at_ms=75_000, lasts_ms=15_000, kind=Kind.PREMIUM, target="gemini/spot/BTC", amount=0.30),)


def _same_snapshot_again() -> tuple[Episode, ...]:
    return (
        Episode(
            at_ms=95_000, lasts_ms=85_000, kind=Kind.MOVE, target="BTC", amount=0.006, rise_ms=40_000, fall_ms=25_000
        ),
        Episode(at_ms=95_000, lasts_ms=50_000, kind=Kind.REPEAT, target="bitstamp/spot/BTC"),
    )


def _own_feed_lost() -> tuple[Episode, ...]:
    return (Episode(at_ms=150_000, lasts_ms=42_000, kind=Kind.SILENCE, target=OWN),)


def _depeg() -> tuple[Episode, ...]:
    return (
        Episode(
            at_ms=200_000, lasts_ms=75_000, kind=Kind.MOVE, target="USDT", amount=-0.05, rise_ms=30_000, fall_ms=30_000
        ),
    )


def _crash() -> tuple[Episode, ...]:
    """Twelve percent in forty seconds, half of it within three; the platform's own market falls much further."""
    slow = [_fall(285_000, asset, -0.065, 40_000) for asset in ASSETS]
    steep = [_fall(300_000, asset, -0.06, 3_000) for asset in ASSETS]
    overshoot = Episode(
        at_ms=290_000, lasts_ms=65_000, kind=Kind.PREMIUM, target=OWN, amount=-0.09, rise_ms=12_000, fall_ms=25_000
    )
    return (*slow, *steep, overshoot)


def _fall(at_ms: int, asset: str, amount: float, rise_ms: int) -> Episode:
    lasts_ms = 375_000 - at_ms
    return Episode(
        at_ms=at_ms, lasts_ms=lasts_ms, kind=Kind.MOVE, target=asset, amount=amount, rise_ms=rise_ms, fall_ms=35_000
    )


def _ladder() -> tuple[Episode, ...]:
    """BTC and ETH fall silent venue by venue, down to three groups, two, one and none, then the outside perpetuals.

    OKX is the first: its perpetuals share a line with its spot, and the repairs of a silent line, ever rarer, are over
    by the time the perpetuals are needed.
    """
    together = ("binance", "coinbase", "kraken", "bybit")
    singly = ((362_000, "okx"), (394_000, "bitfinex"), (406_000, "gemini"), (418_000, "bitstamp"))
    steps = (*singly, *((382_000, venue) for venue in together))
    spot = [_silence(at_ms, f"{venue}/spot/{asset}") for at_ms, venue in steps for asset in ASSETS]
    return (*spot, _silence(430_000, "*/perp/*"))


def _silence(at_ms: int, target: str) -> Episode:
    return Episode(at_ms=at_ms, lasts_ms=RETURN_MS - at_ms, kind=Kind.SILENCE, target=target)


def _suspension() -> tuple[Episode, ...]:
    return (Episode(at_ms=540_000, lasts_ms=25_000, kind=Kind.SUSPEND, target="engine/*/BTC"),)


DEMO = Script(
    episodes=(
        *_frozen_venue(),
        *_spike(),
        *_same_snapshot_again(),
        *_own_feed_lost(),
        *_depeg(),
        *_crash(),
        *_ladder(),
        *_suspension(),
    ),
    length_ms=LENGTH_MS,
)
