"""What is written reads back equal, equal things are equal bytes anywhere, and no two lists are signed alike."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.core import types
from oracle.core.wire import (
    decode_beat,
    decode_observation,
    decode_values,
    encode,
    scaled_text,
    signing_bytes,
)

OBSERVATIONS: tuple[type, ...] = get_args(types.Observation)
VALUES: tuple[type, ...] = get_args(types.Value)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def anything(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that a type hint of a noun allows; no NaN and no infinity, which JSON does not have."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if get_origin(hint) is UnionType:
        return st.one_of([anything(part) for part in get_args(hint)])
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            return st.lists(anything(inner[0]), max_size=4).map(tuple)
        return st.tuples(*[anything(part) for part in inner])
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(-(10**30), 10**30),
        bool: st.booleans(),
        str: TEXT,
        type(None): st.none(),
    }
    return simple[hint]


def made(noun: type) -> st.SearchStrategy[Any]:
    return st.builds(noun, **{name: anything(hint) for name, hint in get_type_hints(noun).items()})


@pytest.mark.parametrize("noun", OBSERVATIONS)
@settings(max_examples=40)
@given(data=st.data())
def test_an_observation_reads_back_equal(noun: type, data: st.DataObject) -> None:
    seen = data.draw(made(noun))
    read = decode_observation(encode(seen))
    assert read == seen
    assert type(read) is noun
    assert encode(read) == encode(seen)


@pytest.mark.parametrize("noun", VALUES)
@settings(max_examples=40)
@given(data=st.data())
def test_a_value_reads_back_equal(noun: type, data: st.DataObject) -> None:
    values = tuple(data.draw(st.lists(made(noun), max_size=3)))
    read = decode_values(encode(values))
    assert read == values
    assert encode(read) == encode(values)


@settings(max_examples=40)
@given(st.integers(0, 2**63), st.integers(0, 2**63), st.lists(st.one_of([made(n) for n in OBSERVATIONS]), max_size=6))
def test_a_beat_reads_back_equal(seq: int, at_ns: int, seen: list[types.Observation]) -> None:
    beat = types.Beat(seq, at_ns, tuple(seen), len(seen))
    assert decode_beat(encode(beat)) == beat
    assert decode_beat(msgspec.Raw(encode(beat))) == beat


@pytest.mark.parametrize("data", [b"", b"[]", b'["Z",1]', b'["B",1]', b'["B",0,1.0,1.0,1.0,1.0,0,"now"]', b"{}"])
def test_what_nobody_wrote_is_refused(data: bytes) -> None:
    for decode in (decode_beat, decode_observation):
        with pytest.raises(msgspec.DecodeError):
            decode(data)
    with pytest.raises(msgspec.DecodeError):
        decode_values(b"[" + data + b"]" if data else data)


RUN = """
import hashlib, importlib.util, sys
from oracle.core.engine import encode_state
from oracle.core.wire import encode
spec = importlib.util.spec_from_file_location("rigs", sys.argv[1])
rigs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rigs)
rig = rigs.Rig(rigs.make_world(4, usdt=3))
rig.quote_all(60_000.0)
rig.engine_price = 60_025.0
digest = hashlib.sha256()
for step in range(150):
    rig.prices["v0"] = 60_000.0 + 13 * step
    if step == 60:
        rig.prices["t0"] = rig.prices["v1"] = None
    digest.update(encode(rig.beat(130)))
digest.update(encode_state(rig.engine.state))
sys.stdout.write(digest.hexdigest())
"""


def test_equal_beats_give_equal_bytes_whatever_the_hash_seed() -> None:
    rigs, root = Path(__file__).with_name("conftest.py"), Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", RUN, str(rigs)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "4711")
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64


@given(st.integers(-(10**30), 10**30), st.integers(0, 12))
def test_an_integer_of_its_scale_is_the_decimal_the_public_sees(units: int, decimals: int) -> None:
    text = scaled_text(units, decimals)
    assert Decimal(text) == Decimal(units).scaleb(-decimals) or len(str(abs(units))) > 28
    assert text == f"{Decimal(f'{units}E-{decimals}'):f}"


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [(6_000_400, 2, "60004.00"), (5, 2, "0.05"), (-5, 2, "-0.05"), (0, 8, "0.00000000"), (-1_234, 0, "-1234")],
)
def test_examples_of_scaled_integers(units: int, decimals: int, text: str) -> None:
    assert scaled_text(units, decimals) == text


def parts_of(data: bytes) -> list[str]:
    """The only list that these bytes can stand for."""
    found = []
    while data:
        length, _, rest = data.partition(b":")
        size = int(length)
        assert rest[size : size + 1] == b","
        found.append(rest[:size].decode())
        data = rest[size + 1 :]
    return found


@given(st.lists(st.one_of(TEXT, st.integers(), st.sampled_from(["1:a,", ",", ":", ""])), max_size=6))
def test_signed_bytes_say_which_parts_they_are_of(parts: list[str | int]) -> None:
    assert parts_of(signing_bytes(tuple(parts))) == [str(part) for part in parts]


def test_parts_do_not_run_into_one_another() -> None:
    alike = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a,1:b", "c")]
    assert len({signing_bytes(parts) for parts in alike}) == len(alike)
    assert signing_bytes(("BTC-USD", 7)) == b"7:BTC-USD,1:7,"
