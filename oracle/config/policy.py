"""The rules that protect consumers, one function each: what is found on an instrument, and what it is refused for.

What merges and what is refused. Sources of one owner merge into one vote, whatever their number: they make an index no
safer and no worse. Refused is what would let one party count as two or as nobody: the same market read twice (natively
and through ccxt, in two spellings or two sections), a feed's address under two owners, a venue whose owner nobody has
named. A LIVE index needs enough owners, none with a quarter of the vote, and enough that survive any one domain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct

from oracle.config.places import Place
from oracle.config.settings import Feed, Index, Settings
from oracle.config.source import parse_source, spelt_quote
from oracle.config.text import Path
from oracle.config.venues import FEED, currencies, facts_of, native, sandboxes
from oracle.core.basket import weight_of
from oracle.core.params import Role, Rules
from oracle.core.types import NANOS_PER_MS, NANOS_PER_S, Nanos
from oracle.errors import ConfigError

# An owner's largest share of the votes, by kind of index: at a quarter and above, three others do not outvote him
# comfortably; the indices that only convert need fewer owners (HK-1 S3).
SHARE_MAX: Mapping[str, float] = {"reference": 0.25, "conversion": 0.5}
DAY_MS = 86_400_000
GAP_MS_MAX = 7 * DAY_MS  # a symbol that is away for longer has not been renamed

# Words that a host or a path of a market never has, whole or, where nothing else is spelt so, as a part.
_PLAY_PARTS = ("sandbox", "testnet", "staging")
_PLAY_WORDS = frozenset(("test", "demo", "paper", "uat", "sim", "simnext", "mock", "dev", "beta", "wspap"))
_PLAY_QUERY = re.compile(r"(^|&)brokerid=9999(&|$)", re.IGNORECASE)  # OKX's demo trading


class Heard(NamedTuple):
    """What a rule found on an instrument, what it refuses, and what it warns of, each warning with its remedy."""

    found: str
    errors: Sequence[ConfigError] = ()
    warnings: Sequence[tuple[str, str]] = ()


class Case(Struct, frozen=True):
    """An index as it was configured: who votes, who stands outside, and what it is judged by."""

    settings: Settings
    at: Path
    index: Index
    rules: Rules
    votes: Sequence[Place]
    outside: Sequence[Place]
    at_ns: Nanos

    @property
    def voting(self) -> list[Place]:
        """Who votes, now or later: venues that are not dialled and symbols that have ended do not."""
        return [v for v in self.votes if self.settings.venue(v.venue).enabled and not v.ended(self.at_ns)]

    def group(self, place: Place) -> str:
        """The owner group of a source."""
        return self.settings.group_of(place.venue)

    def feed(self, place: Place) -> Feed | None:
        """The feed that a source asks; None for a venue."""
        return self.settings.feeds.get(place.venue.removeprefix(FEED)) if place.venue.startswith(FEED) else None

    def wrong(self, place: Place, problem: str, remedy: str) -> ConfigError:
        """The error that points at a source."""
        return self.settings.wrong(place.path, place.text, problem, remedy)


def shares(instrument: Case) -> dict[str, float]:
    """Each owner group's share of the votes, by first appearance; they sum to 1.

    Groups share equally, unless the methodology gives venues weights (`core.basket.weight_of`): then a group has the
    sum of its venues'.
    """
    made: dict[str, float] = {}
    for venue, group in dict.fromkeys((place.venue, instrument.group(place)) for place in instrument.voting):
        weight = weight_of(instrument.rules.own, venue)
        weighted = isinstance(getattr(instrument.rules.own, "weights", None), Mapping)
        made[group] = made.get(group, 0.0) + weight if weighted else 1.0
    total = sum(made.values())
    return {group: weight / total for group, weight in made.items()} if total > 0.0 else made


def is_number(text: str) -> bool:
    """Whether a text is nothing but a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_read(settings: Settings, index: Index) -> bool:
    """Whether any source of an index is dialled at all; one that is made of others rests on theirs."""
    if index.legs:
        return True
    for written in index.sources:
        try:
            venue = parse_source(written if isinstance(written, str) else written.source).venue
        except ValueError:
            continue
        if settings.venue(venue).enabled:
            return True
    return False


