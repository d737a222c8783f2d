"""`oracle health`: asks a running service whether its values are fresh. Standard library only: it starts often."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

EXAMPLES = (
    "oracle health --url http://127.0.0.1:8080",
    "oracle health --url http://127.0.0.1:8080 --age-ms 2000",
)
TIMEOUT_S = 3.0
AGE_MS_MAX = 5_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where the public API is")
    parser.add_argument("--age-ms", type=int, default=AGE_MS_MAX, metavar="MS", help="an older value is not fresh")


def main(args: argparse.Namespace) -> int:
    """0 when every Key Parameter set is fresh and at least one has a price; 1 when not, or when nobody answers."""
    try:
        problem = judged(asked(args.url.rstrip("/") + "/v1/key-parameters"), args.age_ms)
    except (OSError, HTTPException, ValueError) as error:
        problem = f"{args.url}: {getattr(error, 'reason', None) or error}"
    print(problem or "fresh", file=sys.stderr if problem else sys.stdout)
    return int(bool(problem))


def asked(url: str) -> Any:
    """The JSON at an address. Raises OSError, HTTPException, ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an HTTP address")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=TIMEOUT_S) as answer:
        return json.load(answer)


def judged(answer: Any, age_ms_max: int) -> str:
    """What is wrong with an answer; empty when nothing is."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or not items:
        return "no instrument is published"
    old = [item["instrument"] for item in items if item["age_ms"] is None or item["age_ms"] > age_ms_max]
    if old:
        return f"not fresh: {', '.join(old)}"
    if all(item["index"]["price"] is None for item in items):
        return "no price: " + ", ".join(f"{item['instrument']} is {item['index']['state']}" for item in items)
    return ""
