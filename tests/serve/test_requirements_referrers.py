"""One test for each requirement on referrers (end-12a, end-12b).

Source: OCI distribution-spec 1.1. Each test is named after the requirement and cites the endpoint's
id. All of them ask a real server over a real socket, which serves a real layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from airgap.oci.manifest import OCI_INDEX
from tests.serve.content import NOTHING, SBOM, SIGNATURE, Content
from tests.serve.sites import BASE

if TYPE_CHECKING:
    from pathlib import Path

    from airgap.oci.digest import Digest
    from tests.serve.content import Client
    from tests.serve.sites import Site


def manifests(client: Client, digest: Digest, query: str = "") -> list[dict[str, object]]:
    reply = client.get(f"{BASE}/referrers/{digest}{query}")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == OCI_INDEX
    assert reply.json["schemaVersion"] == 2
    assert reply.json["mediaType"] == OCI_INDEX
    listed = reply.json["manifests"]
    assert isinstance(listed, list)
    return listed


def test_end_12a_the_referrers_are_an_image_index_of_200(client: Client, site: Site) -> None:
    found = {entry["digest"] for entry in manifests(client, site.image.digest)}
    assert found == {str(d.digest) for d in (site.sbom, site.signature, site.list)}


def test_end_12a_a_descriptor_has_type_size_artifact_type_and_annotations_of_its_manifest(
    client: Client, site: Site
) -> None:
    listed = {entry["digest"]: entry for entry in manifests(client, site.image.digest)}
    assert listed[str(site.sbom.digest)] == {
        **site.sbom.to_json(),
        "artifactType": SBOM,
        "annotations": {"made": "today"},
    }


def test_end_12a_without_artifact_type_it_is_that_of_the_config(client: Client, site: Site) -> None:
    listed = {entry["digest"]: entry for entry in manifests(client, site.image.digest)}
    assert listed[str(site.signature.digest)] == {
        **site.signature.to_json(),
        "artifactType": SIGNATURE,
    }


def test_end_12a_an_index_without_artifact_type_is_listed_without_one(
    client: Client, site: Site
) -> None:
    listed = {entry["digest"]: entry for entry in manifests(client, site.image.digest)}
    assert listed[str(site.list.digest)] == {**site.list.to_json(), "annotations": {"kind": "list"}}


def test_end_12a_a_digest_without_referrers_is_200_with_an_empty_list(
    client: Client, site: Site
) -> None:
    assert manifests(client, NOTHING) == []
    assert manifests(client, site.amd64.digest) == []


def test_end_12a_the_referrers_api_never_answers_404(client: Client, site: Site) -> None:
    reply = client.get(f"/v2/no/such/referrers/{site.image.digest}")
    assert (reply.status, reply.json["manifests"]) == (200, [])


@pytest.mark.parametrize("digest", ["sha256:abc", "latest", "sha256:" + "g" * 64])
def test_end_12a_a_digest_of_invalid_syntax_is_400(client: Client, digest: str) -> None:
    reply = client.get(f"{BASE}/referrers/{digest}")
    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")


def test_end_12a_only_referrers_of_the_same_repository_are_listed(
    client: Client, site: Site
) -> None:
    reply = client.get(f"/v2/registry.example/prod/other/referrers/{site.image.digest}")
    assert reply.json["manifests"] == []


def test_end_12b_the_artifact_type_filter_is_applied_and_said(client: Client, site: Site) -> None:
    path = f"{BASE}/referrers/{site.image.digest}?artifactType={quote(SBOM, safe='')}"
    reply = client.get(path)
    assert reply.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["digest"] for entry in reply.json["manifests"]] == [str(site.sbom.digest)]
    assert manifests(client, site.image.digest, "?artifactType=none/such") == []


def test_end_12b_no_filter_is_said_where_none_was_asked_for(client: Client, site: Site) -> None:
    for query in ("", "?artifactType="):
        reply = client.get(f"{BASE}/referrers/{site.image.digest}{query}")
        assert "OCI-Filters-Applied" not in reply.headers
        assert len(reply.json["manifests"]) == 3


def test_end_12a_link_leads_to_the_rest_of_a_list_that_is_too_long(tmp_path: Path) -> None:
    content = Content(root=tmp_path / "store")
    image = content.image(b"layer")
    content.record("app", image, "1")
    made = set()
    for number in range(9):
        annotations = {"much": "x" * 1_000_000, "number": str(number)}
        kind = SBOM if number % 3 else SIGNATURE
        referrer = content.artifact(image, artifactType=kind, annotations=annotations)
        content.record("app", referrer)
        if kind == SBOM:
            made.add(str(referrer.digest))
    path, seen = f"/v2/app/referrers/{image.digest}?artifactType={SBOM}&ns=", []
    with content.serve() as client:
        while path:
            reply = client.get(path)
            assert len(reply.body) < 4 << 20
            assert reply.headers["OCI-Filters-Applied"] == "artifactType"
            seen += [entry["digest"] for entry in reply.json["manifests"]]
            path = reply.headers.get("Link", "<>").split(">")[0].removeprefix("<")
    assert set(seen) == made
    assert len(seen) == len(made)


def test_a_manifest_listed_by_a_fallback_tag_is_in_the_referrers(tmp_path: Path) -> None:
    content = Content(root=tmp_path / "store")
    image = content.image(b"layer")
    signature = content.artifact(image, artifactType=SIGNATURE)
    content.record("app", image, "1")
    content.record("app", content.index(signature), image.digest.tag_stem)
    with content.serve() as client:
        listed = client.get(f"/v2/app/referrers/{image.digest}").json["manifests"]
    assert [entry["digest"] for entry in listed] == [str(signature.digest)]