def hear_own(case: Case) -> Heard:
    """Nobody prices by his own market, nor by that of a party related to him."""
    settings, errors = case.settings, []
    listed = {venue: name for name in ("affiliates", "own_venues") for venue in getattr(settings, name)}
    owners = {settings.group_of(venue): venue for venue in listed}
    for place in (*case.votes, *case.outside):
        if place.venue in listed or native(place.venue) in listed:
            whose, venue = "", place.venue if place.venue in listed else native(place.venue)
        elif case.group(place) in owners:
            venue = owners[case.group(place)]
            whose = f"is of {case.group(place)}, whose {venue} "
        else:
            continue
        problem = f"{whose}stands in {listed[venue]}: nobody prices by his own market"
        errors.append(case.wrong(place, problem, "remove it"))
    return Heard(f"none of {', '.join(listed)}" if listed else "no venue is listed", errors)


def hear_owners(case: Case) -> Heard:
    """Everybody's owner and failure domain are known: who they are decides what counts as two."""
    settings, errors = case.settings, []
    for place in (*case.votes, *case.outside):
        name = native(place.venue)
        missing = [
            table
            for table, named in (("groups", settings.groups), ("domains", settings.domains))
            if name not in named and facts_of(name) is None
        ]
        if missing:
            what = "owner" if missing == ["groups"] else "failure domain" if len(missing) == 1 else "owner and domain"
            remedy = ", ".join(f'[{table}] "{name}" = "…"' for table in missing) + ', or status = "TEST"'
            errors.append(case.wrong(place, f"the {what} of {name} is not known", remedy))
    owners = dict.fromkeys(case.group(place) for place in case.votes)
    return Heard(", ".join(owners), errors)


def hear_one_vote(case: Case) -> Heard:
    """No market is read twice, and no address has two owners."""
    errors = [*_same_markets(case, case.votes), *_same_markets(case, case.outside), *_same_addresses(case)]
    merged = len(case.voting) - len({case.group(place) for place in case.voting})
    return Heard(f"no market twice; {merged} merge into their owner's vote" if merged else "no market twice", errors)


def _same_markets(case: Case, found: Sequence[Place]) -> Iterator[ConfigError]:
    known: list[tuple[tuple[str, ...], Place]] = []
    for place in found:
        market = _market(case, place)
        for other_market, other in known:
            apart = (other.to_ns and other.to_ns <= place.from_ns) or (place.to_ns and place.to_ns <= other.from_ns)
            if market == other_market and not apart and place.spelling.name != other.spelling.name:
                problem = f"is {other.text} once more: one owner, one market, one vote"
                yield case.wrong(place, problem, "remove one of the two, or let one end where the other begins")
                break
        known.append((market, place))


def _market(case: Case, place: Place) -> tuple[str, ...]:
    """What makes two sources of an instrument the same market, however they are spelt.

    A venue has one spot market of a base in a currency; of perpetuals it may have several, which their letters tell
    apart. A feed's place is its address and path.
    """
    desk = case.feed(place)
    if desk is not None:
        return (desk.url, desk.path, place.spelling.symbol if _varies(desk) else "")
    if place.role is Role.PERP:
        return (native(place.venue), place.letters.removesuffix("SWAP"))
    return (native(place.venue), place.quote, "derivative" if place.derivative else "")


def _varies(desk: Feed) -> bool:
    """Whether a feed tells one symbol from another."""
    return bool(desk.symbol_path) or "{" in desk.url + desk.path


def _same_addresses(case: Case) -> Iterator[ConfigError]:
    owners: dict[str, tuple[str, Place]] = {}
    for place in case.votes:
        desk = case.feed(place)
        if desk is not None:
            host = urlsplit(desk.url).netloc
            owner, other = owners.setdefault(host, (case.group(place), place))
            if owner != case.group(place):
                problem = f"asks {host} like {other.text}, as if another owned it"
                yield case.wrong(place, problem, f'give both one owner: [groups] "{place.venue}" = "{owner}"')


def hear_constants(case: Case) -> Heard:
    """No source is a constant, and no currency is taken for another at one to one."""
    errors = [*_misnamed(case), *_feeds_without_time(case)]
    if case.index.base == case.index.quote:
        path: Path = (*case.at, "quote")
        problem = f"{case.index.base} in {case.index.quote} is a constant"
        errors.append(case.settings.wrong(path, case.index.quote, problem, "price it in another currency"))
    return Heard("every source states its own currency", errors)


