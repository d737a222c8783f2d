"""Every setting: its name, unit, range and default. The shipped file shows a field's description as its comment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from oracle.config.source import instant
from oracle.config.text import Path as KeyPath
from oracle.config.text import line_of
from oracle.config.venues import facts_of, native
from oracle.errors import ConfigError

Port = Annotated[int, Field(ge=0, le=65_535)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Overrides = dict[str, dict[str, Any]]


class Section(BaseModel):
    """A table of settings. A key that is not written here is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(Section):
    """The public door and the live loop."""

    host: str = Field("127.0.0.1", description="address the public API listens on; 0.0.0.0 for every interface")
    port: Port = Field(8080, description="port of the public API; 0 lets the system choose")
    data_dir: Path = Field(Path("var"), description="folder of journal, snapshots and the engine feed's state")
    beat_ms_min: int = Field(20, ge=0, le=1_000, description="shortest time between two beats, ms; 0 conflates nothing")
    value_age_ms_max: int = Field(
        3_000, ge=1_000, le=60_000, description="an older value is shown as stale, and the service as not ready, ms"
    )
    durability: Literal["written", "synced"] = Field(
        "written", description="written survives the death of the process, synced that of the machine"
    )
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto is console on a terminal")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severe event that is logged"
    )


class Metrics(Section):
    """Prometheus' door."""

    enabled: bool = Field(True, description="whether /metrics is served")
    host: str = Field("127.0.0.1", description="address /metrics listens on")
    port: Port = Field(8082, description="port of /metrics; 0 lets the system choose")


class EngineFeed(Section):
    """The door through which the platform's trading engine pushes its own market. It is authenticated."""

    enabled: bool = Field(True, description="whether the trading engine may push its market")
    host: str = Field("127.0.0.1", description="address the engine feed listens on")
    port: Port = Field(8081, description="port of the engine feed; 0 lets the system choose")
    keys_file: Path | None = Field(
        None, description="file of `<key id> <secret in hex>` lines, mode 0600; the environment may hold keys instead"
    )
    keys: dict[str, SecretStr] = Field(
        default_factory=dict, description="key id to secret in hex; better in ORACLE_ENGINE_FEED__KEYS__<ID> than here"
    )
    tls_cert_file: Path | None = Field(None, description="PEM certificate chain; with it the door speaks TLS only")
    tls_key_file: Path | None = Field(None, description="PEM key of the certificate")


class Journal(Section):
    """The signed record from which everything can be recomputed."""

    key_file: Path | None = Field(
        None, description="Ed25519 signing key (`oracle keygen`); none: <data_dir>/signing.key"
    )
    checkpoint_ms: int = Field(1_000, ge=100, le=60_000, description="time between two signatures, ms")
    segment_bytes_max: int = Field(
        67_108_864, ge=65_536, le=17_179_869_184, description="a segment is closed, and compressed, at this size"
    )
    snapshot_ms: int = Field(60_000, ge=1_000, le=3_600_000, description="time between two snapshots of the state, ms")


class ClockSettings(Section):
    """How much this machine's clock is trusted."""

    enforce: bool = Field(
        False, description="true: an unsynchronised clock counts as wrong; false: it is only reported"
    )
    check_ms: int = Field(1_000, ge=100, le=60_000, description="time between two looks at the clock, ms")


class Limits(Section):
    """Bounds on what one consumer may ask for: generous for people, tight for loops."""

    requests_per_s: float = Field(60.0, gt=0, le=1e6, description="requests an address may make for long, a second")
    requests_burst: int = Field(120, ge=1, le=1_000_000, description="and at once")
    streams_max: int = Field(1_000, ge=1, le=1_000_000, description="stream connections in all")
    streams_per_address_max: int = Field(50, ge=1, le=1_000_000, description="stream connections of one address")
    stream_messages_max: int = Field(
        256, ge=16, le=1_000_000, description="messages that may wait for a slow reader before it is cut off (4008)"
    )
    stream_bytes_max: int = Field(1_048_576, ge=65_536, le=1 << 30, description="and bytes")
    stream_blocked_ms_max: int = Field(5_000, ge=100, le=600_000, description="and how long it may read nothing, ms")
    stream_heartbeat_ms: int = Field(1_000, ge=100, le=60_000, description="time between two stream heartbeats, ms")
    client_messages_per_s: float = Field(5.0, gt=0, le=1e6, description="messages a stream client may send for long")
    client_messages_burst: int = Field(20, ge=1, le=1_000_000, description="and at once")
    client_errors_max: int = Field(5, ge=1, le=1_000, description="mistakes after which a stream client is cut off")
    stream_resume_max: int = Field(
        5_000, ge=1, le=1_000_000, description="messages an instrument keeps in memory for from_seq"
    )


