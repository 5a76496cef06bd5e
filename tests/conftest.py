"""What all tests share: real tools, other people's test data, and nobody's own settings."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable

# A machine may be slow or busy; a test that depends on time would say so and not what is wrong.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = Path(os.environ.get("AIRGAP_TOOLS", REPOSITORY / ".tools" / "bin"))
SHARED = Path(os.environ.get("AIRGAP_SHARED", REPOSITORY.parent / "shared"))


def find_tool(name: str) -> str:
    """Return the path of a real tool; skip where it is missing, fail where all is required."""
    path = os.pathsep.join([str(TOOLS), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        message = f"{name} is not installed (scripts/tools builds crane, oras and registry)"
        if os.environ.get("AIRGAP_REQUIRE_TOOLS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


def find_shared(name: str) -> Path:
    """Return a folder of test data from beside the repository; skip or fail as above."""
    folder = SHARED / name
    if not folder.exists():
        message = f"the test data {name} is not beside the repository"
        if os.environ.get("AIRGAP_REQUIRE_VECTORS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture
def tool() -> Callable[[str], str]:
    return find_tool


@pytest.fixture
def shared() -> Callable[[str], Path]:
    return find_shared


@pytest.fixture(autouse=True)
def _no_settings_of_the_person(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep the settings and credentials of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith("AIRGAP_") and name not in {
            "AIRGAP_TOOLS",
            "AIRGAP_SHARED",
            "AIRGAP_REQUIRE_TOOLS",
            "AIRGAP_REQUIRE_VECTORS",
        }:
            monkeypatch.delenv(name)
    for name in (
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "https_proxy",
        "http_proxy",
        "REGISTRY_AUTH_FILE",
        "DOCKER_CONFIG",
    ):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