def _misnamed(case: Case) -> Iterator[ConfigError]:
    for place in (*case.votes, *case.outside):
        spelt = spelt_quote(place.spelling.symbol, case.index.base, currencies())
        if spelt and spelt != place.quote:
            remedy = f'convert it: conversions = {{ {spelt} = "{spelt}-{case.index.quote}" }}'
            yield case.wrong(place, f"spells {spelt} and is taken for {place.quote} at one to one", remedy)


def _feeds_without_time(case: Case) -> Iterator[ConfigError]:
    for place in case.votes:
        desk = case.feed(place)
        if desk is None:
            continue
        path: Path = ("feeds", place.venue.removeprefix(FEED))
        if is_number(desk.path) or desk.path == desk.time_path:
            remedy = "name the key under which the rate stands"
            yield case.settings.wrong((*path, "path"), desk.path, "states a constant, not a rate", remedy)
        elif not desk.time_path:
            problem = "no time_path: a rate that never changes would look new for ever"
            yield case.settings.wrong(path, None, problem, "say where the time of its rate stands")
        elif not _varies(desk) and _symbols(case, place.venue) > 1:
            problem = "one place for several sources: each would state the other's rate"
            yield case.settings.wrong((*path, "path"), desk.path, problem, "use {base}, {quote} or {symbol}")


def _symbols(case: Case, venue: str) -> int:
    """How many symbols of a venue the instruments name between them."""
    texts = (w if isinstance(w, str) else w.source for index in case.settings.index for w in index.sources)
    return len({text.partition("=")[0] for text in texts if text.startswith(f"{venue}:")})


def hear_sandboxes(case: Case) -> Heard:
    """Nobody is dialled where he plays."""
    settings, errors = case.settings, []
    asked = {place.venue: place for place in (*case.votes, *case.outside)}
    for venue, place in asked.items():
        desk, how = case.feed(place), settings.venue(venue)
        addresses: dict[Path, str | None] = {("venues", venue, "url"): how.url}
        addresses |= {("venues", venue, "endpoints", k): address for k, address in enumerate(how.endpoints)}
        if desk is not None:
            addresses["feeds", venue.removeprefix(FEED), "url"] = desk.url
        for path, address in addresses.items():
            if address and is_sandbox(address):
                problem = "is no market, and a LIVE instrument would be priced by it"
                errors.append(settings.wrong(path, address, problem, 'or status = "TEST"'))
    return Heard(f"{len(asked)} venues, none of them played", errors)


def is_sandbox(address: str) -> bool:
    """Whether an address is one where a venue plays: by its host, whatever the port or subdomain, its path or query."""
    try:
        parts = urlsplit(address.lower())
        host = parts.hostname or ""
    except ValueError:
        return True
    if any(host == known or host.endswith("." + known) for known in sandboxes()):
        return True
    words = re.split(r"[^a-z0-9]+", host + parts.path)
    played = any(part in host + parts.path for part in _PLAY_PARTS) or not _PLAY_WORDS.isdisjoint(words)
    return played or bool(_PLAY_QUERY.search(parts.query))


def hear_groups(case: Case) -> Heard:
    """Enough independent owners vote."""
    groups = list(dict.fromkeys(case.group(place) for place in case.voting))
    needed, have = case.rules.index.groups_configured_min, len(groups)
    if have >= needed:
        return Heard(f"{have} owner groups, at least {needed}")
    problem = f"{have} owner group{'s' * (have != 1)} behind a LIVE index: {', '.join(groups)}"
    remedy = f'at least {needed}, or status = "TEST"'
    return Heard("", [case.settings.wrong((*case.at, "sources"), None, problem, remedy)])


def hear_shares(case: Case) -> Heard:
    """No owner has so large a share of the votes that the others hardly hold him."""
    most, made = SHARE_MAX[case.index.kind], shares(case)
    heavy = {group: share for group, share in made.items() if share >= most}
    if not heavy:
        group = max(made, key=lambda name: made[name], default="")
        return Heard(f"{group} has {made[group]:.1%}, less than {most:.0%}" if group else "nobody votes")
    problem = f"{' and '.join(f'{g} with {s:.1%}' for g, s in heavy.items())} of the votes"
    remedy = f"every owner below {most:.0%}: add owners or lower the weight"
    return Heard("", [case.settings.wrong((*case.at, "sources"), None, problem, remedy)])


