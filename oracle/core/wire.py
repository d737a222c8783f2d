"""How facts and values are written: JSON bytes that decode to equal values, on the journal and between machines.

Doubles are written in the shortest form that reads back to the same double, so nothing is lost and nothing depends on
a locale or a library's mood. Structs are arrays: the order of their fields in `core.types` is the format.
"""

from __future__ import annotations

import msgspec

from oracle.core.types import Beat, Observation, Value

_encoder = msgspec.json.Encoder(decimal_format="string")
_beat_decoder = msgspec.json.Decoder(Beat)
_values_decoder = msgspec.json.Decoder(tuple[Value, ...])
_observation_decoder = msgspec.json.Decoder(Observation)


def encode(record: object) -> bytes:
    """Any Struct, or tuple of Structs, as JSON bytes. Equal values give equal bytes."""
    return _encoder.encode(record)


def decode_beat(data: bytes | msgspec.Raw) -> Beat:
    """The beat that `encode` wrote. Raises msgspec.DecodeError."""
    return _beat_decoder.decode(data)


def decode_values(data: bytes | msgspec.Raw) -> tuple[Value, ...]:
    """The values that `encode` wrote. Raises msgspec.DecodeError."""
    return _values_decoder.decode(data)


def decode_observation(data: bytes | msgspec.Raw) -> Observation:
    """One observation. Raises msgspec.DecodeError."""
    return _observation_decoder.decode(data)  # type: ignore[no-any-return]


def scaled_text(units: int, decimals: int) -> str:
    """An integer of its scale as the decimal string the public sees: `scaled_text(6000400, 2)` is `"60004.00"`."""
    sign, digits = ("-", str(-units)) if units < 0 else ("", str(units))
    if decimals == 0:
        return sign + digits
    digits = digits.rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def signing_bytes(parts: tuple[str | int, ...]) -> bytes:
    """What is signed or authenticated: each part as text, preceded by its length, so no two lists share bytes."""
    out = bytearray()
    for part in parts:
        text = str(part).encode()
        out += str(len(text)).encode() + b":" + text + b","
    return bytes(out)
