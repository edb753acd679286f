"""The errors for certificates that are not accepted: real handshakes, with certificates made for the test."""

import datetime
import ipaddress
import socket
import ssl
import threading
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from redcap_source import RedcapClient, RetryPolicy, errors
from redcap_source.http.certificates import advice
from redcap_source.http.timeouts import Timeouts
from tests.support.canned import SECRET, answer, read_request

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """Makes certificates, its own among them."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Institution")])
        self.certificate = self._made(self.name, self.key, self.name, self.key, authority=True)

    def leaf(self, host="127.0.0.1", begin=NOW - DAY, end=NOW + DAY):
        """A server's key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        return key, self._made(name, key, self.name, self.key, host, begin, end)

    @staticmethod
    def of_itself():
        """A key and a self-signed certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        return key, Authority._made(name, key, name, key, "127.0.0.1")

    @staticmethod
    def _made(name, key, issuer, issuer_key, host=None, begin=NOW - DAY, end=NOW + DAY, *, authority=False):
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host is not None:
            names = [x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(issuer_key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def listen(tmp_path):
    """Serve over TLS with a key and a chain of certificates; gives the URL."""
    sockets = []

    def start(key, *chain):
        path = tmp_path / "server.pem"
        kind = serialization.PrivateFormat.PKCS8
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
            + b"".join(pem(certificate) for certificate in chain)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)
        threading.Thread(target=_answer, args=(listener, context), daemon=True).start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}/api/"

    yield start
    for listener in sockets:
        listener.close()


def _answer(listener, context):
    """Answer call after call, until the listener is closed; a handshake that fails ends that call alone."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            read_request(secure)
            secure.sendall(answer(b"14.7.3"))


@pytest.fixture
def bundle(tmp_path, authority):
    path = tmp_path / "institution.pem"
    path.write_bytes(pem(authority.certificate))
    return path


# The server is a thread of this very process: on a busy machine its half of a handshake may take a while.
PATIENT = Timeouts(connect=20)


def call(url, bundle=None):
    retry = RetryPolicy(attempts=3, first_wait=0)
    with RedcapClient(url, SECRET, project="heart_study", ca_bundle=bundle, retry=retry, timeouts=PATIENT) as client:
        return client.version()


def test_a_certificate_of_a_known_authority_is_accepted(listen, authority, bundle):
    key, certificate = authority.leaf()
    assert call(listen(key, certificate), bundle) == "14.7.3"


def test_an_expired_certificate_does_not_advise_another_ca_bundle(listen, authority, bundle):
    key, certificate = authority.leaf(begin=NOW - 3 * DAY, end=NOW - DAY)
    with pytest.raises(errors.BadCertificate, match=r"has expired.*must renew it") as caught:
        call(listen(key, certificate), bundle)
    assert "ca_bundle" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_certificate_from_tomorrow_asks_to_look_at_the_clock(listen, authority, bundle):
    key, certificate = authority.leaf(begin=NOW + DAY, end=NOW + 2 * DAY)
    with pytest.raises(errors.BadCertificate, match=r"not valid yet.*clock") as caught:
        call(listen(key, certificate), bundle)
    assert "ca_bundle" not in str(caught.value)


@pytest.mark.parametrize("host", ["other.example.edu", "127.0.0.2"])
def test_a_certificate_for_another_host_is_reported_as_such(listen, authority, bundle, host):
    key, certificate = authority.leaf(host)
    with pytest.raises(errors.BadCertificate, match=r"another host name.*stop, and tell") as caught:
        call(listen(key, certificate), bundle)
    assert "ca_bundle" not in str(caught.value)


def test_a_certificate_of_an_unknown_authority_advises_a_ca_bundle(listen, authority):
    key, certificate = authority.leaf()
    with pytest.raises(errors.BadCertificate, match=r"authority is not known.*as ca_bundle"):
        call(listen(key, certificate))


def test_a_chain_that_ends_in_an_unknown_authority_advises_a_ca_bundle(listen, authority):
    key, certificate = authority.leaf()
    with pytest.raises(errors.BadCertificate, match=r"comes from an authority.*as ca_bundle"):
        call(listen(key, certificate, authority.certificate))


def test_a_self_signed_certificate_is_reported_as_such(listen, authority):
    with pytest.raises(errors.BadCertificate, match=r"self-signed.*administrators"):
        call(listen(*authority.of_itself()))


def test_what_openssl_says_otherwise_is_repeated():
    assert advice("certificate verify failed: CA signature digest algorithm too weak").startswith(
        "OpenSSL says: certificate verify failed: CA signature digest"
    )


def test_a_server_that_does_not_speak_tls_is_not_called_a_bad_certificate():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_refuse_plainly, args=(listener,), daemon=True).start()
        with pytest.raises(errors.Unreachable, match="does not use https"):
            call(f"https://127.0.0.1:{listener.getsockname()[1]}/api/")


def _refuse_plainly(listener):
    for _ in range(3):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(65536)
