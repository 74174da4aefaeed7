"""Whom a client trusts, and what it shows to whom: certificates, proxies, `.netrc`. The TLS is real."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
import trustme
from support.scripted_server import Reply, Request, Script, ScriptedServer, free_port, received, scripted_server
from support.tunnel import tunnel_to

from uploader.errors import DeliveryError, SettingsError, UnknownOutcome, Unreachable
from uploader.platforms.base import Message, Platform, Upload
from uploader.platforms.http.json_api import JsonApi, bearer
from uploader.platforms.http.transport import Transport
from uploader.platforms.ultralytics.client import UltralyticsPlatform
from uploader.settings import Settings

KEY = "ul_contract_key"
IDS = {"modelId": "m-1", "runId": 7}
OURS = "127.0.0.1"
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Client(Protocol):
    """The part of `support.contract.Client` that is needed here."""

    answers: Script
    connect: Callable[..., Platform]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's certificate, as an administrator would hand it out."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def secure(kind: Client, authority: trustme.CA) -> Iterator[Callable[[str], ScriptedServer]]:
    """Run servers that show a certificate for the given name."""
    with ExitStack() as servers:

        def serve(name: str) -> ScriptedServer:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(name).configure_cert(context)
            return servers.enter_context(scripted_server(kind.answers, tls=context))

        yield serve


@pytest.mark.parametrize("key", ["e", "test", "modelId"])
def test_a_key_that_is_a_word_of_any_answer_tears_none(key: str) -> None:
    answer = {"received": True, **IDS, "modelSlug": "test", "modelUrl": "https://host/me/test/e", "key": 12}
    with scripted_server(lambda _: Reply(200, answer)) as server:
        assert JsonApi(server.url, bearer(key), Transport()).get("/") == answer


@pytest.mark.parametrize("key", ["e", "test", "ul_contract_key"])
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_key_that_the_server_repeats_is_in_no_message(key: str, status: int) -> None:
    words = {"error": f"the key '{key}' is refused", "detail": f"Bearer {key}"}
    with scripted_server(lambda _: Reply(status, words)) as server:
        api = JsonApi(server.url, bearer(key), Transport())
        try:
            shown = json.dumps(api.get("/"))
        except DeliveryError as error:
            shown = str(error)
    assert "***" in shown
    assert not re.search(rf"\b{key}\b", shown)


def client_of(kind: Client, url: str, environ: dict[str, str]) -> Platform:
    """Return a client as the drain makes it, in an environment."""
    settings = Settings.load({"HOME": "/nowhere", **environ})
    return kind.connect(url, ca_bundle=settings.ca_bundle)


def test_an_authority_that_nobody_named_is_not_trusted(
    kind: Client, secure: Callable[[str], ScriptedServer], epoch: Message
) -> None:
    server = secure(OURS)
    client = client_of(kind, server.url, {})
    with pytest.raises(Unreachable) as caught:
        client.send(epoch)
    client.close()
    assert "unable to get local issuer certificate" in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_one_that_a_person_named_is(
    kind: Client, secure: Callable[[str], ScriptedServer], bundle: Path, epoch: Message, variable: str
) -> None:
    client = client_of(kind, secure(OURS).url, {variable: str(bundle)})
    client.send(epoch)
    client.close()


def test_certificates_are_read_once_however_many_connections_there_are(
    kind: Client, secure: Callable[[str], ScriptedServer], bundle: Path, epoch: Message
) -> None:
    server = secure(OURS)
    server.script = lambda request: replace(kind.answers(request), headers={"Connection": "close"})
    client = client_of(kind, server.url, {"REQUESTS_CA_BUNDLE": str(bundle)})
    client.send(epoch)
    bundle.unlink()
    client.send(epoch)
    client.close()
    assert len(server.requests) == 2


def test_a_proxy_with_a_certificate_of_that_authority_is(
    kind: Client,
    secure: Callable[[str], ScriptedServer],
    bundle: Path,
    epoch: Message,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = secure(OURS)
    proxy.script = lambda _: Reply(407, {"error": "who are you"})
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    client = client_of(kind, f"https://platform-{free_port()}.example", {"REQUESTS_CA_BUNDLE": str(bundle)})
    with pytest.raises(Unreachable, match="asks for a login"):
        client.send(epoch)
    client.close()


def test_a_proxy_of_that_authority_is_trusted_on_the_way_to_an_address_without_certificates_too(
    secure: Callable[[str], ScriptedServer], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = secure(OURS)
    proxy.script = lambda _: Reply(200, {})
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    transport = Transport(ca_bundle=str(bundle))
    address = f"http://platform-{free_port()}.example/there"
    assert transport.request("GET", address, headers={}, is_api=True).status == 200
    transport.close()
    assert [each.path for each in proxy.requests] == [address]


def test_a_certificate_for_another_name_is_not_trusted(
    kind: Client, secure: Callable[[str], ScriptedServer], bundle: Path, epoch: Message
) -> None:
    server = secure("platform.example")
    client = client_of(kind, server.url, {"REQUESTS_CA_BUNDLE": str(bundle)})
    with pytest.raises(Unreachable, match=r"not valid for '127\.0\.0\.1'|'127\.0\.0\.1' doesn't match"):
        client.send(epoch)
    client.close()
    assert server.requests == []


@pytest.mark.parametrize("name", ["mistyped.pem", "too-long" * 40])
def test_certificates_that_are_not_there_are_a_setting_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="there are no certificates in"):
        Transport(ca_bundle=str(tmp_path / name))


def test_a_proxy_sees_no_key_and_nobody_its_password(
    kind: Client, epoch: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: Request) -> Reply:
        return Reply(407, {"error": "who are you"})

    with scripted_server(refuse) as proxy:
        address = proxy.url.rpartition("/")[2]
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxy_s3cret@{address}")
        client = client_of(kind, f"https://platform-{free_port()}.example", {})
        with pytest.raises(Unreachable, match="asks for a login") as caught:
            client.send(epoch)
        client.close()
        [connect] = proxy.requests
        assert (connect.method, "authorization" in connect.headers) == ("CONNECT", False)
        assert KEY not in str(connect)
        assert "proxy_s3cret" not in str(caught.value)


def test_a_connection_through_a_proxy_that_breaks_leaves_the_outcome_open(
    kind: Client,
    secure: Callable[[str], ScriptedServer],
    bundle: Path,
    epoch: Message,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = secure("platform.example")
    server.script = lambda _: Reply(reset=True)
    with tunnel_to(int(server.url.rpartition(":")[2])) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        client = client_of(kind, f"https://platform.example:{free_port()}", {"REQUESTS_CA_BUNDLE": str(bundle)})
        with pytest.raises(UnknownOutcome, match="through the proxy 127"):
            client.send(epoch)
        client.close()
    assert len(server.requests) == 1


def test_one_that_sends_interim_answers_first_leads_there(
    kind: Client,
    bundle: Path,
    secure: Callable[[str], ScriptedServer],
    epoch: Message,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = secure("platform.example")
    with tunnel_to(int(server.url.rpartition(":")[2]), b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        client = client_of(kind, f"https://platform.example:{free_port()}", {"REQUESTS_CA_BUNDLE": str(bundle)})
        client.send(epoch)
        client.close()
    assert len(server.requests) == 1


def test_one_without_tls_does_too(kind: Client, epoch: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_server(lambda _: Reply(reset=True)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        client = client_of(kind, f"http://platform-{free_port()}.example", {})
        with pytest.raises(UnknownOutcome):
            client.send(epoch)
        client.close()
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_one_whose_answer_never_ends_is_given_up(
    kind: Client, epoch: Message, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    over = threading.Event()

    def drip() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nX: "
        while not over.wait(0.02):
            yield b"x"

    with scripted_server(lambda _: Reply(raw=drip())) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy.url)
        client = kind.connect(f"{scheme}://platform-{free_port()}.example", 0.5, connect_seconds=0.5)
        try:
            with pytest.raises(UnknownOutcome):
                client.send(epoch)
        finally:
            over.set()
            client.close()


def test_a_proxy_that_is_away_is_named(kind: Client, epoch: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:proxy_s3cret@127.0.0.1:{port}")
    client = client_of(kind, f"https://platform-{port}.example", {})
    with pytest.raises(Unreachable, match=rf"the proxy 127\.0\.0\.1:{port}, which leads to platform") as caught:
        client.send(epoch)
    client.close()
    assert "proxy_s3cret" not in str(caught.value)


def test_netrc_is_not_read(
    kind: Client, server: ScriptedServer, checkpoint: Upload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text("default login me password netrc_s3cret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    client = client_of(kind, server.url, {})
    client.upload(checkpoint, lambda _: None)
    client.close()
    shown = [each.headers.get("authorization", "") for each in server.requests]
    assert not [each for each in shown if each.startswith("Basic")]


def test_a_storage_elsewhere_sees_no_key(checkpoint: Upload) -> None:
    with scripted_server() as server, scripted_server() as storage:

        def script(request: Request) -> Reply:
            reply = received(request)
            if isinstance(reply.body, dict) and "uploadUrl" in reply.body:
                reply.body["uploadUrl"] = f"{storage.url}/blob?signature=s3cret"
            return reply

        server.script = script
        client = UltralyticsPlatform(server.url, KEY, Transport())
        client.upload(replace(checkpoint, identity=replace(checkpoint.identity, ids=IDS)), lambda _: None)
        client.close()
        assert {each.method for each in storage.requests} == {"PUT"}
        assert KEY not in str([(each.path, each.headers) for each in storage.requests])
