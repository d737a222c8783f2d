"""`oracle order`: an operator's order to the running service: halt, resume, acknowledge, suspend, exclude a source.

An order changes a state, never a value; the journal keeps it with who gave it and why.
"""

from __future__ import annotations

import argparse
import json
import socket
from pathlib import Path

from oracle.commands import common
from oracle.errors import ServiceError

EXAMPLES = (
    'oracle order acknowledge BTC-USD --reason "compared with two desks, the move is real"',
    'oracle order exclude kraken:BTC/USD --reason "withdrawals halted since 09:00"',
    'oracle order halt "*" --reason "drill"',
)
ACTIONS = ("halt", "resume", "acknowledge", "suspend", "unsuspend", "exclude", "include")
SOCKET = "orders.sock"
WAIT_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    common.add_config(parser)
    parser.add_argument("action", choices=ACTIONS, help="what shall be done")
    parser.add_argument("target", help="an index, or * for all; a source, for exclude and include")
    parser.add_argument("--reason", required=True, help="why; it stands in the journal")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="the service's data folder, if not the settings'")


def main(args: argparse.Namespace) -> int:
    """0 when the service took the order. Raises ServiceError when it did not, or does not run."""
    folder = args.data_dir or common.settings_of(args).service.data_dir
    asked = {"action": args.action.upper(), "target": args.target, "reason": args.reason}
    problem = ask(folder / SOCKET, asked)
    if problem:
        raise ServiceError(f"refused: {problem}")
    print(f"taken: {args.action} {args.target}; it stands in the journal")
    return 0


def ask(path: Path, order: dict[str, str]) -> str:
    """Send an order and wait for the answer: what is wrong with it, or empty. Raises ServiceError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(WAIT_S)
            line.connect(str(path))
            line.sendall(json.dumps(order).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = answers.readline()
        return str(json.loads(answer)["problem"])
    except (OSError, ValueError, KeyError) as error:
        raise ServiceError(f"no service takes orders at {path}: {error} (is it running, and as this user?)") from None
