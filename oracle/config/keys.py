"""What the engine feed's door needs: the engine's secrets, from where nobody else reads them, and a certificate."""

from __future__ import annotations

import os
import re
import ssl
import stat
from pathlib import Path

from oracle.config.settings import Settings
from oracle.errors import KeyFileError

SECRET_BYTES_MIN = 16
_LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s+([0-9A-Fa-f]+)$")
_REMEDY = f"make one with `oracle keygen --feed ID`: at least {SECRET_BYTES_MIN} bytes in hex"


def feed_keys(settings: Settings) -> dict[str, bytes]:
    """Key id to secret; the environment's stand over the file's. Empty: the engine feed refuses everyone.

    Raises KeyFileError for a file that is missing, malformed or open to others, ConfigError for a bad secret.
    """
    feed = settings.engine_feed
    keys = _from_file(feed.keys_file) if feed.keys_file else {}
    for name, masked in feed.keys.items():
        secret = _secret(masked.get_secret_value())
        if secret is None:
            raise settings.wrong(("engine_feed", "keys", name), "***", "is no secret", _REMEDY)
        keys[name] = secret
    return keys


def feed_tls(settings: Settings) -> ssl.SSLContext | None:
    """The certificate of the engine feed's door; None when it speaks in the clear. Raises KeyFileError, ConfigError."""
    feed = settings.engine_feed
    if feed.tls_cert_file is None:
        if feed.tls_key_file is not None:
            path = ("engine_feed", "tls_key_file")
            raise settings.wrong(path, str(feed.tls_key_file), "a key without tls_cert_file", "name both, or none")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(feed.tls_cert_file, feed.tls_key_file)
    except OSError as error:  # ssl.SSLError is one
        raise KeyFileError(f"{feed.tls_cert_file}: no certificate with its key: {error.strerror or error}") from None
    return context


def _from_file(path: Path) -> dict[str, bytes]:
    try:
        with path.open(encoding="utf-8") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            lines = stream.read().splitlines()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; {_REMEDY}") from None
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: is not text") from None
    if os.name == "posix" and mode & 0o077:
        raise KeyFileError(f"{path}: others may read it (mode {mode:04o}): chmod 600 {path}")
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line.strip())
        secret = _secret(match[2]) if match else None
        if not match or secret is None:
            raise KeyFileError(f"{path}:{number}: not `<key id> <secret>`; {_REMEDY}")
        if match[1] in keys:
            raise KeyFileError(f"{path}:{number}: {match[1]} stands here twice")
        keys[match[1]] = secret
    return keys


def _secret(text: str) -> bytes | None:
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        return None
    return secret if len(secret) >= SECRET_BYTES_MIN else None
