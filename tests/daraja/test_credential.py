"""Proofs that a request is ours: what Safaricom can open with its private key, and when it was made."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from zanari_api.daraja.credential import (
    eat_timestamp,
    read_certificate,
    security_credential,
    stk_password,
)

KEY = rsa.generate_private_key(65537, 2048)


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, encoding: Encoding) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(encoding)
    )


PEM, DER = certificate(KEY, Encoding.PEM), certificate(KEY, Encoding.DER)


@pytest.mark.parametrize(
    "written",
    [PEM, PEM.decode(), b"a comment\n" + PEM, DER, base64.b64encode(DER), base64.encodebytes(DER).decode()],
    ids=["pem", "text", "commented pem", "der", "base64", "base64 lines"],
)
def test_what_the_certificates_key_encrypts_its_owner_reads(written: str | bytes) -> None:
    credential = security_credential("Safaricom999!*!", read_certificate(written))
    assert len(credential) == 344
    assert KEY.decrypt(base64.b64decode(credential), PKCS1v15()) == b"Safaricom999!*!"


def test_the_same_password_is_never_the_same_text() -> None:
    key = read_certificate(PEM)
    assert security_credential("password", key) != security_credential("password", key)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"no certificate",
        DER[:-1],
        PEM.replace(b"A", b"!"),
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        certificate(ec.generate_private_key(ec.SECP256R1()), Encoding.PEM),
    ],
    ids=["empty", "text", "cut", "spoilt", "a bare key", "another kind of key"],
)
def test_what_is_no_certificate_of_an_rsa_key_is_refused_and_not_quoted(written: bytes) -> None:
    with pytest.raises(ValueError, match=r"certificate|RSA") as refused:
        read_certificate(written)
    assert len(str(refused.value)) < 60


def test_the_time_is_nairobis() -> None:
    assert eat_timestamp(datetime(2026, 12, 31, 21, 0, 7, tzinfo=UTC)) == "20270101000007"


def test_the_password_of_a_push_is_the_three_in_a_row() -> None:
    password = stk_password(shortcode="174379", passkey="key", timestamp="20160216165627")
    assert base64.b64decode(password) == b"174379key20160216165627"
