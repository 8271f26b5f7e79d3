"""Masks: specimens of a folder of photographs told from any ground, by a pretrained net."""

from __future__ import annotations

from collections.abc import Collection as Some, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_phenoscape._atomic import atomic, check_outputs
from napari_phenoscape._remote import address, is_mirrored
from napari_phenoscape.cubes import Cube, binned, refuse_no_png, save_drawn
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import Event, Notice, Progress, Saved
from napari_phenoscape.specimens import AUTO, MASK_PX, Folder, collect, largest_piece, told
from napari_phenoscape.spectra import COLOURS, picture

#: Where masks are written, seen from their pictures; collections find them there.
MASKS = "masks/{stem}.png"

#: Share of the outline of a mask that lies on the edge of the picture, from which it touches it.
_CUT = 0.2

#: Agreement of mask and net below which a mask is uncertain, and the shares of a picture that
#: things have.
_AGREES, _SHARES = 0.35, (0.01, 0.8)

#: Pictures that are told together, at most: while they are, each needs 0.4 MB of memory.
_AT_ONCE = 1000

#: Pictures in a row of the sheet, at least; rows and columns between them.
_ROW, _BETWEEN = 4, 4

GroundWord = Literal["clear", "touches the edge", "uncertain"]


@dataclass(frozen=True, eq=False)
class Things:
    """What was told from the ground in the pictures of a folder, on squares of 128 pixels.

    Parameters
    ----------
    source
        The folder, whose masks are to be these.
    ids, paths
        Of the N pictures.
    shapes
        Rows and columns of each.
    pictures : (N, 128, 128, 3)
        Squeezed to squares, 8 bits.
    shares : (N, 128, 128)
        0 to 1, how much of a pixel is thing; one piece in each picture.
    words
        How well each was told.
    """

    source: Folder
    ids: tuple[str, ...]
    paths: tuple[Path, ...]
    shapes: tuple[tuple[int, int], ...]
    pictures: NDArray[np.uint8]
    shares: NDArray[np.float16]
    words: tuple[GroundWord, ...]

    def used(self, *, doubtful: bool = False) -> tuple[int, ...]:
        """Numbers of the pictures whose masks are to be used."""
        return tuple(i for i, word in enumerate(self.words) if doubtful or word == "clear")

    @property
    def masked(self) -> Folder:
        """The folder with the masks that `write_masks` writes."""
        return Folder.parse(self.source.model_dump() | {"mask": MASKS})


