#!/usr/bin/env python3
"""Make samples/hello: a small, real, multi-platform image as an OCI image layout.

    samples/make-hello.py [FOLDER]

One static program of a few hundred bytes for each of linux/amd64 and linux/arm64, written here
instruction by instruction; two layers (one shared by both platforms), configs, manifests, an index
with annotations under the tag ``registry.example/samples/hello:1.0``; and one referrer, an SPDX
SBOM whose subject is the index. Nothing depends on the time, the machine or a compression library
(the layers are gzip files of stored blocks), so the same bytes come out everywhere, and
tests/test_samples.py compares them with those that are committed.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import tarfile
import zlib
from pathlib import Path

NAME = "registry.example/samples/hello:1.0"
CREATED = "2026-11-22T00:00:00Z"
NOTICE = b"""\
A sample image of the airgap toolkit. The program says hello and ends; nothing else is in here.
Made by samples/make-hello.py, which is also its source. Apache-2.0.
"""

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
SPDX = "application/spdx+json"

# --- the programs ---------------------------------------------------------------------------


def amd64_program(message: bytes) -> bytes:
    """write(1, message, size); exit(0) for x86-64."""
    syscall = b"\x0f\x05"
    end = b"\xb8" + struct.pack("<I", 60) + b"\x31\xff" + syscall  # mov eax, 60; xor edi, edi
    write = b"\xba" + struct.pack("<I", len(message)) + syscall  # mov edx, size
    start = (
        b"\xb8" + struct.pack("<I", 1) + b"\xbf" + struct.pack("<I", 1)
    )  # mov eax, 1; mov edi, 1
    address = b"\x48\x8d\x35" + struct.pack("<i", len(write + end))  # lea rsi, [rip + …]
    return start + address + write + end + message


def arm64_program(message: bytes) -> bytes:
    """write(1, message, size); exit(0) for AArch64."""

    def move(register: int, value: int) -> int:  # movz x<register>, #value
        return 0xD2800000 | value << 5 | register

    supervisor_call = 0xD4000001  # svc #0
    to_message = 7  # words from the second instruction to the message
    instructions = [
        move(0, 1),
        0x10000000 | to_message << 5 | 1,  # adr x1, message
        move(2, len(message)),
        move(8, 64),
        supervisor_call,
        move(0, 0),
        move(8, 93),
        supervisor_call,
    ]
    return struct.pack("<8I", *instructions) + message


def elf(machine: int, code: bytes) -> bytes:
    """Return a static executable: one header, one segment (the whole file), entry after both."""
    base, headers = 0x400000, 64 + 56
    size = headers + len(code)
    entry = base + headers
    header = struct.pack(
        "<4s5B7x2HI3QI6H",
        b"\x7fELF", 2, 1, 1, 0, 0,  # 64 bits, little-endian, version 1, System V
        2, machine, 1, entry, 64, 0, 0,  # executable; program headers at 64; no sections
        64, 56, 1, 64, 0, 0,
    )  # fmt: skip
    # One segment to load, readable and executable, good for pages of 4 to 64 KiB.
    segment = struct.pack("<2I6Q", 1, 5, 0, base, base, size, size, 0x10000)
    return header + segment + code


PLATFORMS = {
    "amd64": (62, amd64_program),
    "arm64": (183, arm64_program),
}

# --- the layers -----------------------------------------------------------------------------


def tar(name: str, mode: int, content: bytes) -> bytes:
    """Return a tar of one file that belongs to root and has no time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    header = member.tobuf(tarfile.USTAR_FORMAT)
    return header + content + bytes(-len(content) % 512) + bytes(1024)


def gzip(data: bytes) -> bytes:
    """Return `data` (up to 65,535 bytes) as a gzip file of one stored block: one spelling only."""
    block = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF) + data
    ends = struct.pack("<2I", zlib.crc32(data), len(data))
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block + ends


# --- the image ------------------------------------------------------------------------------


class Layout:
    """An OCI image layout in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (folder / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')

    def add(self, media_type: str, content: bytes | dict[str, object]) -> dict[str, object]:
        """Write a blob and return its descriptor."""
        data = content if isinstance(content, bytes) else spell(content)
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def spell(document: dict[str, object]) -> bytes:
    """Return JSON without anything that could be spelled in two ways."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def add_platform(layout: Layout, architecture: str) -> dict[str, object]:
    """Add the image of one platform and return its descriptor for the index."""
    machine, program = PLATFORMS[architecture]
    message = f"Hello from the other side of the air gap (linux/{architecture}).\n".encode()
    layers = [
        tar("NOTICE", 0o644, NOTICE),
        tar("hello", 0o755, elf(machine, program(message))),
    ]
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": {"Entrypoint": ["/hello"], "User": "65534:65534", "WorkingDir": "/"},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
        },
        "history": [{"created": CREATED, "created_by": "samples/make-hello.py"} for _ in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add(CONFIG, config),
        "layers": [layout.add(LAYER, gzip(layer)) for layer in layers],
    }
    platform = {"architecture": architecture, "os": "linux"}
    return {**layout.add(MANIFEST, manifest), "platform": platform}


def add_sbom(layout: Layout, index: dict[str, object]) -> dict[str, object]:
    """Add an SBOM that refers to the index (OCI 1.1) and return its descriptor."""
    package = {
        "SPDXID": "SPDXRef-hello",
        "name": "hello",
        "versionInfo": "1.0",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION",
    }
    document: dict[str, object] = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "hello-1.0",
        "documentNamespace": f"https://registry.example/spdx/hello-1.0/{index['digest']}",
        "creationInfo": {"created": CREATED, "creators": ["Tool: make-hello.py"]},
        "packages": [package],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": "SPDXRef-hello",
            }
        ],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": SPDX,
        "config": {**layout.add(EMPTY, b"{}"), "data": "e30="},
        "layers": [layout.add(SPDX, document)],
        "subject": index,
        "annotations": {"org.opencontainers.image.created": CREATED},
    }
    return {**layout.add(MANIFEST, manifest), "artifactType": SPDX}


def make_hello(folder: Path) -> None:
    layout = Layout(folder)
    index = layout.add(
        INDEX,
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [add_platform(layout, architecture) for architecture in PLATFORMS],
            "annotations": {
                "org.opencontainers.image.title": "hello",
                "org.opencontainers.image.description": "The sample image of the airgap toolkit",
                "org.opencontainers.image.version": "1.0",
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.created": CREATED,
            },
        },
    )
    tagged = {**index, "annotations": {"org.opencontainers.image.ref.name": NAME}}
    top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [tagged, add_sbom(layout, index)]}
    (folder / "index.json").write_bytes(spell(top))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parent / "hello"
    make_hello(target)
    print(f"{target}: {NAME}")
