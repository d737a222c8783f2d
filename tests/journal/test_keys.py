"""Keys go to files and come back; a private key that others may touch is refused with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from oracle.errors import KeyFileError
from oracle.journal import keys


def put(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_keys_go_to_files_and_come_back(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save_private(key, tmp_path / "seal.pem")
    keys.save_public(key.public_key(), tmp_path / "seal.pub")
    assert (tmp_path / "seal.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "seal.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    loaded = keys.load_private(tmp_path / "seal.pem")
    keys.load_public(tmp_path / "seal.pub").verify(loaded.sign(b"x"), b"x")


def test_a_public_key_has_one_hex_form_and_one_fingerprint() -> None:
    key = keys.generate()
    text = keys.public_hex(key)
    assert len(text) == 64
    assert text == keys.public_hex(keys.public_from_hex(text))
    assert keys.fingerprint(key) == keys.fingerprint(key.public_key())
    assert len(keys.fingerprint(key)) == 32
    assert keys.fingerprint(keys.generate()) != keys.fingerprint(key)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o660, 0o666])
def test_a_private_key_open_to_others_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    keys.save_private(keys.generate(), tmp_path / "k")
    (tmp_path / "k").chmod(mode)
    with pytest.raises(KeyFileError, match=f"others may .*mode {mode:04o}.*chmod 600 "):
        keys.load_private(tmp_path / "k")


def test_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="oracle keygen"):
        keys.load_private(tmp_path / "k")
    with pytest.raises(KeyFileError, match="cannot read the public key"):
        keys.load_public(tmp_path / "k")


def test_malformed_and_foreign_keys_are_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for data, reason in ((b"nothing", "unencrypted PEM"), (locked, "unencrypted PEM"), (pem, "another kind")):
        with pytest.raises(KeyFileError, match=reason):
            keys.load_private(put(tmp_path / "k", data))
    for data, reason in ((b"nothing", "not a PEM"), (public, "another kind")):
        with pytest.raises(KeyFileError, match=reason):
            keys.load_public(put(tmp_path / "k", data))


@pytest.mark.parametrize("text", ["", "zz", "00", "00" * 33])
def test_what_is_no_public_key_in_hex(text: str) -> None:
    with pytest.raises(KeyFileError, match="not an Ed25519 public key"):
        keys.public_from_hex(text)


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    keys.save_private(keys.generate(), tmp_path / "k")
    with pytest.raises(KeyFileError, match="not overwritten"):
        keys.save_private(keys.generate(), tmp_path / "k")
    with pytest.raises(KeyFileError, match="cannot write"):
        keys.save_public(keys.generate().public_key(), tmp_path / "absent" / "k")