def hear_domains(case: Case) -> Heard:
    """No one failure domain may take the index below DEGRADED."""
    groups: dict[str, set[str]] = {}
    for place in case.voting:
        groups.setdefault(case.group(place), set()).add(case.settings.domain_of(place.venue))
    needed, errors, worst = case.rules.ladder.groups_degraded_min, [], (len(groups), "none of them")
    for domain in dict.fromkeys(d for domains in groups.values() for d in sorted(domains)):
        left = sum(domains != {domain} for domains in groups.values())
        worst = min(worst, (left, domain))
        if left < needed:
            problem = f"losing {domain} leaves {left} owner group{'s' * (left != 1)}"
            remedy = f"at least {needed} must remain: spread the sources"
            errors.append(case.settings.wrong((*case.at, "sources"), None, problem, remedy))
    return Heard(f"losing {worst[1]} leaves {worst[0]} groups, at least {needed}", errors)


def hear_identity(case: Case) -> Heard:
    """A symbol that becomes another does so once: at no time do both stand, and a time without either is told."""
    errors: list[ConfigError] = []
    warnings: list[tuple[str, str]] = []
    chains: dict[tuple[str, str], list[Place]] = {}
    for place in case.votes:
        if place.from_ns or place.to_ns:
            chains.setdefault((native(place.venue), place.quote), []).append(place)
    for (venue, _), chain in chains.items():
        for one, two in pairwise(sorted(chain, key=lambda place: place.from_ns)):
            _judge_change(case, one, two, errors, warnings)
        if ended := [place.text for place in chain if place.ended(case.at_ns)]:
            warnings.append((f"{', '.join(ended)} has ended", f"remove it when {venue} is changed next"))
    warnings += _thin_moments(case)
    dated = sum(map(len, chains.values()))
    return Heard(f"{dated} dated sources" if dated else "no source is dated", errors, warnings)


def _judge_change(
    case: Case, one: Place, two: Place, errors: list[ConfigError], warnings: list[tuple[str, str]]
) -> None:
    if not one.to_ns or two.from_ns < one.to_ns:
        problem = f"stands at the same time as {one.text}"
        errors.append(case.wrong(two, problem, "let it begin where the other ends: from = its until"))
        return
    gap_ms = (two.from_ns - one.to_ns) // NANOS_PER_MS
    if gap_ms > GAP_MS_MAX:
        problem = f"begins {gap_ms // DAY_MS} days after {one.text} ends"
        errors.append(case.wrong(two, problem, "a renamed symbol is away for hours: correct the dates"))
    elif gap_ms:
        told = f"{two.text} begins {gap_ms // 60_000} min after {one.text} ends"
        warnings.append((told, "no vote of it in between"))


def _thin_moments(case: Case) -> Iterator[tuple[str, str]]:
    """The times to come from which fewer groups vote than the index is configured with."""
    needed = case.rules.index.groups_configured_min
    for at_ns in sorted({ns for place in case.voting for ns in (place.from_ns, place.to_ns) if ns > case.at_ns}):
        listed = [p for p in case.voting if p.from_ns <= at_ns and not p.ended(at_ns)]
        have = len({case.group(place) for place in listed})
        if have < needed:
            at = datetime.fromtimestamp(at_ns // NANOS_PER_S, UTC).isoformat().replace("+00:00", "Z")
            yield f"from {at} on {have} owner groups vote", f"at least {needed}: change the venues one after another"


Rule = tuple[str, Callable[[Case], Heard]]
ALWAYS: tuple[Rule, ...] = (("own market", hear_own), ("identity", hear_identity))
LIVE: tuple[Rule, ...] = (
    ("owners", hear_owners),
    ("one vote", hear_one_vote),
    ("constants", hear_constants),
    ("sandboxes", hear_sandboxes),
    ("groups", hear_groups),
    ("shares", hear_shares),
    ("domains", hear_domains),
)
