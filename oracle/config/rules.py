"""A methodology's parameters with an instrument's own on top, checked against the ranges in `core.params`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_type_hints

import msgspec

from oracle.config.reading import nearest
from oracle.config.text import Path
from oracle.core.params import ParameterDoc, Rules, documented
from oracle.errors import ConfigError

Wrong = Callable[[Path, object, str, str], ConfigError]
DAY_MS = 86_400_000
OWN = "own"  # the parameters that one methodology alone has

# What HK-1 states for thinner markets and for the indices that only convert, as deviations from a parameter set.
TIER_2: Mapping[str, Mapping[str, Any]] = {
    "source": {"stale_ms_max": 30_000},
    "ladder": {"fallback_ms_max": 30_000},
    "mark": {"band_bps": 300.0},
}
CONVERSION: Mapping[str, Mapping[str, Any]] = {
    "index": {"groups_configured_min": 3},
    "ladder": {"groups_normal_min": 3, "groups_degraded_min": 2},
}

# Pairs whose first may not exceed their second.
_ORDERED = (
    ("source.stale_ms_min", "source.stale_ms_max"),
    ("index.outlier_bps_min", "index.outlier_bps_max"),
    ("ladder.groups_normal_min", "index.groups_configured_min"),
    ("ladder.groups_degraded_min", "ladder.groups_normal_min"),
    ("ladder.confidence_normal_bps_max", "ladder.confidence_degraded_bps_max"),
    ("ladder.confidence_liquidation_bps_max", "ladder.confidence_degraded_bps_max"),
    ("ladder.clock_normal_ms_max", "ladder.clock_degraded_ms_max"),
    ("ladder.perp_drift_bps_per_s", "ladder.perp_drift_bps_max"),
    ("ladder.guard_alert_ms", "ladder.guard_flag_ms"),
    ("mark.feed_stale_ms", "mark.feed_lost_ms"),
    ("funding.sample_late_ms_max", "funding.sample_ms"),
    ("funding.sample_ms", "funding.interval_ms"),
)


def ruleset(base: Rules, own: Mapping[str, Mapping[str, Any]], *, kind: str, tier: int, wrong: Wrong) -> Rules:
    """`base` as the kind and tier of an instrument vary it, then with the instrument's `own` values.

    `wrong` makes the ConfigError for a path below the instrument; it is raised for an unknown name, a wrong type, a
    value outside its range, and values that contradict each other.
    """
    _check_names(own, wrong)
    made = base
    shared = {section: values for section, values in own.items() if section != OWN}
    for layer in (_lowered(base) if kind == "conversion" else {}, TIER_2 if tier == 2 else {}, shared):
        made = _replaced(made, layer)
    _check_pairs(made, own, wrong)
    return msgspec.structs.replace(made, own=_own(base.own, own[OWN], wrong)) if OWN in own else made


def _lowered(base: Rules) -> Mapping[str, Mapping[str, Any]]:
    """What a conversion needs, or less where its methodology needs less: an authority's rate is one group."""
    return {
        section: {name: min(value, getattr(getattr(base, section), name)) for name, value in values.items()}
        for section, values in CONVERSION.items()
    }


def _own(base: Any, values: Mapping[str, Any], wrong: Wrong) -> Any:
    """A methodology's own parameters with an instrument's on top: their type says what each may be."""
    known = [] if base is None else list(base.__struct_fields__)
    if not known:
        raise wrong(("rules", OWN), None, "this methodology has no parameters of its own", "remove the table")
    for name, value in values.items():
        path: Path = ("rules", OWN, name)
        if name not in known:
            raise wrong(path, value, "unknown parameter", nearest(name, known))
        try:
            base = msgspec.convert({**msgspec.to_builtins(base), name: value}, type(base))
        except msgspec.ValidationError as error:
            message = str(error)
            raise wrong(path, value, message[:1].lower() + message[1:], "") from None
    return base


