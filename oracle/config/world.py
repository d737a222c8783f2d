"""What beats are judged by: settings become sources, indices in dependency order and perpetuals, or are refused.

The refusals protect consumers: too few owners behind a LIVE index, a venue of the platform itself, owners that would
fall together, a price in a currency that nothing converts, a sandbox in place of a market.
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import NamedTuple

import msgspec

import oracle.venues
from oracle import methods
from oracle.clock import SystemClock
from oracle.config.reading import nearest
from oracle.config.rules import ruleset
from oracle.config.settings import Index, Perp, Settings
from oracle.config.source import Spelling, parse_source, spelt_quote
from oracle.config.text import Path
from oracle.core import wire
from oracle.core.method import Described
from oracle.core.params import Contract, IndexInstrument, PerpInstrument, Role, Rules, Source, World
from oracle.core.types import Nanos
from oracle.errors import ConfigError

ENGINE = "engine"
_OLD_DIALECT = re.compile(r"_v[0-9]+$")
_NO_MARKET = ("sandbox", "testnet", "demo", "staging", "paper", "uat")


def world(settings: Settings, at_ns: Nanos | None = None) -> World:
    """The World of these settings under the parameter sets in force at `at_ns` (now). Raises ConfigError."""
    return _Builder(settings, SystemClock().now_ns() if at_ns is None else at_ns).build()


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
            if not _has_file(name):
                raise settings.wrong((table, name), None, "no such venue", nearest(name, venue_names()))


def venue_names() -> list[str]:
    """The venues that have a file, sorted: neither the contract and its parts nor a dialect that a venue has left."""
    names = [module.name for module in iter_modules(oracle.venues.__path__)]
    return sorted(n for n in names if n != "base" and not n.startswith("_") and not _OLD_DIALECT.search(n))


def _has_file(venue: str) -> bool:
    if "." not in venue:
        return venue in venue_names()
    try:
        return find_spec(venue) is not None
    except ModuleNotFoundError:
        return False


class _Place(NamedTuple):
    """A source of an index as it was written, and where."""

    path: Path
    text: str
    spelling: Spelling
    quote: str


class _Builder:
    def __init__(self, settings: Settings, at_ns: Nanos) -> None:
        self._settings = settings
        self._at_ns = at_ns
        self._sources: dict[str, Source] = {}
        self._position = {index.id: i for i, index in enumerate(settings.index)}

    def build(self) -> World:
        settings = self._settings
        if not settings.index:
            raise settings.wrong(("index",), None, "there is no index to publish", "add an [[index]] table")
        self._refuse_repeated_ids()
        ordered = self._dependency_order()
        indices = tuple(self._index(self._position[name], settings.index[self._position[name]]) for name in ordered)
        perps = tuple(self._perp(i, perp) for i, perp in enumerate(settings.perp))
        published: list[IndexInstrument | PerpInstrument] = [*indices, *perps]
        used = sorted({(instrument.method, instrument.rules.version) for instrument in published})
        made = World(
            methodology=" ".join(f"{name}-{version}" for name, version in used),
            methodology_hash="",
            sources=tuple(self._sources.values()),
            indices=indices,
            perps=perps,
        )
        return msgspec.structs.replace(made, methodology_hash=hashlib.sha256(wire.encode(made)).hexdigest())

    def _refuse_repeated_ids(self) -> None:
        seen: set[str] = set()
        for table in ("index", "perp"):
            for i, instrument in enumerate(getattr(self._settings, table)):
                if instrument.id in seen:
                    raise self._settings.wrong(
                        (table, i, "id"), instrument.id, "is published twice", "name it otherwise"
                    )
                seen.add(instrument.id)

    def _dependency_order(self) -> list[str]:
        """Conversions before what they convert, otherwise as configured."""
        done: list[str] = []
        for index in self._settings.index:
            self._visit(index.id, (), done)
        return done

    def _visit(self, name: str, above: tuple[str, ...], done: list[str]) -> None:
        if name in done:
            return
        i = self._position[name]
        index = self._settings.index[i]
        for currency, conversion in index.conversions.items():
            path: Path = ("index", i, "conversions", currency)
            if conversion not in self._position:
                raise self._settings.wrong(path, conversion, "no such index", nearest(conversion, self._position))
            if conversion in (*above, name):
                raise self._settings.wrong(path, conversion, "converts itself", " -> ".join((*above, name, conversion)))
            self._check_conversion(path, index, currency, conversion)
            self._visit(conversion, (*above, name), done)
        done.append(name)

    def _check_conversion(self, path: Path, index: Index, currency: str, conversion: str) -> None:
        other = self._settings.index[self._position[conversion]]
        if (other.base, other.quote) != (currency, index.quote):
            problem = f"prices {other.base} in {other.quote}, not {currency} in {index.quote}"
            raise self._settings.wrong(path, conversion, problem)
        if other.kind != "conversion":
            raise self._settings.wrong(path, conversion, "is not of kind conversion", 'give it kind = "conversion"')
        if index.status == "LIVE" and other.status != "LIVE":
            raise self._settings.wrong(path, conversion, "a LIVE index rests on a TEST conversion", "make both LIVE")

    def _index(self, i: int, index: Index) -> IndexInstrument:
        at: Path = ("index", i)
        rules = self._rules(at, index, index.kind, index.tier)
        votes = [self._place((*at, "sources", k), text, index) for k, text in enumerate(index.sources)]
        outside = [self._place((*at, "perp_sources", k), text, index) for k, text in enumerate(index.perp_sources)]
        self._refuse_repeated_sources([*votes, *outside])
        if index.status == "LIVE":
            self._refuse_sandboxes([*votes, *outside])
            self._refuse_few_groups(at, votes, rules)
            self._refuse_shared_fate(at, votes, rules)
        return IndexInstrument(
            id=index.id,
            base=index.base,
            quote=index.quote,
            tier=index.tier,
            price_decimals=index.price_decimals,
            sources=tuple(self._source(place, Role.SPOT) for place in votes),
            perp_sources=tuple(self._source(place, Role.PERP) for place in outside),
            conversions=dict(sorted(index.conversions.items())),
            method=index.method,
            rules=rules,
        )

    def _perp(self, i: int, perp: Perp) -> PerpInstrument:
        at: Path = ("perp", i)
        if perp.index not in self._position:
            raise self._settings.wrong((*at, "index"), perp.index, "no such index", nearest(perp.index, self._position))
        index = self._settings.index[self._position[perp.index]]
        units = Decimal(perp.tick).scaleb(perp.price_decimals)
        if units < 1 or units != units.to_integral_value():
            scale = f"price_decimals = {perp.price_decimals}"
            raise self._settings.wrong((*at, "tick"), perp.tick, f"no multiple of the scale of {scale}", "add decimals")
        rules = self._rules(at, perp, "reference", index.tier)
        spelling = Spelling(ENGINE, "perp", perp.id, index.quote)
        source = self._add(f"{ENGINE}:{perp.id}", spelling, index.quote, self._settings.group_of(ENGINE), Role.ENGINE)
        return PerpInstrument(
            id=perp.id,
            index=perp.index,
            engine_source=source,
            contract=Contract(perp.contract),
            contract_size=perp.contract_size,
            price_decimals=perp.price_decimals,
            tick_units=int(units),
            method=perp.method,
            rules=rules,
        )

    def _rules(self, at: Path, instrument: Index | Perp, kind: str, tier: int) -> Rules:
        def wrong(path: Path, value: object, problem: str, remedy: str) -> ConfigError:
            return self._settings.wrong((*at, *path), value, problem, remedy)

        base = methods.rules_at(self._method(at, instrument.method), self._at_ns)
        return ruleset(base, instrument.rules, kind=kind, tier=tier, wrong=wrong)

    def _method(self, at: Path, name: str) -> Described:
        try:
            return methods.load(name)
        except ModuleNotFoundError:
            remedy = nearest(name, methods.shipped())
            raise self._settings.wrong((*at, "method"), name, "no such methodology", remedy) from None

    def _place(self, path: Path, text: str, index: Index) -> _Place:
        wrong = self._settings.wrong
        try:
            spelling = parse_source(text)
        except ValueError as error:
            raise wrong(path, text, str(error), "for example kraken:BTC/USD") from None
        if not _has_file(spelling.venue):
            raise wrong(path, text, "no such venue", nearest(spelling.venue, venue_names()))
        for listed in ("own_venues", "affiliates"):
            if spelling.venue in getattr(self._settings, listed):
                raise wrong(path, text, f"stands in {listed}: nobody prices by his own market", "remove it")
        currencies = (index.quote, *index.conversions)
        quote = spelling.quote or spelt_quote(spelling.symbol, index.base, currencies)
        if not quote:
            remedy = f"add a conversion, or state the currency: {text}=QUOTE"
            raise wrong(path, text, f"does not spell {index.base} and one of {', '.join(currencies)}", remedy)
        if quote not in currencies:
            raise wrong(path, text, f"{quote} has no conversion", f'add {quote} = "{quote}-{index.quote}"')
        return _Place(path, text, spelling, quote)

    def _refuse_repeated_sources(self, places: list[_Place]) -> None:
        seen: set[str] = set()
        for place in places:
            if place.spelling.name in seen:
                raise self._settings.wrong(place.path, place.text, "stands here twice", "remove one")
            seen.add(place.spelling.name)

    def _refuse_sandboxes(self, places: list[_Place]) -> None:
        for venue in dict.fromkeys(place.spelling.venue for place in places):
            address = self._settings.venue(venue).url or ""
            host = address.split("/")[2].lower() if address else ""
            if any(word in host for word in _NO_MARKET):
                problem = "is no market, and a LIVE instrument would be priced by it"
                raise self._settings.wrong(("venues", venue, "url"), address, problem, 'or status = "TEST"')

    def _refuse_few_groups(self, at: Path, votes: list[_Place], rules: Rules) -> None:
        groups = self._groups_by_domain(votes)
        needed, have = rules.index.groups_configured_min, len(set(groups))
        if have < needed:
            problem = f"{have} owner group{'s' * (have != 1)} behind a LIVE index: {', '.join(dict.fromkeys(groups))}"
            raise self._settings.wrong((*at, "sources"), None, problem, f'at least {needed}, or status = "TEST"')

    def _refuse_shared_fate(self, at: Path, votes: list[_Place], rules: Rules) -> None:
        """No one failure domain may take the index below DEGRADED."""
        groups = self._groups_by_domain(votes)
        for domain in dict.fromkeys(d for domains in groups.values() for d in domains):
            left = sum(domains != {domain} for domains in groups.values())
            if left < rules.ladder.groups_degraded_min:
                problem = f"losing {domain} leaves {left} owner group{'s' * (left != 1)}"
                remedy = f"at least {rules.ladder.groups_degraded_min} must remain: spread the sources"
                raise self._settings.wrong((*at, "sources"), None, problem, remedy)

    def _groups_by_domain(self, votes: list[_Place]) -> dict[str, set[str]]:
        """The failure domains of every group that votes; a venue that is not dialled does not vote."""
        groups: dict[str, set[str]] = {}
        for place in votes:
            venue = place.spelling.venue
            if self._settings.venue(venue).enabled:
                groups.setdefault(self._settings.group_of(venue), set()).add(self._settings.domain_of(venue))
        return groups

    def _source(self, place: _Place, role: Role) -> int:
        spelling = place.spelling
        known = self._sources.get(spelling.name)
        if known and (known.role, known.quote) != (role, place.quote):
            problem = f"is a {known.role} source in {known.quote} elsewhere"
            raise self._settings.wrong(place.path, place.text, problem, "say the same everywhere")
        return self._add(spelling.name, spelling, place.quote, self._settings.group_of(spelling.venue), role)

    def _add(self, name: str, spelling: Spelling, quote: str, group: str, role: Role) -> int:
        if name not in self._sources:
            self._sources[name] = Source(
                id=len(self._sources),
                name=name,
                venue=spelling.venue,
                symbol=spelling.symbol,
                market=spelling.market,
                quote=quote,
                group=group,
                role=role,
            )
        return self._sources[name].id
