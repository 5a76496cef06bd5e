from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airgap.errors import FormatError
from airgap.oci.graph import REFERRER_BLOB_LIMIT, Root, Visit, Walk
from airgap.oci.manifest import DOCKER_MANIFEST, EMPTY_CONFIG, OCI_INDEX, Manifest
from tests.oci.examples import Library, blob, data, image, image_document, index, index_document

if TYPE_CHECKING:
    from airgap.oci.descriptor import Descriptor
    from airgap.oci.digest import Digest

AMD, ARM, ATTESTATION = (
    image("amd", layer_count=2),
    image("arm"),
    image("attestation", layer_count=0),
)
INNER = index(ATTESTATION)
TOP = index(AMD, ARM, INNER)
SIGNATURE = image("signature", subject=TOP.descriptor.to_json())
SIGNATURES = index(SIGNATURE)
LIBRARY = (AMD, ARM, ATTESTATION, INNER, TOP, SIGNATURE, SIGNATURES)


def _walk(*more: Manifest) -> Walk:
    return Walk(read_manifest=Library(*LIBRARY, *more).read)


def _met(visits: list[Visit]) -> list[Digest]:
    return [visit.descriptor.digest for visit in visits]


def _content(manifest: Manifest) -> list[Digest]:
    return [manifest.digest, *(blob.digest for blob in manifest.blobs)]


def test_manifests_come_before_their_content_and_children_depth_first() -> None:
    visits = list(_walk().visit(Root(descriptor=TOP.descriptor)))
    assert _met(visits) == [
        TOP.digest,
        *_content(AMD),
        *_content(ARM),
        INNER.digest,
        *_content(ATTESTATION),
    ]
    assert [visit.manifest for visit in visits if visit.manifest] == [
        TOP, AMD, ARM, INNER, ATTESTATION
    ]  # fmt: skip
    assert not any(visit.referrer for visit in visits)


def test_referrers_come_after_the_item_as_listed() -> None:
    root = Root(
        descriptor=ARM.descriptor, referrers=(SIGNATURES.descriptor, ATTESTATION.descriptor)
    )
    visits = list(_walk().visit(root))
    assert _met(visits) == [
        *_content(ARM),
        SIGNATURES.digest,
        *_content(SIGNATURE),
        *_content(ATTESTATION),
    ]
    assert [visit.referrer for visit in visits] == [False] * 3 + [True] * 6


def test_only_the_chosen_children_of_the_root_are_walked() -> None:
    chosen = frozenset({ARM.digest, INNER.digest})
    visits = list(_walk().visit(Root(descriptor=TOP.descriptor, children=chosen)))
    assert _met(visits) == [TOP.digest, *_content(ARM), INNER.digest, *_content(ATTESTATION)]


def test_what_is_chosen_must_be_a_child() -> None:
    chosen = frozenset({ARM.digest, ATTESTATION.digest})
    walk = _walk()
    root = Root(descriptor=TOP.descriptor, children=chosen)
    for before in ([], [Root(descriptor=TOP.descriptor)]):
        walk = _walk()
        list(walk.visit_all(before))
        with pytest.raises(FormatError) as caught:
            list(walk.visit(root))
        assert caught.value.reason == "child-unknown"
        assert caught.value.message == (
            f"{ATTESTATION.digest} is chosen but is no child of {TOP.digest}"
        )


def test_all_is_met_once_as_an_item_and_once_as_a_referrer() -> None:
    item = Root(descriptor=TOP.descriptor, referrers=(ARM.descriptor, ARM.descriptor))
    again = Root(descriptor=ARM.descriptor, referrers=(ARM.descriptor,))
    walk = _walk()
    visits = list(walk.visit_all([item, again, item]))
    assert _met(visits).count(ARM.digest) == 2
    assert [visit.referrer for visit in visits if visit.descriptor.digest == ARM.digest] == [
        False,
        True,
    ]
    keys = [(visit.descriptor.digest, visit.referrer) for visit in visits]
    assert len(keys) == len(set(keys))


def test_a_blob_of_two_manifests_is_met_where_it_is_first() -> None:
    twin = image("arm", annotations={"twin": "yes"})
    visits = list(_walk(twin).visit_all([Root(descriptor=m.descriptor) for m in (ARM, twin)]))
    assert _met(visits) == [*_content(ARM), twin.digest]


@pytest.mark.parametrize("first", ["all", "amd", "arm"])
def test_an_index_of_which_some_came_is_walked_for_the_rest(first: str) -> None:
    roots = {
        "all": Root(descriptor=TOP.descriptor),
        "amd": Root(descriptor=TOP.descriptor, children=frozenset({AMD.digest})),
        "arm": Root(descriptor=TOP.descriptor, children=frozenset({ARM.digest})),
    }
    order = [roots.pop(first), *roots.values()]
    visits = list(_walk().visit_all(order))
    assert sorted(_met(visits)) == sorted(
        _met(list(_walk().visit(Root(descriptor=TOP.descriptor))))
    )


def test_content_that_is_a_manifest_elsewhere_is_met_as_both() -> None:
    sneaky = image(layer_count=0, config=ARM.descriptor.to_json())
    roots = [Root(descriptor=sneaky.descriptor), Root(descriptor=ARM.descriptor)]
    visits = list(_walk(sneaky).visit_all(roots))
    assert [visit.manifest for visit in visits if visit.descriptor.digest == ARM.digest] == [
        None,
        ARM,
    ]


