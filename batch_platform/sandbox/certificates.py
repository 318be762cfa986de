"""A certificate for the loopback interface, valid for an hour, so that tests can talk TLS."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from batch_platform.sandbox.loopback import LOOPBACK

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "batch_platform sandbox (made up)")])


def self_signed_context(certificate_file: Path, now: datetime | None = None) -> ssl.SSLContext:
    """Make a key and a certificate for 127.0.0.1 and localhost.

    Args:
        certificate_file: Gets the certificate (PEM), which a client has to trust. The key goes into
            the same file with the mode 0600 and is worthless an hour later.
        now: The certificate is valid from an hour before this until an hour after it.

    Returns:
        A context for the server's side.
    """
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file.touch(mode=0o600)
    certificate_file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file)
    return context
