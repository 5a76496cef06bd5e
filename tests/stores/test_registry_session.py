"""Connections: TLS, client certificates, proxies, plain HTTP, and what is never read."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from airgap.errors import StoreError, UsageError
from airgap.stores import Store, StoreOptions, open_store
from airgap.stores.registry import RegistryStore, open_registry
from airgap.stores.registry_proxy import Proxies
from tests.simulators.fake_registry import FakeRegistry, run_registry
from tests.simulators.fake_server import Reply
from tests.simulators.registry_scenes import image, make_tls, put_image, visit

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def context_and_ca(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    return make_tls(tmp_path)


@pytest.fixture
def fake(context_and_ca: tuple[ssl.SSLContext, Path]) -> Iterator[FakeRegistry]:
    with run_registry(FakeRegistry(), context_and_ca[0]) as registry:
        put_image(registry, "app", image(), "v1")
        yield registry


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_private_ca_is_believed_where_it_is_named(
    fake: FakeRegistry, context_and_ca: tuple[ssl.SSLContext, Path], side: str
) -> None:
    with visit(fake, side=side, ca_file=context_and_ca[1]) as store:
        assert store.repository("app").resolve("v1") == image().descriptor
    waits: list[float] = []
    with (
        visit(fake, waits, side=side) as store,
        pytest.raises(StoreError, match="certificate does not verify") as caught,
    ):
        store.repository("app").resolve("v1")
    assert caught.value.reason == "tls-not-verified"
    assert "--ca-file" in caught.value.hint
    assert waits == []


def test_the_environment_cannot_make_us_believe(
    fake: FakeRegistry,
    context_and_ca: tuple[ssl.SSLContext, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(context_and_ca[1]))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    with visit(fake) as store, pytest.raises(StoreError, match="does not verify"):
        store.repository("app").resolve("v1")
    with visit(fake, ca_file=context_and_ca[1]) as store:
        store.repository("app").resolve("v1")
    assert fake.seen[-1].authorization is None


def test_a_certificate_of_another_host_does_not_verify(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        run_registry(FakeRegistry(), context) as fake,
        visit(fake, ca_file=tmp_path / "ca.pem") as store,
        pytest.raises(StoreError) as caught,
    ):
        store.repository("app").resolve("v1")
    assert caught.value.reason == "tls-not-verified"


def test_plain_http_is_spoken_only_where_it_is_asked_for() -> None:
    with run_registry(FakeRegistry()) as fake:
        store = open_registry(fake.host, StoreOptions())
        with pytest.raises(StoreError, match="does not speak TLS") as caught:
            store.repository("app").resolve("v1")
        store.close()
        assert caught.value.reason == "registry-not-https"
        assert caught.value.hint.endswith(f"--insecure-http {fake.host}")


@pytest.fixture
def mutual(tmp_path: Path) -> Iterator[tuple[FakeRegistry, dict[str, Any]]]:
    folder = tmp_path / "mutual"
    folder.mkdir()
    context, ca_file = make_tls(folder)
    authority = trustme.CA()
    client = authority.issue_cert("client@example.com")
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with run_registry(FakeRegistry(), context) as registry:
        put_image(registry, "app", image(), "v1")
        yield (
            registry,
            {
                "ca_file": ca_file,
                "client_certificate": folder / "client.pem",
                "client_key": folder / "client.key",
            },
        )


def test_a_client_certificate_opens_the_door(mutual: tuple[FakeRegistry, dict[str, Any]]) -> None:
    fake, options = mutual
    with visit(fake, **options) as store:
        store.repository("app").resolve("v1")
    with visit(fake, ca_file=options["ca_file"]) as store, pytest.raises(StoreError):
        store.repository("app").resolve("v1")


def test_a_client_certificate_is_shown_to_its_own_host_only(
    mutual: tuple[FakeRegistry, dict[str, Any]],
    fake: FakeRegistry,
    context_and_ca: tuple[ssl.SSLContext, Path],
    tmp_path: Path,
) -> None:
    stranger, options = mutual
    both = tmp_path / "both.pem"
    both.write_text(options["ca_file"].read_text() + context_and_ca[1].read_text())
    options["ca_file"] = both
    with visit(stranger, **options) as store:
        store.repository("app").resolve("v1")
    stranger.seen.clear()
    fake.faults.append(
        lambda _: Reply(status=307, headers={"Location": f"{stranger.url}/v2/app/manifests/v1"})
    )
    with visit(fake, **options) as store, pytest.raises(StoreError) as caught:
        store.repository("app").resolve("v1")
    assert caught.value.reason == "registry-unreachable"
    assert not stranger.seen


@pytest.mark.parametrize("side", ["source", "destination"])
def test_certificates_that_cannot_be_read_are_named(tmp_path: Path, side: str) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "missing.pem"):
        with pytest.raises(UsageError, match=f"{path} cannot be read as CA") as caught:
            open_registry("registry.example", StoreOptions(side=side, ca_file=path))
        assert caught.value.reason == "ca-file-invalid"
        with pytest.raises(UsageError, match=f"{path} cannot be used as client"):
            open_registry("registry.example", StoreOptions(side=side, client_certificate=path))


@pytest.mark.parametrize(("side", "asked"), [("source", True), ("destination", False)])
def test_only_a_source_uses_the_proxy_of_its_environment(side: str, asked: bool) -> None:
    with run_registry(FakeRegistry()) as proxy:
        proxy.faults.append(lambda _: Reply(status=502))
        environment = {"HTTPS_PROXY": proxy.host}
        options = StoreOptions(side=side, environment=environment, timeout=(1, 1), retries=0)
        store = open_registry("registry.invalid", options)
        with pytest.raises(StoreError):
            store.repository("app").resolve("v1")
        store.close()
        assert [one.method for one in proxy.seen] == (["CONNECT"] if asked else [])


def test_a_proxy_that_is_named_serves_plain_http_too() -> None:
    with run_registry(FakeRegistry()) as proxy:
        put_image(proxy, "app", image(), "v1")
        options = StoreOptions(
            proxy=proxy.url, insecure_http=frozenset({"registry.invalid"}), retries=0
        )
        store = open_registry("registry.invalid", options)
        assert store.repository("app").resolve("v1") == image().descriptor
        store.close()
        assert proxy.seen[0].headers["host"] == "registry.invalid"


@pytest.mark.parametrize(("entry", "url", "bypassed"), [
    ("*", "https://a.example/", True),
    ("a.example", "https://a.example/", True),
    ("a.example", "https://b.a.example:5000/", True),
    (".a.example", "https://b.a.example/", True),
    ("*.a.example", "https://b.a.example/", True),
    ("a.example", "https://ba.example/", False),
    ("a.example:5000", "https://a.example:5000/", True),
    ("a.example:5000", "https://a.example/", False),
    ("x, 10.0.0.0/8", "https://10.1.2.3/", True),
    ("10.0.0.0/8", "https://11.1.2.3/", False),
    ("127.0.0.1", "https://127.0.0.1:5000/", True),
    ("[::1]", "https://[::1]:5000/", True),
    ("::1", "https://[::1]/", True),
    ("", "https://a.example/", False),
])  # fmt: skip
def test_no_proxy(entry: str, url: str, bypassed: bool) -> None:
    environment = {"https_proxy": "http://proxy.example:3128", "no_proxy": entry}
    for options in (
        StoreOptions(environment=environment),
        StoreOptions(environment=environment, proxy="http://proxy.example:3128"),
    ):
        chosen = Proxies.of(options).choose(url)
        assert chosen == (None if bypassed else "http://proxy.example:3128")
    assert Proxies.of(StoreOptions(environment=environment)).choose("http://a.example/") is None
    assert Proxies.of(StoreOptions(environment=environment, side="destination")) == Proxies()


def test_a_proxy_of_a_kind_that_is_not_known_is_an_error_of_ours() -> None:
    options = StoreOptions(proxy="socks5://127.0.0.1:1", retries=0)
    store = open_registry("registry.invalid", options)
    with pytest.raises(StoreError):
        store.repository("app").resolve("v1")
    store.close()


@pytest.mark.parametrize("host", ["", "a b", "a/b", "-a", "a:b", "user@host", "a:1234567", "a\n"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="is not the host of a registry"):
        open_registry(host, StoreOptions())


@pytest.mark.parametrize("name", ["", "UPPER", "a//b", "../a", "a:b"])
def test_what_is_no_repository_is_refused(name: str) -> None:
    store = open_registry("registry.example", StoreOptions())
    with pytest.raises(UsageError, match="is not the name of a repository"):
        store.repository(name)


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "Registry-1.Docker.io"])
def test_docker_hub_answers_elsewhere(host: str) -> None:
    store = open_store("docker", host, StoreOptions())
    assert isinstance(store, RegistryStore)
    checked: Store = store  # for mypy: the protocols are kept
    assert checked is store
    repository = store.repository("library/nginx")
    assert repository.name == "docker.io/library/nginx"
    assert repository is store.repository("library/nginx")
    # The name stays docker.io: only where requests go is another host.
    assert repository._client.connection.origin == "https://registry-1.docker.io"


def test_no_file_descriptor_stays_behind(
    fake: FakeRegistry, context_and_ca: tuple[ssl.SSLContext, Path]
) -> None:
    def visit_it() -> None:
        with visit(fake, ca_file=context_and_ca[1]) as store:
            store.repository("app").resolve("v1")

    visit_it()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        visit_it()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 5