class Venue(Section):
    """How a venue is reached. A venue without a table is reached as its file says."""

    enabled: bool = Field(True, description="false: its sources are configured but not dialled, and do not vote")
    url: str | None = Field(
        None, pattern=r"^(wss?|https?)://[^/\s]+", description="dial this scheme, host and port instead of its own"
    )
    proxy: str | None = Field(None, pattern=r"^http://[^/\s]+", description="HTTP proxy to dial through")
    library: Literal["auto", "picows", "websockets", "aiohttp"] = Field(
        "auto", description="which WebSocket library carries its bytes; auto is picows, with a proxy aiohttp"
    )
    endpoints: tuple[Annotated[str, Field(pattern=r"^wss?://[^/\s]+")], ...] = Field(
        (), description="other addresses of the same stream, in the order in which they are tried when its own fails"
    )
    lines: int = Field(
        1, ge=1, le=4, description="connections that carry the same symbols; a source is down when all are"
    )
    ccxt: str = Field(
        "auto",
        pattern=r"^[a-z0-9]+$",
        description="what ccxt calls it, for a last resort; auto where it is known, or off",
    )
    stream: bool = Field(
        True, description="of ccxt.<exchange>: ccxt.pro's streams are read where it has them; false: REST only"
    )


class Feed(Section):
    """A rate that somebody states as JSON: a desk's own foreign exchange or metals. Its sources are `feed.<name>:…`."""

    url: str = Field(
        pattern=r"^(https?|wss?)://[^/\s]+", description="address; {base}, {quote} and {symbol} stand for the source's"
    )
    path: str = Field(min_length=1, description="where the rate stands: keys and places with dots between")
    time_path: str = Field("", description="where its time stands; a LIVE index needs it")
    time_unit: Literal["s", "ms", "us", "ns", "rfc3339"] = Field(
        "ms", description="unit of its time: s ms us ns rfc3339"
    )
    symbol_path: str = Field("", description="where the answer names what it is of; checked when given")
    symbol: str = Field("{base}/{quote}", min_length=1, description="how the feed spells a symbol")
    scale: float = Field(1.0, gt=0, le=1e12, description="the rate is multiplied by this, for another unit")
    rate_min: float = Field(1e-9, gt=0, le=1e12, description="a lower rate is refused, after scale")
    rate_max: float = Field(1e9, gt=0, le=1e12, description="a higher rate is refused, after scale")
    subscribe: SecretStr = Field(
        SecretStr(""), description="text to send once a WebSocket stands; it may hold a secret"
    )
    every_ms: int = Field(5_000, ge=1_000, le=86_400_000, description="time between two questions over HTTP, ms")
    age_ms_max: int = Field(
        60_000, ge=1_000, le=1_209_600_000, description="an older rate does not count; open time only, ms"
    )
    calendar: Literal["always", "fx", "target"] = Field(
        "always", description="when its market is open: always fx target"
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="header to its value; better in ORACLE_FEEDS__<NAME>__HEADERS__<HEADER> than here",
    )

    @property
    def streams(self) -> bool:
        """Whether it is a WebSocket."""
        return self.url.startswith("ws")


class DatedSource(BaseModel):
    """A source that is one for a time only, or whose unit is another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    since: Annotated[str, BeforeValidator(instant)] = Field("", alias="from")
    until: Annotated[str, BeforeValidator(instant)] = ""
    ratio: float = Field(1.0, ge=1e-9, le=1e9)


def _written(value: object) -> object:
    """A source as text or as a table, with a table's mistake said in one line."""
    if isinstance(value, str | DatedSource):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("source", "input should be text, or a table of source, from, until and ratio")
    try:
        return DatedSource.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        said = {"key": str(first["loc"][0]), "why": first["msg"].removeprefix("Value error, ")}
        raise PydanticCustomError("source", "{key}: {why}", said) from None


WrittenSource = Annotated[str | DatedSource, BeforeValidator(_written)]


