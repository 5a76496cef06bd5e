"""Where credentials are found: files of docker and podman, and helpers."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from airgap.errors import AuthenticationError, UsageError
from airgap.stores import StoreOptions
from airgap.stores.registry_credentials import Credentials, find_credentials

if TYPE_CHECKING:
    from pathlib import Path

HOST = "registry.example:5000"


def encoded(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def find(
    authfile: Path | None = None, repository: str = "team/app", host: str = HOST, **environment: str
) -> Credentials | None:
    return find_in(environment, authfile, repository, host)


def find_in(
    environment: dict[str, str],
    authfile: Path | None = None,
    repository: str = "team/app",
    host: str = HOST,
) -> Credentials | None:
    options = StoreOptions(authfile=authfile, environment=environment)
    return find_credentials(host, repository, options)


def user(found: Credentials | None) -> str | None:
    return None if found is None else found.user


def one(name: str, key: str = HOST) -> dict[str, object]:
    return {"auths": {key: {"auth": encoded(f"{name}:secret")}}}


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert find() is None
    assert find(HOME=str(tmp_path)) is None
    assert find(write(tmp_path / "empty", "")) is None
    assert find(write(tmp_path / "null", {"auths": None, "credHelpers": None})) is None


def test_places_are_asked_in_order(tmp_path: Path) -> None:
    home, docker, runtime, config = (tmp_path / name for name in ("home", "docker", "run", "cfg"))
    write(config / "containers/auth.json", one("config"))
    environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(config)}
    assert user(find_in(environment)) == "config"
    write(runtime / "containers/auth.json", one("runtime"))
    environment["XDG_RUNTIME_DIR"] = str(runtime)
    assert user(find_in(environment)) == "runtime"
    write(home / ".docker/config.json", one("home"))
    assert user(find_in(environment)) == "home"
    write(docker / "config.json", one("docker"))
    assert user(find_in({**environment, "DOCKER_CONFIG": str(docker)})) == "docker"
    named = write(tmp_path / "named.json", one("named"))
    assert user(find_in({**environment, "REGISTRY_AUTH_FILE": str(named)})) == "named"
    option = write(tmp_path / "option.json", one("option"))
    assert user(find_in({**environment, "REGISTRY_AUTH_FILE": str(named)}, option)) == "option"
    # A file that is named is asked alone.
    assert find_in(environment, write(tmp_path / "other.json", one("x", "other.example"))) is None


def test_the_default_place_of_podman_is_below_home(tmp_path: Path) -> None:
    write(tmp_path / ".config/containers/auth.json", one("podman"))
    assert user(find(HOME=str(tmp_path))) == "podman"


def test_the_most_specific_key_wins(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    auths = {}
    for key, name in [
        (HOST, "host"), (f"{HOST}/team", "team"), (f"{HOST}/team/app", "app"),
        ("registry.example", "other port"), (f"{HOST}/team/ap", "prefix of a word"),
    ]:  # fmt: skip
        auths[key] = {"auth": encoded(f"{name}:secret")}
    write(path, {"auths": auths})
    assert user(find(path)) == "app"
    assert user(find(path, "team/web")) == "team"
    assert user(find(path, "team/app/sub")) == "app"
    assert user(find(path, "teams/app")) == "host"
    assert find(path, host="registry.example:5001") is None


@pytest.mark.parametrize("key", [
    "https://index.docker.io/v1/", "index.docker.io", "docker.io", "https://registry-1.docker.io",
    "index.docker.io/v1/",
])  # fmt: skip
def test_docker_hub_has_many_names(tmp_path: Path, key: str) -> None:
    path = write(tmp_path / "auth.json", one("me", key))
    assert user(find(path, "library/nginx", "docker.io")) == "me"
    assert find(path, host="index.docker.io.evil.example") is None


@pytest.mark.parametrize("key", ["https://REGISTRY.example:5000/v2/", f"http://{HOST}"])
def test_a_key_may_be_a_url(tmp_path: Path, key: str) -> None:
    assert user(find(write(tmp_path / "auth.json", one("me", key)))) == "me"


def test_what_an_entry_may_hold(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"

    def entry(**fields: str) -> Credentials | None:
        return find(write(path, {"auths": {HOST: fields}}))

    plain = entry(username="me", password="pa:ss")
    assert plain is not None
    assert plain.basic == "Basic " + encoded("me:pa:ss")
    assert plain.kind == "password"
    assert "pa:ss" not in repr(plain)
    padded = entry(auth=encoded("me:secret\0\0"))
    assert padded is not None
    assert padded.password == "secret"
    identity = entry(auth=encoded("me:"), identitytoken="long-lived")
    assert identity is not None
    assert (identity.identity_token, identity.basic) == ("long-lived", None)
    assert identity.kind == "identity token"
    token_user = entry(username="<token>", password="long-lived")
    assert token_user is not None
    assert (token_user.identity_token, token_user.user) == ("long-lived", "")
    bearer = entry(registrytoken="ready")
    assert bearer is not None
    assert (bearer.registry_token, bearer.kind) == ("ready", "registry token")
    assert entry(email="me@example.com") is None


@pytest.mark.parametrize("document", [
    "{", "[]", '{"auths": [1]}', '{"auths": {"a": 1}}', '{"credHelpers": {"a": 1}}',
    '{"auths": {"a": {}, "a": {}}}', {"auths": {HOST: {"auth": "%%%"}}},
    {"auths": {HOST: {"auth": base64.b64encode(b"\xff").decode()}}},
    {"auths": {HOST: {"username": 1}}},
])  # fmt: skip
def test_a_file_that_is_none_is_named(tmp_path: Path, document: object) -> None:
    path = write(tmp_path / "auth.json", document)
    with pytest.raises(UsageError, match=r"auth\.json is not an auth file") as caught:
        find(path)
    assert caught.value.reason == "authfile-invalid"


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    for environment in ({}, {"REGISTRY_AUTH_FILE": str(tmp_path / "none.json")}):
        authfile = None if environment else tmp_path / "none.json"
        with pytest.raises(UsageError, match=r"there is no auth file .*none\.json"):
            find_in(environment, authfile)


HELPER = """#!/bin/sh
read server || true
test "$1" = get || exit 9
case "$server" in
  registry.example:5000) printf '{"ServerURL":"x","Username":"%s","Secret":"helped"}' "${WHO:-me}";;
  https://index.docker.io/v1/) printf '{"Username":"hub","Secret":"helped"}';;
  broken*) echo 'no such vault, secret: hunter2'; exit 1;;
  nonsense*) echo 'hunter2';;
  slow*) exec sleep 60;;
  *) echo 'credentials not found in native keychain'; exit 1;;
