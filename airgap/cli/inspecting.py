"""`airgap inspect`: what a bundle says it holds, without believing it."""

from __future__ import annotations

from airgap.cli import options
from airgap.cli.output import Format, answering, human_size, human_time, print_json, print_line
from airgap.cli.verifying import BundlePath

__all__ = ["inspect"]


def inspect(bundle: BundlePath, form: options.Form = Format.TEXT) -> None:
    """Show what a bundle says it holds. Nothing of it has been verified: `verify` does that.

    \b
    airgap inspect prod-1.tar
    airgap inspect prod-1.tar --format json
    """
    with answering(form):
        from airgap.contents import describe_bundle

        contents = describe_bundle(bundle)
        if form is Format.JSON:
            print_json(contents.to_json())
            return
        inventory = contents.inventory
        print_line(
            f"{bundle}   {human_size(contents.size)}   "
            f"stream {inventory.stream}, number {inventory.sequence}"
        )
        print_line(
            f"authority {inventory.authority}, made {human_time(inventory.created)}   NOT VERIFIED"
        )
        for image in contents.images:
            print_line(f"{image.title}")
            for depth, line in image.lines:
                print_line(f"{'   ' * depth}└─ {line}")
        print_line(
            f"{contents.manifests} manifests, {contents.blobs} blobs. "
            "These are the bundle's own words; airgap verify says whether to believe them."
        )