def _numbers_as_text(value: object) -> object:
    """A conversion that is a number is refused as what it is, a constant, and not as a wrong type."""
    if not isinstance(value, dict):
        return value
    return {k: str(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in value.items()}


class Index(Section):
    """An index instrument."""

    id: Name = Field(description="name under which it is published")
    base: Name = Field(description="currency that is priced")
    quote: Name = Field("USD", description="currency it is priced in")
    kind: Literal["reference", "conversion"] = Field(
        "reference", description="conversion: it converts sources of other indices and needs fewer groups"
    )
    status: Literal["LIVE", "TEST"] = Field(
        "LIVE", description="TEST is exempt from the refusals that protect consumers"
    )
    tier: Literal[1, 2] = Field(1, description="2 for thinner markets: wider limits, as the methodology says")
    price_decimals: int = Field(2, ge=0, le=12, description="digits after the point of the published price")
    method: Name = Field("hk1", description="methodology")
    sources: tuple[WrittenSource, ...] = Field(
        (),
        description="voting sources in order: venue[/market]:symbol[=QUOTE]; QUOTE where the symbol does not spell it",
    )
    legs: tuple[Annotated[str, Field(pattern=r"^(1/)?[A-Za-z0-9][A-Za-z0-9._-]*$")], ...] = Field(
        (), description="indices that this one is the product of, 1/ before one that divides; instead of sources"
    )
    perp_sources: tuple[WrittenSource, ...] = Field(
        (), description="outside perpetuals, for the PERP_IMPLIED rung; same spelling"
    )
    conversions: Annotated[dict[str, str], BeforeValidator(_numbers_as_text)] = Field(
        default_factory=dict, description="currency of a source to the index that converts it"
    )
    rules: Overrides = Field(default_factory=dict, description="methodology parameters that differ here")


class Perp(Section):
    """A perpetual instrument."""

    id: Name = Field(description="name under which it is published")
    index: Name = Field(description="index it is marked and funded against")
    contract: Literal["linear", "inverse"] = Field("linear", description="how a position is valued")
    contract_size: float = Field(
        1.0, gt=0, le=1e12, description="units of the base (linear) or quote (inverse) a contract"
    )
    price_decimals: int = Field(2, ge=0, le=12, description="digits after the point of the published mark")
    tick: str = Field("0.01", pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$", description="price step, as decimal text")
    method: Name = Field("hk1", description="methodology")
    rules: Overrides = Field(default_factory=dict, description="methodology parameters that differ here")


class Origin(Struct):
    """Where settings were written: the file's lines, and the environment's names."""

    file: str
    lines: dict[KeyPath, int]
    names: dict[KeyPath, str]

    def wrong(self, path: KeyPath, value: object, problem: str, remedy: str = "") -> ConfigError:
        """The error that points at a setting."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.names:
                key = _printable(self.names[path[:end]])
                return ConfigError(problem, file="environment", key=key, value=value, remedy=remedy)
        line = line_of(self.lines, path)
        below = [name for names, name in self.names.items() if names[: len(path)] == path]
        if below and path not in self.lines:
            return ConfigError(problem, file="environment", key=_printable(below[0]), remedy=remedy)
        return ConfigError(problem, file=self.file, line=line, key=dotted(path), value=value, remedy=remedy)


class Settings(BaseSettings):
    """Everything the service is told. Made by `oracle.config.load`."""

    model_config = SettingsConfigDict(env_prefix="ORACLE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    service: Service = Field(default_factory=Service)
    metrics: Metrics = Field(default_factory=Metrics)
    engine_feed: EngineFeed = Field(default_factory=EngineFeed)
    journal: Journal = Field(default_factory=Journal)
    clock: ClockSettings = Field(default_factory=ClockSettings)
    limits: Limits = Field(default_factory=Limits)
    venues: dict[str, Venue] = Field(default_factory=dict)
    groups: dict[str, Name] = Field(default_factory=dict, description="venue to its owner, over what is known")
    domains: dict[str, Name] = Field(
        default_factory=dict, description="venue to its failure domain, over what is known"
    )
    feeds: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")], Feed] = Field(default_factory=dict)
    own_venues: tuple[str, ...] = Field((), description="venues of the platform itself: refused as sources")
    affiliates: tuple[str, ...] = Field((), description="venues of related parties: refused as sources")
    index: tuple[Index, ...] = ()
    perp: tuple[Perp, ...] = ()

    _origin: Origin = PrivateAttr(default_factory=lambda: Origin("", {}, {}))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over: the process's own environment is never read behind its back."""
        return (init_settings,)

    @property
    def origin(self) -> Origin:
        """Where each setting was written."""
        return self._origin

    def wrong(self, path: KeyPath, value: object, problem: str, remedy: str = "") -> ConfigError:
        """The ConfigError that points at a setting, to be raised by whoever finds it wrong."""
        return self._origin.wrong(path, value, problem, remedy)

    def venue(self, name: str) -> Venue:
        """How a venue is reached."""
        return self.venues.get(name, Venue())

    def group_of(self, venue: str) -> str:
        """The owner group of a venue: what is set, else what is known; a venue of neither stands for itself."""
        known = facts_of(venue)
        return self.groups.get(native(venue)) or (known.group.name if known else venue)

    def domain_of(self, venue: str) -> str:
        """The failure domain of a venue: what is set, else what is known; a venue of neither fails alone."""
        known = facts_of(venue)
        return self.domains.get(native(venue)) or (known.domain.name if known else venue)

    @property
    def signing_key_file(self) -> Path:
        """The journal's signing key."""
        return self.journal.key_file or self.service.data_dir / "signing.key"


def dotted(path: KeyPath) -> str:
    """A path as a person would say it: `index[0].rules.source.stale_ms_min`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += ("." if out else "") + _printable(part)
    return out


def _printable(name: str) -> str:
    return name if name.isprintable() else json.dumps(name)
