"""The `setOracle` action of a HIP-3 deployer: built, put into its one canonical form, hashed; never signed, never sent.

The form is that of the official Python SDK (`hyperliquid/exchange.py`, `perp_deploy_set_oracle`; `utils/signing.py`):
lists of pairs sorted by key, prices as decimal text without trailing zeros, MessagePack in the order of the keys, and
Keccak-256 over it, the nonce and the flags. What a key signs is the EIP-712 digest of an `Agent` that names that hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from oracle.errors import ConfigError

DEX = re.compile(r"[a-z0-9]{2,4}")
PRICE = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
DECIMALS_MAX = 8
MARK_LISTS_MAX = 2
_RATE_BYTES = 136  # of Keccak-256: 1600 bits less twice 256
_MASK = (1 << 64) - 1


def wire(units: int, decimals: int) -> str:
    """A published price (units of 10^-decimals) as the chain wants it: no exponent, no needless zero.

    Raises ConfigError for a price of zero or below, and for more than eight decimals.
    """
    exact = Decimal(units).scaleb(-decimals).normalize()
    text = f"{exact:f}"
    _check_price("price", text)
    return text


def set_oracle(
    dex: str,
    oracle_prices: Mapping[str, str],
    mark_prices: Sequence[Mapping[str, str]],
    external_prices: Mapping[str, str],
) -> dict[str, Any]:
    """The action of one post. Each mapping is from asset to price text; lists come out sorted by asset.

    Raises ConfigError for a dex name, an asset or a price that is not canonical, for more than two lists of marks, for
    a mark or an outside price of an asset that has no oracle price, and for an asset without an outside price.
    """
    if not DEX.fullmatch(dex):
        raise ConfigError("not the name of a dex", key="dex", value=dex, remedy="two to four of a-z and 0-9")
    if len(mark_prices) > MARK_LISTS_MAX:
        raise ConfigError(
            "more lists of marks than the chain takes", key="markPxs", value=len(mark_prices), remedy="at most two"
        )
    if not oracle_prices:
        raise ConfigError("no price to post", key="oraclePxs", remedy="an asset and its price")
    marks = [_sorted_pairs(f"markPxs[{place}]", dex, prices) for place, prices in enumerate(mark_prices)]
    for place, prices in enumerate(mark_prices):
        _check_within(f"markPxs[{place}]", prices, oracle_prices)
    _check_within("externalPerpPxs", external_prices, oracle_prices)
    _check_within("oraclePxs", oracle_prices, external_prices)
    return {
        "type": "perpDeploy",
        "setOracle": {
            "dex": dex,
            "oraclePxs": _sorted_pairs("oraclePxs", dex, oracle_prices),
            "markPxs": marks,
            "externalPerpPxs": _sorted_pairs("externalPerpPxs", dex, external_prices),
        },
    }


def encoded(action: Mapping[str, Any]) -> bytes:
    """The action as MessagePack, keys in the order they stand in: the bytes that are hashed."""
    return msgspec.msgpack.encode(action)


def connection_id(
    action: Mapping[str, Any], nonce_ms: int, *, vault: bytes | None = None, expires_ms: int | None = None
) -> bytes:
    """The hash that names an action: Keccak-256 of its bytes, the nonce, the vault's address and the expiry if any."""
    data = encoded(action) + nonce_ms.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + vault
    if expires_ms is not None:
        data += b"\x00" + expires_ms.to_bytes(8, "big")
    return keccak256(data)


def signing_digest(connection: bytes, *, mainnet: bool) -> bytes:
    """The 32 bytes that a deployer's key signs (EIP-712): an `Agent` of the exchange that names the action."""
    domain = keccak256(
        keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
        + keccak256(b"Exchange")
        + keccak256(b"1")
        + (1337).to_bytes(32, "big")
        + bytes(32)
    )
    source = keccak256(b"a" if mainnet else b"b")
    agent = keccak256(keccak256(b"Agent(string source,bytes32 connectionId)") + source + connection)
    return keccak256(b"\x19\x01" + domain + agent)


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum has it: SHA-3 with the padding of the original submission (Keccak reference 3.0)."""
    return sponge(data, 0x01)


def sponge(data: bytes, suffix: int) -> bytes:
    """32 bytes of Keccak[512] over `data`; `suffix` 0x01 is the original padding, 0x06 that of FIPS 202."""
    padded = bytearray(data) + bytes(_RATE_BYTES - len(data) % _RATE_BYTES)
    padded[len(data)] = suffix
    padded[-1] |= 0x80
    lanes = [0] * 25
    for begin in range(0, len(padded), _RATE_BYTES):
        for lane in range(_RATE_BYTES // 8):
            start = begin + lane * 8
            lanes[lane] ^= int.from_bytes(padded[start : start + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permuted(lanes: list[int]) -> list[int]:
    """Keccak-f[1600]: twenty-four rounds over 25 lanes of 64 bits, lane x + 5y at (x, y)."""
    register = 1
    for _ in range(24):
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [columns[x - 1] ^ _turned(columns[(x + 1) % 5], 1) for x in range(5)]
        lanes = [lane ^ mixed[place % 5] for place, lane in enumerate(lanes)]
        moved, (x, y) = lanes.copy(), (1, 0)
        for step in range(24):
            target = y, (2 * x + 3 * y) % 5
            moved[target[0] + 5 * target[1]] = _turned(lanes[x + 5 * y], (step + 1) * (step + 2) // 2)
            x, y = target
        lanes = [
            moved[x + 5 * y] ^ (~moved[(x + 1) % 5 + 5 * y] & _MASK & moved[(x + 2) % 5 + 5 * y])
            for y in range(5)
            for x in range(5)
        ]
        for bit in range(7):
            if register & 1:
                lanes[0] ^= 1 << ((1 << bit) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
    return lanes


def _turned(lane: int, by: int) -> int:
    """A lane turned left by so many bits."""
    by %= 64
    return ((lane << by) | (lane >> (64 - by))) & _MASK


def _sorted_pairs(field: str, dex: str, prices: Mapping[str, str]) -> list[list[str]]:
    for asset, text in prices.items():
        owner, colon, name = asset.rpartition(":")
        if not name or (colon and owner != dex):
            raise ConfigError("not an asset of this dex", key=field, value=asset, remedy=f"{dex}:NAME, or NAME")
        _check_price(f"{field}.{asset}", text)
    return [[asset, text] for asset, text in sorted(prices.items())]


def _check_price(field: str, text: str) -> None:
    decimals = len(text.partition(".")[2])
    if not PRICE.fullmatch(text) or text == "0" or decimals > DECIMALS_MAX:
        remedy = f"a decimal above zero without needless zeros, at most {DECIMALS_MAX} decimals"
        raise ConfigError("not a canonical price", key=field, value=text, remedy=remedy)


def _check_within(field: str, prices: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Every asset of `prices` must be in `wanted`."""
    for asset in sorted(prices):
        if asset not in wanted:
            other = "externalPerpPxs" if field == "oraclePxs" else "oraclePxs"
            raise ConfigError(f"has no price in {other}", key=field, value=asset, remedy=f"name it in {other} too")