def ranges() -> dict[str, ParameterDoc]:
    """Every parameter by its dotted name."""
    return {row.name: row for row in documented()}


def _replaced(rules: Rules, layer: Mapping[str, Mapping[str, Any]]) -> Rules:
    for section, values in layer.items():
        old = getattr(rules, section)
        kept = {name: _same_kind(getattr(old, name), value) for name, value in values.items()}
        rules = msgspec.structs.replace(rules, **{section: msgspec.structs.replace(old, **kept)})
    return rules


def _same_kind(old: float, value: float) -> float:
    return float(value) if isinstance(old, float) else value


def _check_names(own: Mapping[str, Mapping[str, Any]], wrong: Wrong) -> None:
    known = ranges()
    sections = sorted({name.split(".")[0] for name in known})
    for section, values in own.items():
        if section == OWN:
            continue
        if section not in sections:
            raise wrong(("rules", section), None, "unknown group of parameters", nearest(section, [*sections, OWN]))
        for name, value in values.items():
            path: Path = ("rules", section, name)
            row = known.get(f"{section}.{name}")
            if row is None:
                raise wrong(path, value, "unknown parameter", _elsewhere(section, name, known))
            _check_value(path, value, row, wrong)


def _elsewhere(section: str, name: str, known: Mapping[str, ParameterDoc]) -> str:
    """The nearest name of the section, or where that very name belongs."""
    for dotted in known:
        if dotted.split(".")[1] == name:
            return f"did you mean rules.{dotted}?"
    return nearest(name, [k.split(".")[1] for k in known if k.startswith(f"{section}.")])


def _check_value(path: Path, value: object, row: ParameterDoc, wrong: Wrong) -> None:
    unit = f"{row.minimum:.12g} to {row.maximum:.12g} {row.unit}"
    whole = _is_whole(row.name)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise wrong(path, value, "not a whole number" if whole else "not a number", f"allowed: {unit}")
    if not row.minimum <= value <= row.maximum:  # false for NaN too
        raise wrong(path, value, "out of range", f"allowed: {unit}")


def _is_whole(dotted: str) -> bool:
    section, name = dotted.split(".")
    hint = get_type_hints(get_type_hints(Rules)[section], include_extras=True)[name]
    return get_args(hint)[0] is int


def _check_pairs(rules: Rules, own: Mapping[str, Mapping[str, Any]], wrong: Wrong) -> None:
    def blame(*dotted: str) -> tuple[Path, object]:
        """The one of these names that the instrument set itself."""
        for section, _, name in (d.partition(".") for d in dotted):
            if name in own.get(section, {}):
                return ("rules", section, name), own[section][name]
        return ("rules",), None

    for problem, remedy, names in _contradictions(rules):
        path, value = blame(*names)
        raise wrong(path, value, problem, remedy)


def _contradictions(rules: Rules) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What is wrong, what would be right, and the parameters that are to blame."""
    for smaller, larger in _ORDERED:
        low, high = _value(rules, smaller), _value(rules, larger)
        if low > high:
            yield f"{smaller} {low:g} exceeds {larger} {high:g}", f"at most {larger}", (smaller, larger)
    funding = rules.funding
    if DAY_MS % funding.interval_ms:
        yield (
            f"a funding interval of {funding.interval_ms} ms does not divide 24 h",
            "for example 28800000, 3600000 or 60000",
            ("funding.interval_ms",),
        )
    if funding.offset_ms >= funding.interval_ms:
        names = ("funding.offset_ms", "funding.interval_ms")
        yield f"offset_ms {funding.offset_ms} is no part of an interval of {funding.interval_ms} ms", "less", names
    if funding.interval_ms % funding.sample_ms:
        names = ("funding.sample_ms", "funding.interval_ms")
        yield f"sample_ms {funding.sample_ms} does not divide interval_ms {funding.interval_ms}", "a divisor", names


def _value(rules: Rules, dotted: str) -> float:
    section, name = dotted.split(".")
    return float(getattr(getattr(rules, section), name))
