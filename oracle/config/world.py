"""What beats are judged by: settings become sources, indices in dependency order and perpetuals, or are refused."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec

from oracle import documents
from oracle.clock import SystemClock
from oracle.config.feeds import ageing, check_feeds
from oracle.config.places import Place
from oracle.config.policy import Case
from oracle.config.reading import nearest
from oracle.config.refusals import judged
from oracle.config.settings import Perp, Settings
from oracle.config.venues import ECB, FEED, has_file, native, venue_names
from oracle.core import wire
from oracle.core.params import Contract, IndexInstrument, Leg, PerpInstrument, Role, Rules, Source, World
from oracle.core.types import Nanos

__all__ = ["check_service", "venue_names", "world"]

ENGINE = "engine"


def world(settings: Settings, at_ns: Nanos | None = None) -> World:
    """The World of these settings under the parameter sets in force at `at_ns` (now). Raises ConfigError."""
    docket = judged(settings, SystemClock().now_ns() if at_ns is None else at_ns)
    if docket.refusal is not None:
        raise docket.refusal
    return _Builder(settings).build(docket.cases, docket.perp_rules)


def check_service(settings: Settings) -> None:
    """Refuse doors that would fall on one another and names of venues that nobody has. Raises ConfigError."""
    doors: list[tuple[str, str, int]] = [("service", settings.service.host, settings.service.port)]
    if settings.metrics.enabled:
        doors.append(("metrics", settings.metrics.host, settings.metrics.port))
    if settings.engine_feed.enabled:
        doors.append(("engine_feed", settings.engine_feed.host, settings.engine_feed.port))
    taken: dict[int, str] = {}
    for section, _, port in doors:
        if port and port in taken:
            raise settings.wrong((section, "port"), port, f"is {taken[port]}'s port too", "give each its own, or 0")
        taken[port] = section
    for table in ("venues", "groups", "domains"):
        for name in getattr(settings, table):
            _check_name(settings, table, name)
    check_feeds(settings)


def _check_name(settings: Settings, table: str, name: str) -> None:
    """A venue's table is that of somebody who can be read, under the one name he is judged by."""
    if table != "venues" and native(name) != name:
        raise settings.wrong((table, name), None, f"is {native(name)}", f"write it for {native(name)}")
    known = name == ECB or (name.startswith(FEED) and name.removeprefix(FEED) in settings.feeds)
    if not known and not has_file(name):
        raise settings.wrong((table, name), None, "no such venue", nearest(name, venue_names()))


class _Builder:
    """Makes the World of cases that nothing is wrong with."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sources: dict[str, Source] = {}

    def build(self, cases: list[Case], perp_rules: list[Rules]) -> World:
        indices = tuple(self._index(case) for case in cases)
        perps = tuple(self._perp(perp, rules) for perp, rules in zip(self._settings.perp, perp_rules, strict=True))
        published: list[IndexInstrument | PerpInstrument] = [*indices, *perps]
        used = sorted({(instrument.method, instrument.rules.version) for instrument in published})
        made = World(
            methodology=" ".join(f"{name}-{version}" for name, version in used),
            configuration_hash="",
            sources=tuple(self._sources.values()),
            indices=indices,
            perps=perps,
        )
        return msgspec.structs.replace(made, configuration_hash=hashlib.sha256(wire.encode(made)).hexdigest())

    def _index(self, case: Case) -> IndexInstrument:
        index = case.index
        return IndexInstrument(
            id=index.id,
            base=index.base,
            quote=index.quote,
            tier=index.tier,
            price_decimals=index.price_decimals,
            sources=tuple(map(self._source, case.votes)),
            perp_sources=tuple(map(self._source, case.outside)),
            conversions=dict(sorted(index.conversions.items())),
            method=index.method,
            rules=case.rules,
            document=documents.hash_of(index.method),
            legs=tuple(Leg(leg.removeprefix("1/"), leg.startswith("1/")) for leg in index.legs),
        )

    def _perp(self, perp: Perp, rules: Rules) -> PerpInstrument:
        quote = next(index.quote for index in self._settings.index if index.id == perp.index)
        engine = self._add(
            Source(
                id=len(self._sources),
                name=f"{ENGINE}:{perp.id}",
                venue=ENGINE,
                symbol=perp.id,
                market="perp",
                quote=quote,
                group=self._settings.group_of(ENGINE),
                role=Role.ENGINE,
            )
        )
        return PerpInstrument(
            id=perp.id,
            index=perp.index,
            engine_source=engine,
            contract=Contract(perp.contract),
            contract_size=perp.contract_size,
            price_decimals=perp.price_decimals,
            tick_units=int(Decimal(perp.tick).scaleb(perp.price_decimals)),
            method=perp.method,
            rules=rules,
            document=documents.hash_of(perp.method),
        )

    def _source(self, place: Place) -> int:
        age_ms_max, calendar = ageing(self._settings, place.venue) if place.role is Role.REFERENCE else (0, "")
        return self._add(
            Source(
                id=len(self._sources),
                name=place.spelling.name,
                venue=place.venue,
                symbol=place.spelling.symbol,
                market=place.spelling.market,
                quote=place.quote,
                group=self._settings.group_of(place.venue),
                role=place.role,
                ratio=place.ratio,
                valid_from_ns=place.from_ns,
                valid_to_ns=place.to_ns,
                age_ms_max=age_ms_max,
                calendar=calendar,
            )
        )

    def _add(self, source: Source) -> int:
        return self._sources.setdefault(source.name, source).id
