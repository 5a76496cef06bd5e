from __future__ import annotations

import json
import platform
import struct
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from airgap.oci.graph import Root, Walk
from airgap.oci.manifest import OCI_INDEX, Kind, Manifest
from airgap.request import parse_image, read_request
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from airgap.oci.descriptor import Descriptor

SAMPLES = REPOSITORY / "samples"
HELLO = SAMPLES / "hello"
NAME = "registry.example/samples/hello:1.0"


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _read(descriptor: Descriptor) -> bytes:
    return (HELLO / descriptor.digest.blob_path).read_bytes()


def _read_manifest(descriptor: Descriptor) -> Manifest:
    return Manifest.verified(_read(descriptor), descriptor)


def _top() -> tuple[Descriptor, Descriptor]:
    top = Manifest.parse((HELLO / "index.json").read_bytes(), OCI_INDEX)
    image, sbom = top.manifests
    return image, sbom


def _program(architecture: str) -> bytes:
    for child in _read_manifest(_top()[0]).manifests:
        if child.platform and child.platform.architecture == architecture:
            layer = _read_manifest(child).layers[-1]
            with tarfile.open(fileobj=BytesIO(_read(layer)), mode="r:gz") as tar:
                (member,) = tar.getmembers()
                assert (member.name, member.mode, member.uid, member.mtime) == (
                    "hello",
                    0o755,
                    0,
                    0,
                )
                file = tar.extractfile(member)
                assert file is not None
                return file.read()
    raise AssertionError(architecture)


def test_the_script_makes_the_layout_that_is_committed(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, SAMPLES / "make-hello.py", tmp_path / "hello"],
        check=True,
        capture_output=True,
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Kolkata"},
        umask=0o077,
    )
    assert _files(tmp_path / "hello") == _files(HELLO)


def test_the_layout_is_small() -> None:
    assert sum(map(len, _files(HELLO).values())) < 40_000


def test_the_layout_is_whole_and_holds_nothing_else() -> None:
    image, sbom = _top()
    assert image.annotations == {"org.opencontainers.image.ref.name": NAME}
    assert sbom.annotations == {}
    root = Root(descriptor=image, referrers=(sbom,))
    visits = list(Walk(read_manifest=_read_manifest).visit(root))
    for visit in visits:
        assert len(_read(visit.descriptor)) == visit.descriptor.size
    blobs = {visit.descriptor.digest.blob_path for visit in visits}
    assert set(_files(HELLO)) == blobs | {"oci-layout", "index.json"}


def test_the_image_has_two_platforms_and_an_sbom() -> None:
    image, sbom = _top()
    index = _read_manifest(image)
    assert index.kind is Kind.INDEX
    assert index.annotations["org.opencontainers.image.title"] == "hello"
    assert [str(child.platform) for child in index.manifests] == ["linux/amd64", "linux/arm64"]
    amd64, arm64 = (_read_manifest(child) for child in index.manifests)
    assert amd64.kind is arm64.kind is Kind.IMAGE
    assert amd64.layers[0] == arm64.layers[0]
    referrer = _read_manifest(sbom)
    assert referrer.subject == index.descriptor
    assert referrer.artifact_type == sbom.artifact_type == "application/spdx+json"
    document = json.loads(_read(referrer.layers[0]))
    assert document["spdxVersion"] == "SPDX-2.3"
    assert document["packages"][0]["name"] == "hello"


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_the_programs_are_small_static_executables(architecture: str, machine: int) -> None:
    program = _program(architecture)
    assert len(program) < 300
    assert program[:7] == b"\x7fELF\x02\x01\x01"
    kind, found, _, entry = struct.unpack_from("<HHIQ", program, 16)
    assert (kind, found) == (2, machine)
    offset, address, _, size = struct.unpack_from("<4Q", program, 64 + 8)
    assert (offset, size) == (0, len(program))
    assert address <= entry < address + size


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the program is for amd64"
)
def test_the_amd64_program_says_hello(tmp_path: Path) -> None:
    program = tmp_path / "hello"
    program.write_bytes(_program("amd64"))
    program.chmod(0o755)
    run = subprocess.run([program], check=True, capture_output=True)
    assert run.stdout == b"Hello from the other side of the air gap (linux/amd64).\n"
    assert run.stderr == b""


def test_the_arm64_program_says_hello_to_whoever_reads_its_instructions() -> None:
    program = _program("arm64")
    assert list(_run_arm64(program, start=120)) == [
        (64, 1, b"Hello from the other side of the air gap (linux/arm64).\n"),
        (93, 0, b""),
    ]


def _run_arm64(program: bytes, start: int) -> Any:  # noqa: ANN401 - system call, argument, bytes
    """Follow the three instructions that it uses (Arm ARM, C6.2: MOVZ, ADR, SVC)."""
    registers: dict[int, int] = {}
    for at in range(start, len(program), 4):
        (word,) = struct.unpack_from("<I", program, at)
        if word & 0xFFE00000 == 0xD2800000:  # MOVZ, 64 bits, no shift
            registers[word & 31] = word >> 5 & 0xFFFF
        elif word & 0x9F000000 == 0x10000000:  # ADR, forwards
            registers[word & 31] = at + ((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3)
        else:
            assert word == 0xD4000001  # SVC 0
            number = registers[8]
            text = program[registers[1] :][: registers[2]] if number == 64 else b""
            yield number, registers[0], text
            if number == 93:
                return


def test_skopeo_reads_the_layout(tool: Callable[[str], str]) -> None:
    where = f"oci:{HELLO}:{NAME}"
    skopeo = tool("skopeo")
    raw = subprocess.run([skopeo, "inspect", "--raw", where], check=True, capture_output=True)
    assert raw.stdout == _read(_top()[0])
    for architecture in ("amd64", "arm64"):
        choose = [skopeo, f"--override-arch={architecture}", "inspect", where]
        shown = json.loads(subprocess.run(choose, check=True, capture_output=True).stdout)
        assert (shown["Os"], shown["Architecture"]) == ("linux", architecture)
        assert len(shown["Layers"]) == 2


def test_skopeo_copies_the_layout_whole(tool: Callable[[str], str], tmp_path: Path) -> None:
    copy = [tool("skopeo"), "copy", "--all", f"oci:{HELLO}:{NAME}", f"dir:{tmp_path}"]
    subprocess.run(copy, check=True, capture_output=True)
    assert (tmp_path / "manifest.json").read_bytes() == _read(_top()[0])


def test_the_request_is_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = json.loads((REPOSITORY / "schemas" / "request.schema.json").read_bytes())
    document = YAML(typ="safe", pure=True).load((SAMPLES / "export.yaml").read_text())
    Draft202012Validator(schema).validate(document)
    monkeypatch.chdir(REPOSITORY)
    request = read_request(Path("samples/export.yaml"))
    assert request.stream == "samples"
    assert request.images == (parse_image(f"oci:samples/hello:{NAME}"),)
    assert str(request.images[0]) == NAME
