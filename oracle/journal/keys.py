"""The Ed25519 keys that seal a journal: making them, and files of them that nobody else may read.

A private key is a PEM file (PKCS8, unencrypted, mode 0600), a public key a PEM file (SubjectPublicKeyInfo) for
everyone. In the journal and in reports a public key is its 32 raw bytes in hex.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from oracle.errors import KeyFileError

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def generate() -> Ed25519PrivateKey:
    """A new private key, from the system's randomness."""
    return Ed25519PrivateKey.generate()


def save_private(key: Ed25519PrivateKey, path: Path) -> None:
    """Write a private key to a new file of mode 0600. Raises KeyFileError, also when the file exists."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _save_new(pem, path, 0o600)


def save_public(key: Ed25519PublicKey, path: Path) -> None:
    """Write a public key to a new file of mode 0644. Raises KeyFileError, also when the file exists."""
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _save_new(pem, path, 0o644)


def load_private(path: Path) -> Ed25519PrivateKey:
    """The private key of a file. Raises KeyFileError when it is missing, malformed, or open to others."""
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            pem = stream.read()
    except OSError as error:
        raise KeyFileError(f"{path}: cannot read the private key: {error.strerror} (make one: oracle keygen)") from None
    if mode & OTHERS:
        raise KeyFileError(f"{path}: others may read or write this private key (mode {mode:04o}): chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: not an unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: the key is of another kind than Ed25519")
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """The public key of a file. Raises KeyFileError when it is missing or malformed."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise KeyFileError(f"{path}: cannot read the public key: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: not a PEM public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: the key is of another kind than Ed25519")
    return key


def public_hex(key: Ed25519PublicKey | Ed25519PrivateKey) -> str:
    """The public key's 32 raw bytes in hex."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def public_from_hex(text: str) -> Ed25519PublicKey:
    """The public key of `public_hex`. Raises KeyFileError."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        raise KeyFileError(f"not an Ed25519 public key in hex: {text[:80]!r}") from None


def fingerprint(key: Ed25519PublicKey | Ed25519PrivateKey) -> str:
    """A short name for a public key, to be read out and compared: 32 hex digits of its SHA-256."""
    return sha256(bytes.fromhex(public_hex(key))).hexdigest()[:32]


def _save_new(pem: bytes, path: Path, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise KeyFileError(f"{path}: the file exists and is not overwritten: move it away first") from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot write the key: {error.strerror}") from None