def test_an_index_that_leads_to_one_child_twice_is_no_blow_up() -> None:
    library = Library(ARM, *(levels := _diamond()))
    visits = list(Walk(read_manifest=library.read).visit(Root(descriptor=levels[-1].descriptor)))
    assert _met(visits) == [level.digest for level in reversed(levels)] + _content(ARM)
    assert len(library.reads) == len(set(library.reads)) == 4  # A060


def _diamond() -> list[Manifest]:
    levels: list[Manifest] = []
    below = ARM
    for _ in range(3):
        below = index(*[below] * 100)
        levels.append(below)
    return levels


def test_four_levels_are_walked_and_not_five() -> None:
    levels = [*_diamond(), top := index(_diamond()[-1])]
    with pytest.raises(FormatError) as caught:
        list(_walk(*levels).visit(Root(descriptor=top.descriptor)))  # A060
    assert caught.value.reason == "graph-too-deep"
    assert caught.value.message == f"{ARM.digest} nests deeper than 4"


def test_a_hundred_thousand_descriptors_are_walked_and_not_one_more() -> None:
    many = [
        Manifest.parse(data(image_document(config=EMPTY_CONFIG.to_json(), layer_count=0) | {
            "layers": [blob(b"")] * 9_998, "annotations": {"number": str(number)}
        }))
        for number in range(10)
    ]  # fmt: skip
    top = index(*many)  # 1 + 10 * (1 + 1 + 9998) = 100,001
    parsed = {manifest.digest: manifest for manifest in (top, *many)}
    walk = Walk(read_manifest=lambda descriptor: parsed[descriptor.digest])
    with pytest.raises(FormatError) as caught:  # A060
        list(walk.visit(Root(descriptor=top.descriptor)))
    assert caught.value.reason == "graph-too-large"
    assert caught.value.message == "more than 100000 descriptors in one item"
    chosen = frozenset(manifest.digest for manifest in many[1:])
    walk = Walk(read_manifest=lambda descriptor: parsed[descriptor.digest])
    assert len(list(walk.visit(Root(descriptor=top.descriptor, children=chosen)))) == 12
    # The bound is for one item: the next starts anew.
    assert len(list(walk.visit(Root(descriptor=many[0].descriptor)))) == 1


def _named(descriptor: Descriptor, size: int) -> dict[str, object]:
    return replace(descriptor, size=size).to_json()


@pytest.mark.parametrize("place", ["layer", "child", "referrer", "next item"])
def test_one_digest_with_two_sizes_is_refused_wherever_it_is_met(place: str) -> None:
    size = ARM.size + 1
    liar = {
        "layer": image("x", config=_named(ARM.descriptor, size)),
        "child": index(manifests=[_named(ARM.descriptor, size)]),
    }.get(place, ARM)
    wrong = replace(ARM.descriptor, size=size)
    roots = {
        "referrer": [Root(descriptor=ARM.descriptor, referrers=(wrong,))],
        "next item": [Root(descriptor=ARM.descriptor), Root(descriptor=wrong)],
    }.get(place, [Root(descriptor=ARM.descriptor), Root(descriptor=liar.descriptor)])
    with pytest.raises(FormatError) as caught:  # A055
        list(_walk(liar).visit_all(roots))
    assert caught.value.reason == "descriptor-size-mismatch"
    assert caught.value.message == f"{ARM.digest} is named with two sizes"


def test_one_manifest_with_two_media_types_is_refused_though_it_is_read_once() -> None:
    bare = image_document()
    del bare["mediaType"]
    child = Manifest.parse(data(bare), DOCKER_MANIFEST)
    other = replace(child.descriptor, media_type=OCI_INDEX)
    top = Manifest.parse(
        data(index_document() | {"manifests": [child.descriptor.to_json(), other.to_json()]})
    )
    with pytest.raises(FormatError) as caught:  # A054
        list(_walk(child, top).visit(Root(descriptor=top.descriptor)))
    assert caught.value.reason == "media-type-mismatch"
    assert caught.value.message == f"{child.digest} is named with two media types"


def test_manifests_and_small_content_of_referrers_belong_to_the_head() -> None:
    visits = list(_walk().visit(Root(descriptor=ARM.descriptor, referrers=(SIGNATURE.descriptor,))))
    assert [visit.in_head for visit in visits] == [True, False, False, True, True, True]
    small = replace(EMPTY_CONFIG, size=REFERRER_BLOB_LIMIT)
    large = replace(EMPTY_CONFIG, size=REFERRER_BLOB_LIMIT + 1)
    assert Visit(descriptor=small, manifest=None, referrer=True).in_head
    assert not Visit(descriptor=large, manifest=None, referrer=True).in_head
    assert not Visit(descriptor=small, manifest=None, referrer=False).in_head


def test_a_walk_is_lazy() -> None:
    library = Library(*LIBRARY)
    visits = Walk(read_manifest=library.read).visit(Root(descriptor=TOP.descriptor))
    assert library.reads == []
    next(visits)
    assert library.reads == [TOP.digest]
