"""The setOracle action: one canonical form, its hash and digest as the official SDK's own tests have them."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st

from oracle.errors import ConfigError
from oracle.methods._set_oracle import connection_id, encoded, keccak256, set_oracle, signing_digest, sponge, wire

# hyperliquid-dex/hyperliquid-python-sdk, tests/signing_test.py: the wallet of its tests, and what it signed.
PUBLIC = ec.derive_private_key(
    0x0123456789012345678901234567890123456789012345678901234567890123, ec.SECP256K1()
).public_key()
DUMMY = {"type": "dummy", "num": 100_000_000_000}
VAULT = bytes.fromhex("1719884eb866cb12b2287399b15f7db5e7d775ea")
SIGNED: list[tuple[dict[str, Any], bool, bytes | None, int, int]] = [
    (
        DUMMY, True, None,
        0x53749D5B30552AEB2FCA34B530185976545BB22D0B3CE6F62E31BE961A59298,
        0x755C40BA9BF05223521753995ABB2F73AB3229BE8EC921F350CB447E384D8ED8,
    ),
    (
        DUMMY, False, None,
        0x542AF61EF1F429707E3C76C5293C80D01F74EF853E34B76EFFFCB57E574F9510,
        0x17B8B32F086E8CDEDE991F1E2C529F5DD5297CBE8128500E00CBAF766204A613,
    ),
    (
        DUMMY, True, VAULT,
        0x3C548DB75E479F8012ACF3000CA3A6B05606BC2EC0C29C50C515066A326239,
        0x4D402BE7396CE74FBBA3795769CDA45AEC00DC3125A984F2A9F23177B190DA2C,
    ),
    (
        {"type": "createSubAccount", "name": "example"}, True, None,
        0x51096FE3239421D16B671E192F574AE24AE14329099B6DB28E479B86CDD6CAA7,
        0xB71F7D293AF92D3772572AFB8B102D167A7CEF7473388286BC01F52A5C5B423,
    ),
]  # fmt: skip


def verify(action: dict[str, Any], mainnet: bool, vault: bytes | None, r: int, s: int) -> None:
    digest = signing_digest(connection_id(action, 0, vault=vault), mainnet=mainnet)
    PUBLIC.verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


@pytest.mark.parametrize(("action", "mainnet", "vault", "r", "s"), SIGNED)
def test_what_the_sdk_signed_is_our_digest(
    action: dict[str, Any], mainnet: bool, vault: bytes | None, r: int, s: int
) -> None:
    verify(action, mainnet, vault, r, s)
    with pytest.raises(InvalidSignature):
        verify(action, not mainnet, vault, r, s)
    with pytest.raises(InvalidSignature):
        verify({**action, "more": 1}, mainnet, vault, r, s)


def test_an_order_of_production_has_the_connection_id_that_the_sdk_states() -> None:
    kind = {"limit": {"tif": "Ioc"}}
    order = {"a": 4, "b": True, "p": "1670.1", "s": "0.0147", "r": False, "t": kind}
    action = {"type": "order", "orders": [order], "grouping": "na"}
    stated = "0fcbeda5ae3c4950a548021552a4fea2226858c4453571bf3f24ba017eac2908"
    assert connection_id(action, 1_677_777_606_040).hex() == stated
    assert connection_id(action, 1_677_777_606_041).hex() != stated
    assert connection_id(action, 1_677_777_606_040, expires_ms=0).hex() != stated


@given(st.binary(max_size=600))
def test_the_sponge_is_that_of_sha3_but_for_the_padding(data: bytes) -> None:
    assert sponge(data, 0x06) == hashlib.sha3_256(data).digest()
    assert keccak256(data) != hashlib.sha3_256(data).digest()


def test_keccak_of_nothing_is_ethereums() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_an_action_is_sorted_whatever_the_order() -> None:
    oracle = {"gsr:SI": "32.5", "gsr:GSR": "81.25"}
    action = set_oracle("gsr", oracle, [{"gsr:SI": "32.5", "gsr:GSR": "81.3"}, {"gsr:GSR": "81.2"}], oracle)
    body = action["setOracle"]
    assert list(action) == ["type", "setOracle"]
    assert list(body) == ["dex", "oraclePxs", "markPxs", "externalPerpPxs"]
    assert body["oraclePxs"] == body["externalPerpPxs"] == [["gsr:GSR", "81.25"], ["gsr:SI", "32.5"]]
    assert body["markPxs"] == [[["gsr:GSR", "81.3"], ["gsr:SI", "32.5"]], [["gsr:GSR", "81.2"]]]
    turned = dict(reversed(oracle.items()))
    again = set_oracle("gsr", turned, [{"gsr:GSR": "81.3", "gsr:SI": "32.5"}, {"gsr:GSR": "81.2"}], turned)
    assert encoded(again) == encoded(action)
    assert msgspec.msgpack.decode(encoded(action)) == action


@pytest.mark.parametrize(
    ("units", "decimals", "text"), [(8_125, 2, "81.25"), (8_000, 2, "80"), (120, 0, "120"), (1, 8, "0.00000001")]
)
def test_a_price_on_the_wire_has_no_needless_digit(units: int, decimals: int, text: str) -> None:
    assert wire(units, decimals) == text


GOOD = {"GSR": "81.25"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("g", GOOD, [], GOOD), "dex = 'g'"),
        (("GOLD", GOOD, [], GOOD), "dex = 'GOLD'"),
        (("golds", GOOD, [], GOOD), "two to four"),
        (("gsr", {}, [], {}), "oraclePxs: no price to post"),
        (("gsr", GOOD, [GOOD] * 3, GOOD), "markPxs = 3"),
        (("gsr", {"GSR": "81.250"}, [], GOOD), "oraclePxs.GSR = '81.250'"),
        (("gsr", {"GSR": "0"}, [], GOOD), "above zero"),
        (("gsr", {"GSR": "8.1e1"}, [], GOOD), "not a canonical price"),
        (("gsr", {"GSR": "-81"}, [], GOOD), "not a canonical price"),
        (("gsr", {"GSR": "081"}, [], GOOD), "not a canonical price"),
        (("gsr", {"GSR": "0.000000001"}, [], GOOD), "at most 8 decimals"),
        (("gsr", {"GSR": "nan"}, [], GOOD), "not a canonical price"),
        (("gsr", {"xyz:GSR": "81"}, [], {"xyz:GSR": "81"}), "oraclePxs = 'xyz:GSR'"),
        (("gsr", {"gsr:": "81"}, [], {"gsr:": "81"}), "not an asset of this dex"),
        (("gsr", GOOD, [{"AU": "1"}], GOOD), "markPxs[0] = 'AU': has no price in oraclePxs"),
        (("gsr", GOOD, [], {}), "oraclePxs = 'GSR': has no price in externalPerpPxs"),
        (("gsr", GOOD, [], {**GOOD, "AU": "1"}), "externalPerpPxs = 'AU': has no price in oraclePxs"),
    ],
)
def test_what_is_not_canonical_is_refused_with_field_and_remedy(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        set_oracle(*arguments)
    assert said in str(refused.value)
    assert refused.value.remedy


@pytest.mark.parametrize(("units", "decimals"), [(0, 2), (-5, 2), (1, 9)])
def test_a_price_that_is_none_has_no_text(units: int, decimals: int) -> None:
    with pytest.raises(ConfigError, match="price"):
        wire(units, decimals)
