"""The trading engine's secrets are read from places that nobody else reads."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from oracle.config.keys import feed_keys, feed_tls
from oracle.config.settings import Settings
from oracle.errors import ConfigError, KeyFileError

SECRET = "00112233445566778899aabbccddeeff"


def with_file(path: Path, **more: object) -> Settings:
    return Settings(engine_feed={"keys_file": path, **more})


def test_the_environments_keys_stand_over_the_files(tmp_path: Path) -> None:
    path = tmp_path / "feed.keys"
    path.write_text(f"# engines\n\none {SECRET}\ntwo {SECRET.upper()}\n")
    path.chmod(0o600)
    made = feed_keys(with_file(path, keys={"two": "ff" * 16}))
    assert made == {"one": bytes.fromhex(SECRET), "two": b"\xff" * 16}


def test_nobody_is_let_in_without_a_key() -> None:
    assert feed_keys(Settings()) == {}


@pytest.mark.parametrize(
    "line", ["one", f"one {SECRET} more", "one xyz", "one 0011", f"o/ne {SECRET}", f"one {SECRET}a"]
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "feed.keys"
    path.write_text(f"zero {SECRET}\n{line}\n")
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"feed\.keys:2: not `<key id> <secret>`") as error:
        feed_keys(with_file(path))
    assert SECRET not in str(error.value)


def test_a_key_twice_a_missing_file_a_file_for_everyone_and_rubbish_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.keys"
    with pytest.raises(KeyFileError, match="No such file"):
        feed_keys(with_file(path))
    path.write_text(f"one {SECRET}\none {SECRET}\n")
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        feed_keys(with_file(path))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="one stands here twice"):
        feed_keys(with_file(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(KeyFileError, match="is not text"):
        feed_keys(with_file(path))


@pytest.mark.parametrize("secret", ["short", "0011", "zz" * 16])
def test_a_bad_secret_is_not_repeated(secret: str) -> None:
    with pytest.raises(ConfigError, match="is no secret") as error:
        feed_keys(Settings(engine_feed={"keys": {"a": secret}}))
    assert secret not in str(error.value)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "oracle")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    formats = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *formats))
    return cert_path, key_path


def test_the_door_speaks_tls_with_a_certificate(tmp_path: Path) -> None:
    assert feed_tls(Settings()) is None
    cert, key = certificate(tmp_path)
    context = feed_tls(Settings(engine_feed={"tls_cert_file": cert, "tls_key_file": key}))
    assert isinstance(context, ssl.SSLContext)


def test_half_a_certificate_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with pytest.raises(ConfigError, match="a key without tls_cert_file"):
        feed_tls(Settings(engine_feed={"tls_key_file": key}))
    with pytest.raises(KeyFileError, match="no certificate with its key"):
        feed_tls(Settings(engine_feed={"tls_cert_file": cert}))
    with pytest.raises(KeyFileError, match="No such file"):
        feed_tls(Settings(engine_feed={"tls_cert_file": tmp_path / "none.pem"}))
