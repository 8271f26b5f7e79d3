"""Collections: the table of specimens that a folder of pictures or a drawer holds."""

from __future__ import annotations

from collections.abc import Generator
from typing import Annotated

from pydantic import Field

from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Notice, Progress
from napari_phenoscape.specimens.collection._drawer import Drawer
from napari_phenoscape.specimens.collection._folder import Folder
from napari_phenoscape.specimens.collection._specimens import Collection, Source

#: Reasons for leaving something out that are said at most.
REASONS = 8

AnySource = Annotated[Folder | Drawer, Field(discriminator="kind")]


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
    CollectionError
        It holds fewer than two specimens, or its metadata does not fit them.
    """
    collection = yield from source.collect()
    reasons = tuple(collection.left_out())
    for sentence in reasons[:REASONS]:
        yield Notice(sentence)
    if len(reasons) > REASONS:
        yield Notice(f"Left out for {len(reasons) - REASONS} other reasons: see phenoscape info.")
    if len(collection.specimens) < 2:
        others = "; ".join(f"'{left.path.name}': {left.reason}" for left in collection.skipped[:3])
        raise CollectionError(
            f"'{source.path}' holds 1 specimen, '{collection.specimens[0].id}'; at least 2 were "
            "expected, since specimens are compared. "
            + (f"Mend what was left out ({others})." if others else "Add specimens.")
        )
    return collection
