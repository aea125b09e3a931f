"""Which addresses a live environment reaches, and that a name is looked up once."""

from __future__ import annotations

import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from adapter.catalog import Endpoint, EndpointSecret
from adapter.delivery import guard
from adapter.delivery.sender import Parcel, Sender
from adapter.delivery.settings import DeliverySettings
from tests.delivery.world import SECRET, START, Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
]
REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert guard.is_public(address)


@pytest.mark.parametrize("address", REFUSED)
def test_all_others_are_not(address: str) -> None:
    assert not guard.is_public(address)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("10.0.0.1.", "10.0.0.1"),
        ("example.com", None),
        ("localhost", None),
        ("", None),
        ("münchen.de", None),
    ],
)
def test_an_address_is_recognized_however_it_is_spelt(host: str, address: str | None) -> None:
    assert guard.literal_address(host) == address


class Names:
    """A resolver that answers what it is told, one answer after the other, and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def parcel(url: str, *, live: bool) -> Parcel:
    endpoint = Endpoint(
        env=1,
        id=1,
        url=url,
        secrets=(EndpointSecret(SECRET),),
        events=("*",),
        format="native",
        schedule=(5,),
        timeout_s=30,
        ordered=False,
        headers={},
        concurrency=1,
        rate_per_s=None,
        description="",
        state="enabled",
        disabled_reason=None,
    )
    return Parcel(endpoint, live, 5, b"{}")


@pytest.fixture
def sender() -> Callable[..., Sender]:
    return lambda resolve, **settings: Sender(DeliverySettings(**settings), resolve=resolve)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
def test_a_live_environment_does_not_connect_to_a_private_address(
    address: str, sender: Callable[..., Sender]
) -> None:
    answer = sender(Names([address])).send(parcel("https://shop.example/hook", live=True), START)
    assert answer.status is None
    assert answer.error == (
        "address refused: shop.example has no public address; a live environment reaches no other"
    )


def test_a_live_environment_does_not_send_in_the_clear(
    sender: Callable[..., Sender], receiver: Receiver
) -> None:
    answer = sender(guard.resolve).send(parcel(receiver.url, live=True), START)
    assert answer.error == "a live environment sends over https only"
    assert receiver.requests == []


def test_a_name_is_looked_up_once_so_an_answer_that_changes_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, sender: Callable[..., Sender]
) -> None:
    names = Names(["93.184.216.34"], ["127.0.0.1"])  # public for the check, private for a second question
    reached: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        reached.append(address)
        raise ConnectionRefusedError("not in a test")

    monkeypatch.setattr(socket, "create_connection", connect)
    answer = sender(names).send(parcel("https://rebind.example/hook", live=True), START)
    assert names.asked == ["rebind.example"]
    assert reached == [("93.184.216.34", 443)]
    assert answer.error == "cannot connect: not in a test"
    second = sender(names).send(parcel("https://rebind.example/hook", live=True), START)
    assert reached == [("93.184.216.34", 443)]  # judged anew with each connection, and refused
    assert (second.error or "").startswith("address refused")


def test_private_addresses_among_public_ones_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, sender: Callable[..., Sender]
) -> None:
    reached: list[str] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        reached.append(address[0])
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)
    names = Names(["10.0.0.1", "1.1.1.1", "fd00::1", "8.8.8.8"])
    answer = sender(names).send(parcel("https://many.example/hook", live=True), START)
    assert reached == ["1.1.1.1", "8.8.8.8"]
    assert answer.error == "no connection in time"


def test_a_test_environment_reaches_this_machine(sender: Callable[..., Sender], receiver: Receiver) -> None:
    port = receiver.server_address[1]
    names = Names(["127.0.0.1"])
    one = sender(names)
    first = one.send(parcel(f"http://shop.example:{port}/hook", live=False), START)
    second = one.send(parcel(f"http://shop.example:{port}/hook", live=False), START)
    assert (first.status, second.status) == (200, 200)
    assert receiver.requests[0].headers["host"] == f"shop.example:{port}"
    assert names.asked == ["shop.example"]  # the second request went over the connection of the first
    one.close()


def test_a_name_that_does_not_resolve_is_an_answer_like_any_other(sender: Callable[..., Sender]) -> None:
    def fails(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    answer = sender(fails).send(parcel("http://nowhere.example/", live=False), START)
    assert answer.error == "the host's name does not resolve"

    def breaks(host: str, port: int) -> Sequence[str]:
        raise UnicodeError("label too long")

    answer = sender(breaks).send(parcel("http://nowhere.example/", live=False), START)
    assert answer.error == "cannot resolve 'nowhere.example': label too long"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for shop.example that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            str(key),
            "-out",
            str(cert),
            "-days",
            "2",
            "-subj",
            "/CN=shop.example",
            "-addext",
            "subjectAltName=DNS:shop.example",
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_tls_names_the_host_and_checks_its_certificate(
    certificate: tuple[Path, Path], receiver: Receiver, sender: Callable[..., Sender]
) -> None:
    named: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True, do_handshake_on_connect=False)
    port = receiver.server_address[1]
    trusting = sender(Names(["127.0.0.1"]), ca_file=str(certificate[0]))
    good = trusting.send(parcel(f"https://shop.example:{port}/hook", live=False), START)
    assert (good.status, good.error, named) == (200, None, ["shop.example"])
    other = trusting.send(parcel(f"https://other.example:{port}/hook", live=False), START)
    assert (other.error or "").startswith("TLS failed")
    stranger = sender(Names(["127.0.0.1"])).send(
        parcel(f"https://shop.example:{port}/hook", live=False), START
    )
    assert (stranger.error or "").startswith("TLS failed")
    assert len(receiver.requests) == 1
    trusting.close()
