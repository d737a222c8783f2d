"""How journal lines are chained: what is hashed, how a line is laid out, and what a seal signs. Pure functions.

A line is `<64 hex digits> SP <json> LF`. Its digest is SHA-256 over the domain, the digest of the line before, the
length of the json (8 bytes, big endian) and the json exactly as written, so no byte of a journal can change, vanish
or move without every later digest changing. The first line of all follows 32 zero bytes.
"""

from __future__ import annotations

import re
from hashlib import sha256

DOMAIN = b"oracle.journal.v1\n"
SEAL_DOMAIN = b"oracle.seal.v1\n"
GENESIS = bytes(32)
JSON_AT = 65  # where the json begins: after the digits and the space

_line_start = re.compile(rb"[0-9a-f]{64} ")
_record_start = re.compile(rb'[0-9a-f]{64} \["')


def digest(previous: bytes, json: bytes) -> bytes:
    """The digest of a line, given that of the line before and the json as written."""
    return sha256(DOMAIN + previous + len(json).to_bytes(8, "big") + json).digest()


def link(previous: bytes, json: bytes) -> tuple[bytes, bytes]:
    """The digest of the next line, and the line as it is to be written."""
    made = sha256(DOMAIN + previous + len(json).to_bytes(8, "big") + json)
    return made.digest(), made.hexdigest().encode() + b" " + json + b"\n"


def written_digest(line: bytes) -> bytes | None:
    """The digest that a line claims; None when it does not begin as a line does."""
    return bytes.fromhex(line[:64].decode()) if _line_start.match(line) else None


def is_next(previous: bytes, line: bytes) -> bool:
    """Whether these bytes are a complete line that follows the line of that digest."""
    return line.endswith(b"\n") and written_digest(line) == digest(previous, line[JSON_AT:-1])


def seal_message(previous: bytes, seq: int, at_ns: int) -> bytes:
    """What a seal signs: the digest of the line before it, the last beat's seq, the time; 8 bytes big endian each."""
    return SEAL_DOMAIN + previous + seq.to_bytes(8, "big") + at_ns.to_bytes(8, "big")


def sound_line_in(previous: bytes, tail: bytes) -> int | None:
    """Where a valid line stands in `tail`, which begins with an invalid one; None when all of it is rubbish.

    A line counts as valid when it follows the digest that the line before it claims, or the digest that the first
    invalid line should have claimed. Starts of lines are searched for anywhere, since a line feed may be the damage.
    """
    first = tail[: tail.find(b"\n") + 1]
    due = [previous, digest(previous, first[JSON_AT:-1])]
    claimed = previous
    for found in _record_start.finditer(tail):
        end = tail.find(b"\n", found.end())
        if end < 0:
            break
        json = tail[found.start() + JSON_AT : end]
        before, claimed = claimed, bytes.fromhex(tail[found.start() : found.start() + 64].decode())
        if any(digest(candidate, json) == claimed for candidate in (*due, before)):
            return found.start()
    return None
