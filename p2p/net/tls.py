"""TLS 1.3 between two peers that have told each other their certificates over an authenticated channel.

Each peer makes one self-signed certificate when it starts. Nobody's signature on it means anything: a
connection counts only if the other end shows exactly the certificate that its peer id announced.
"""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from p2p.core.errors import UserError
from p2p.core.limits import CERTIFICATE_MAX_BYTES, CERTIFICATES_TRUSTED_MAX

# "No well-defined expiration", RFC 5280 4.1.2.5: what limits a certificate is its ticket, and clocks may be
# wrong.
_NOT_BEFORE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)


class TlsEnd:
    """This process's certificate, and contexts for both roles. Thread-safe: OpenSSL locks its stores."""

    def __init__(self) -> None:
        key = Ed25519PrivateKey.generate()
        # A name of its own, because OpenSSL looks certificates up by name.
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, os.urandom(16).hex())])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOT_BEFORE)
            .not_valid_after(_NOT_AFTER)
            .sign(key, None)
        )
        self.certificate = certificate.public_bytes(Encoding.DER)
        """Our certificate (DER), to be announced over the control channel."""
        self._pem = certificate.public_bytes(Encoding.PEM) + key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        self._trusted: set[bytes] = set()
        self._make_contexts()

    def _make_contexts(self) -> None:
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.check_hostname = False
        self._server.num_tickets = 0  # a resumed session would not show its certificate
        with tempfile.TemporaryDirectory() as folder:  # mode 0700; the ssl module reads keys from files only
            path = Path(folder, "key.pem")
            path.touch(mode=0o600)
            path.write_bytes(self._pem)
            for context in (self._server, self._client):
                context.minimum_version = ssl.TLSVersion.TLSv1_3
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_cert_chain(path)

    def trust(self, certificate: bytes) -> None:
        """Let the handshake with ``certificate`` succeed; compare what it showed with :func:`shown` all the
        same.

        :raises UserError: ``bad_certificate``.
        """
        if certificate in self._trusted:
            return
        if len(self._trusted) >= CERTIFICATES_TRUSTED_MAX:
            self._trusted.clear()
            self._make_contexts()
        if len(certificate) > CERTIFICATE_MAX_BYTES:
            raise UserError("bad_certificate", "The other side announced a certificate that is too large.")
        try:
            for context in (self._server, self._client):
                context.load_verify_locations(cadata=certificate)
        except (ssl.SSLError, ValueError) as error:
            raise UserError(
                "bad_certificate", "The other side announced something else than a certificate."
            ) from error
        self._trusted.add(certificate)

    @property
    def server(self) -> ssl.SSLContext:
        return self._server

    @property
    def client(self) -> ssl.SSLContext:
        return self._client


def shown(connection: ssl.SSLSocket) -> bytes:
    """The certificate (DER) that the other end proved to hold the key of."""
    return connection.getpeercert(binary_form=True) or b""