def tell_things(source: Folder) -> Generator[Event, None, Things]:
    """Tell the one specimen of each photograph in a folder from its ground; see `told`.

    Of thousands, every second or third are told together, and so on, so that memory is bounded.

    Raises
    ------
    CollectionError
        There are no pictures; see `collect`.
    OptionError
        The pretrained net is not installed; the photographs are on a server.
    """
    _refuse_server(source)
    # the windows take these names in, and know when torch may be loaded
    import torch

    from napari_phenoscape.nets import PLACES_PX, PlacesNet

    net = PlacesNet()
    # where masks are, files of them are no pictures
    named = MASKS if source.mask in (None, AUTO) else source.mask
    plain = Folder.parse(source.model_dump() | {"mask": None})
    masks = {Folder.parse(source.model_dump() | {"mask": named}).outline(p) for p in plain.files()}
    collection = yield from collect(plain)
    specimens = [one for one in collection.specimens if one.path not in masks]
    number = len(specimens)
    shapes = [(0, 0)] * number
    pictures = np.empty((number, MASK_PX, MASK_PX, 3), np.uint8)
    shares = np.empty((number, MASK_PX, MASK_PX), np.float16)
    words: list[GroundWord] = ["clear"] * number
    parts = -(-number // _AT_ONCE)
    for part in range(parts):
        places, grids = range(part, number, parts), []
        for done, place in enumerate(places, 1):
            cube = plain.cube(specimens[place].path)
            shapes[place] = (cube.shape[1], cube.shape[2])
            seen = _square(cube, PLACES_PX)
            with torch.inference_mode():
                planes = torch.from_numpy(np.array(seen)).permute(2, 0, 1)[None] / 255
                grids.append(net(planes)[0].numpy())
            pictures[place] = np.asarray(seen.resize((MASK_PX, MASK_PX), Image.Resampling.BOX))
            yield Progress("looking at pictures", part * len(places) + done, number)
        found, agreement = yield from told(list(pictures[part::parts]), np.stack(grids))
        for place, share, alike in zip(places, found, agreement.tolist(), strict=True):
            shares[place] = _one_piece(share)
            words[place] = _word(shares[place] > 0.5, alike)
    return Things(
        source,
        tuple(one.id for one in specimens),
        tuple(one.path for one in specimens),
        tuple(shapes),
        pictures,
        shares,
        tuple(words),
    )


def _refuse_server(source: Folder) -> None:
    if is_mirrored(source.path):
        raise OptionError(
            f"'{address(source.path)}' is on a server, and masks are written beside the "
            "photographs. Copy these to this machine."
        )


def write_masks(
    things: Things,
    shares: Sequence[NDArray[np.floating] | None],
    *,
    overwrite: bool = False,
) -> Generator[Event, None, list[Path]]:
    """Write masks beside their pictures, as large as these.

    Parameters
    ----------
    shares : N of (128, 128) or None
        0 to 1, those of `Things` or others; None: this picture gets no mask.

    Raises
    ------
    RunError
        A mask is there already.
    """
    outlines = [things.masked.outline(path) for path in things.paths]
    wanted = [
        (outline, share, shape)
        for outline, share, shape in zip(outlines, shares, things.shapes, strict=True)
        if share is not None and outline is not None
    ]
    if not wanted:
        raise CollectionError(
            f"No specimen in '{things.source.path}' is clear. Look at them and take doubtful ones "
            "(--doubtful), or outline them by hand."
        )
    check_outputs([outline for outline, _, _ in wanted], things.paths, overwrite=overwrite)
    for done, (outline, share, (rows, columns)) in enumerate(wanted, 1):
        outline.parent.mkdir(exist_ok=True)
        plane = Image.fromarray(np.asarray(share, np.float32))
        whole = np.asarray(plane.resize((columns, rows), Image.Resampling.BILINEAR)) > 0.5
        with atomic(outline) as temporary:
            Image.fromarray(np.where(whole, 255, 0).astype(np.uint8)).save(temporary, "PNG")
        yield Progress("writing masks", done, len(wanted))
    return [outline for outline, _, _ in wanted]


def sheet_of(things: Things) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """(H, W, 3) all pictures side by side, and (H, W) the number of the thing in each, from 1."""
    side, columns = MASK_PX + _BETWEEN, _columns(things)
    rows = -(-len(things.paths) // columns)
    sheet = np.full((rows * side, columns * side, 3), 255, np.uint8)
    numbers = np.zeros(sheet.shape[:2], np.int32)
    for place in range(len(things.paths)):
        box = tile(things, place)
        sheet[box] = things.pictures[place]
        numbers[box] = np.where(things.shares[place] > 0.5, place + 1, 0)
    return sheet, numbers


def tile(things: Things, place: int) -> tuple[slice, slice]:
    """Where a picture is on the sheet."""
    side, columns = MASK_PX + _BETWEEN, _columns(things)
    top, left = place // columns * side, place % columns * side
    return slice(top, top + MASK_PX), slice(left, left + MASK_PX)


def _columns(things: Things) -> int:
    return max(_ROW, int(np.ceil(np.sqrt(1.6 * len(things.paths)))))


def find_masks(
    source: Folder, sheet: Path, *, doubtful: bool = False, overwrite: bool = False
) -> Generator[Event, None, Things]:
    """Tell specimens from any ground, write their masks, and a sheet to look at.

    Parameters
    ----------
    source
        Photographs, one specimen in each.
    sheet
        PNG of all pictures, masks outlined: green ones are written, red ones are not.
    doubtful
        Whether masks that are not clear are written, too.
    overwrite
        Whether files that are there may be replaced; pictures never are.
    """
    refuse_no_png(sheet)
    _refuse_server(source)
    masked = Folder.parse(source.model_dump() | {"mask": MASKS})
    masks = [mask for path in source.files() if (mask := masked.outline(path)) and mask != path]
    check_outputs([sheet, *masks], overwrite=overwrite)  # before what takes minutes
    things = yield from tell_things(source)
    used = things.used(doubtful=doubtful)
    save_drawn(_outlined(things, used), sheet)
    yield Saved(sheet)
    shares = [share if i in set(used) else None for i, share in enumerate(things.shares)]
    written = yield from write_masks(things, shares, overwrite=overwrite)
    yield Notice(
        f"{len(written)} masks of {len(things.paths)} pictures are written as '{MASKS}' beside "
        f"them, and later verbs find them there. They were told by a pretrained net and may be "
        f"wrong: look at '{sheet}', and delete those that are."
    )
    return things


def _outlined(things: Things, used: Some[int]) -> Image.Image:
    from scipy import ndimage
    from skimage.segmentation import find_boundaries

    sheet, numbers = sheet_of(things)
    edge = find_boundaries(numbers, mode="thick")
    taken = ndimage.binary_dilation(np.isin(numbers, [place + 1 for place in used]))
    sheet[edge & taken] = (0, 230, 60)
    sheet[edge & ~taken] = (255, 40, 40)
    image = Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for place, name in enumerate(things.ids):
        box = tile(things, place)
        word = "" if things.words[place] == "clear" else f" ({things.words[place]})"
        draw.text((box[1].start + 2, box[0].start + 1), f"{name}{word}"[:22], fill=(255, 255, 255))
    return image


def _square(cube: Cube, side: int) -> Image.Image:
    """What the eye sees of a cube, squeezed to a square."""
    size = max(1, min(cube.shape[1:]) // (2 * side))
    seen = picture(binned(cube, 1, size) if size > 1 else cube, COLOURS)
    return Image.fromarray(seen).resize((side, side), Image.Resampling.BILINEAR)


def _one_piece(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest thing alone, its holes filled, its border between pixels kept."""
    from scipy import ndimage

    piece = largest_piece(share > 0.5)
    kept = np.where(ndimage.binary_dilation(piece), share, 0)
    return np.asarray(np.where(piece, np.maximum(kept, 0.51), kept), np.float32)


def _word(mask: NDArray[np.bool_], agreement: float) -> GroundWord:
    from scipy import ndimage

    low, high = _SHARES
    if not low < mask.mean() < high or agreement < _AGREES:
        return "uncertain"
    framed = np.pad(mask, 1)
    outline = framed & ~ndimage.binary_erosion(framed)
    inner = outline[1:-1, 1:-1]
    ring = np.ones_like(inner)
    ring[1:-1, 1:-1] = False
    return "touches the edge" if (inner & ring).sum() > _CUT * inner.sum() else "clear"