esac
"""


@pytest.fixture
def helpers(tmp_path: Path) -> str:
    for name in ("docker-credential-vault", "docker-credential-other"):
        program = write(tmp_path / "bin" / name, HELPER.replace("me}", f"{name[-5:]}}}"))
        program.chmod(0o755)
    unfit = write(tmp_path / "bin" / "docker-credential-unfit", "#!/nonexistent/interpreter\n")
    unfit.chmod(0o755)
    return f"{tmp_path / 'bin'}:/usr/bin:/bin"


def test_helpers_are_asked(tmp_path: Path, helpers: str) -> None:
    path = tmp_path / "auth.json"
    write(path, {"auths": {HOST: {}}, "credsStore": "vault"})
    found = find(path, PATH=helpers)
    assert found is not None
    assert (found.user, found.password) == ("vault", "helped")
    assert found.origin == f"docker-credential-vault, named in {path}"
    write(path, {"credsStore": "vault", "credHelpers": {HOST: "other", "x.example": "vault"}})
    assert user(find(path, PATH=helpers)) == "other"
    assert user(find(path, "library/nginx", "docker.io", PATH=helpers)) == "hub"
    token = find(path, PATH=helpers, WHO="<token>")
    assert token is not None
    assert token.identity_token == "helped"


def test_a_helper_without_an_answer_leaves_it_to_the_file(tmp_path: Path, helpers: str) -> None:
    document = one("inline", "unknown.example")
    path = write(tmp_path / "auth.json", {**document, "credsStore": "vault"})
    assert user(find(path, host="unknown.example", PATH=helpers)) == "inline"
    assert find(path, host="nobody.example", PATH=helpers) is None


def test_a_key_with_a_repository_comes_before_helpers(tmp_path: Path, helpers: str) -> None:
    document = {**one("scoped", f"{HOST}/team"), "credsStore": "vault"}
    assert user(find(write(tmp_path / "auth.json", document), PATH=helpers)) == "scoped"


@pytest.mark.parametrize(("helper", "host", "why"), [
    ("missing", HOST, "not on the PATH"),
    ("../bin/vault", HOST, "not on the PATH"),
    ("unfit", HOST, "No such file"),
    ("vault", "broken.example", "no such vault"),
    ("vault", "nonsense.example", "not what helpers answer"),
    ("vault", "slow.example", "no answer within"),
])  # fmt: skip
def test_a_helper_that_fails_is_named(
    tmp_path: Path,
    helpers: str,
    helper: str,
    host: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airgap.stores.registry_helper._SECONDS", 0.5)
    path = write(tmp_path / "auth.json", {"credsStore": helper})
    with pytest.raises(AuthenticationError, match=why) as caught:
        find(path, host=host, PATH=helpers)
    assert caught.value.reason == "credential-helper-failed"
    if host.startswith("nonsense"):
        assert "hunter2" not in caught.value.message
