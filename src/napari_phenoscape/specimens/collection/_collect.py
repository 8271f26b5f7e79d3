"""Collections: the table of specimens that a folder of pictures or a drawer holds."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Annotated

from napari_phenoscape._remote import address, list_place
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Notice, Progress
from napari_phenoscape.option import Variants
from napari_phenoscape.specimens.collection._drawer import Drawer
from napari_phenoscape.specimens.collection._folder import Folder
from napari_phenoscape.specimens.collection._specimens import Collection, Source, left_out

AnySource = Annotated[Source, Variants(Folder, Drawer)]


def collect(source: Source) -> Generator[Progress | Notice, None, Collection]:
    """Find the specimens of a source; headers and masks are read, other pixels are not.

    Yields
    ------
    How far it is; then what was left out and why, a notice for each reason.

    Returns
    -------
    At least two specimens in natural order (2 before 10), their metadata, and every file and
    region that was left out, with the reason.

    Raises
    ------
    MissingFileError
        The source, or a file that it names, is not there.
    RemoteError
        It is on a server, which does not answer as it should.
    CollectionError
        It holds fewer than two specimens, or its metadata does not fit them.
    """
    for _, place in source:
        if isinstance(place, Path):
            list_place(place)
    collection = yield from source.collect()
    yield from left_out(collection.skipped, len(collection.specimens))
    if len(collection.specimens) < 2:
        others = "; ".join(f"'{left.path.name}': {left.reason}" for left in collection.skipped[:3])
        raise CollectionError(
            f"'{address(source.path)}' holds 1 specimen, '{collection.specimens[0].id}'; at least "
            "2 were expected, since specimens are compared. "
            + (
                f"Mend what was left out ({others})."
                if others
                else "Add specimens; of pictures that show one each, name their folder."
            )
        )
    return collection
