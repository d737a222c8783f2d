"""`oracle keygen`: a signing key for the journal, or a secret that the trading engine authenticates with."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

from oracle.commands import common
from oracle.journal import keys

EXAMPLES = (
    "oracle keygen                    the signing key where the settings want it",
    "oracle keygen /etc/oracle/signing.key",
    "oracle keygen --feed engine1 >> /etc/oracle/feed.keys",
)
FEED_SECRET_BYTES = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's own arguments."""
    parser.add_argument("path", metavar="FILE", nargs="?", type=Path, help="the new key; a FILE.pub is put beside it")
    parser.add_argument(
        "--feed", metavar="ID", help="print a secret for the engine feed instead, as a line of keys_file"
    )
    common.add_config(parser)


def main(args: argparse.Namespace) -> int:
    """Make a key. Raises KeyFileError when the file exists or cannot be written, ConfigError."""
    if args.feed is not None:
        print(f"{args.feed} {secrets.token_hex(FEED_SECRET_BYTES)}")
        print("give the trading engine the same line; the file that holds it needs mode 600", file=sys.stderr)
        return 0
    path = args.path or common.settings_of(args).signing_key_file
    path.parent.mkdir(parents=True, exist_ok=True)
    key = keys.generate()
    keys.save_private(key, path)
    keys.save_public(key.public_key(), path.with_name(path.name + ".pub"))
    print(f"{path}: private, keep it; {path}.pub: publish it")
    print(f"public key {keys.public_hex(key)}\nfingerprint {keys.fingerprint(key)}")
    return 0
