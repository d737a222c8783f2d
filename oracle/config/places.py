"""Where the sources of an index were written, and what was written there: read one by one, each mistake a ConfigError.

A place is a source as its instrument names it: the spelling, the currency that means, the unit, and the time in which
the symbol means the asset. Nothing here asks whether an instrument would be wise; `refusals` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from oracle.config.reading import nearest
from oracle.config.settings import DatedSource, Index, Settings
from oracle.config.source import SPOT, Spelling, instant_ns, parse_source, spelt_quote
from oracle.config.text import Path
from oracle.config.venues import ECB, FEED, authorities, has_file, venue_names
from oracle.core.params import Role
from oracle.core.types import Nanos
from oracle.errors import ConfigError

_DERIVATIVE = re.compile(r"-SWAP$|-PERP(ETUAL)?$|\.P$|:")


class Place(NamedTuple):
    """A source of an index as it was written, and where. `to_ns` 0: without end."""

    path: Path
    text: str
    spelling: Spelling
    quote: str
    role: Role
    ratio: float = 1.0
    from_ns: Nanos = 0
    to_ns: Nanos = 0

    @property
    def venue(self) -> str:
        """The venue, as the source names it."""
        return self.spelling.venue

    @property
    def letters(self) -> str:
        """The symbol without what venues put between and behind its currencies."""
        return re.sub(r"[^A-Z0-9]", "", self.spelling.symbol.upper())

    @property
    def derivative(self) -> bool:
        """Whether the symbol itself says that it is no spot market."""
        return bool(_DERIVATIVE.search(self.spelling.symbol.upper()))

    def ended(self, at_ns: Nanos) -> bool:
        """Whether the symbol has stopped meaning this asset."""
        return 0 < self.to_ns <= at_ns


def places(settings: Settings, i: int, field: str, wrong: list[ConfigError]) -> list[Place]:
    """The sources that index `i` names in `sources` or `perp_sources`; what cannot be read is added to `wrong`."""
    index = settings.index[i]
    found = []
    for k, written in enumerate(getattr(index, field)):
        path: Path = ("index", i, field, k)
        try:
            found.append(_place(settings, path, written, index, Role.SPOT if field == "sources" else Role.PERP))
        except ConfigError as error:
            wrong.append(error)
    return found


def repeated(settings: Settings, found: list[Place]) -> Iterator[ConfigError]:
    """A source that one instrument names twice."""
    seen: set[str] = set()
    for place in found:
        if place.spelling.name in seen:
            yield settings.wrong(place.path, place.text, "stands here twice", "remove one")
        seen.add(place.spelling.name)


def _place(settings: Settings, path: Path, written: str | DatedSource, index: Index, role: Role) -> Place:
    text = written if isinstance(written, str) else written.source
    try:
        spelling = parse_source(text)
    except ValueError as error:
        raise settings.wrong(path, text, str(error), "for example kraken:BTC/USD") from None
    role = _reference(settings, path, text, spelling, role)
    place = Place(path, text, spelling, _currency(settings, path, text, spelling, index), role)
    return place if isinstance(written, str) else _dated(settings, place, written)


def _reference(settings: Settings, path: Path, text: str, spelling: Spelling, role: Role) -> Role:
    """What the source is for, once it is known that somebody can read it."""
    venue = spelling.venue
    if venue != ECB and not venue.startswith(FEED):
        if not has_file(venue):
            raise settings.wrong(path, text, "no such venue", nearest(venue, venue_names()))
        return role
    if venue != ECB and venue.removeprefix(FEED) not in settings.feeds:
        remedy = nearest(venue.removeprefix(FEED), settings.feeds) or f"declare it: [feeds.{venue.removeprefix(FEED)}]"
        raise settings.wrong(path, text, "no such feed", remedy)
    base, _, quote = spelling.symbol.partition("/")
    if not base.isalnum() or not quote.isalnum() or spelling.market != SPOT:
        raise settings.wrong(path, text, "a rate is written venue:BASE/QUOTE", f"for example {venue}:USD/HKD")
    fixed = authorities()[ECB].quotes
    if venue == ECB and not {base, quote} <= set(fixed):
        strange = base if base not in fixed else quote
        raise settings.wrong(path, text, f"the ECB fixes no {strange}", f"it fixes {', '.join(fixed)}")
    if role is Role.PERP:
        raise settings.wrong(path, text, "a stated rate is no perpetual", "name it in sources")
    return Role.REFERENCE


def _currency(settings: Settings, path: Path, text: str, spelling: Spelling, index: Index) -> str:
    currencies = (index.quote, *index.conversions)
    quote = spelling.quote or spelt_quote(spelling.symbol, index.base, currencies)
    if not quote:
        remedy = f"add a conversion, or state the currency: {text}=QUOTE"
        raise settings.wrong(path, text, f"does not spell {index.base} and one of {', '.join(currencies)}", remedy)
    if quote not in currencies:
        raise settings.wrong(path, text, f"{quote} has no conversion", f'add {quote} = "{quote}-{index.quote}"')
    return quote


def _dated(settings: Settings, place: Place, written: DatedSource) -> Place:
    from_ns, to_ns = instant_ns(written.since), instant_ns(written.until)
    if to_ns and to_ns <= from_ns:
        problem = f"ends at {written.until}, before it begins at {written.since}"
        raise settings.wrong(place.path, place.text, problem, "from lies before until")
    return place._replace(ratio=written.ratio, from_ns=from_ns, to_ns=to_ns)
