"""What is said to a person when something is wrong.

Every message has three parts: the fact with its values, what was expected, the way out.
The command line prints it as one sentence and exits with 2; napari shows it as a notification.
"""

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

#: What is left of a run that failed, at the end of a sentence; it may have no checkpoint yet.
RESUMABLE = "the run can be resumed, from its newest checkpoint if it has one"

#: Of the names in a folder, so many are compared with one that is not there.
MOST_NAMES = 10_000


def did_you_mean(given: object, known: Iterable[object]) -> str:
    """The question, before a sentence, whether a word is a known one that it nearly is; else ""."""
    words = {word.lower(): word for word in map(str, known)}
    near = get_close_matches(str(given).lower(), words, n=1)
    return f"Did you mean '{words[near[0]]}'? " if near else ""


def did_you_mean_file(path: Path) -> str:
    """The same of a path, among the names in its folder."""
    with suppress(OSError):
        names = {near.name for near in islice(path.parent.iterdir(), MOST_NAMES)}
        return did_you_mean(path.name, sorted(names - {path.name}))
    return ""


def there(path: Path) -> Path:
    """A path at which there is something.

    Raises
    ------
    MissingFileError
        There is nothing.
    """
    if not path.exists():
        raise MissingFileError(
            f"There is nothing at '{path}'. {did_you_mean_file(path)}Correct its path."
        )
    return path


class PhenoscapeError(Exception):
    """Something outside the program is wrong, and the message says what to do about it."""


class OptionError(PhenoscapeError, ValueError):
    """A YAML file, a form or an argument holds a value that is not allowed.

    Parameters
    ----------
    message
        For the user.
    place
        Field names and positions that lead to the value, so that a form can say it beside it.
    """

    def __init__(self, message: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.place = place


class CubeError(PhenoscapeError, ValueError):
    """A file cannot be opened as a cube."""


class MissingFileError(PhenoscapeError, FileNotFoundError):
    """A file that is named, or needed by another one, is not there."""


class RemoteError(PhenoscapeError, ConnectionError):
    """A file of a server cannot be had now; nothing is left out for that."""


class TableError(PhenoscapeError, ValueError):
    """A file cannot be read as a table."""


class BandMismatchError(PhenoscapeError, ValueError):
    """A cube does not have the bands that were asked for."""


class CollectionError(PhenoscapeError, ValueError):
    """No specimens, too few, or specimens that do not fit together."""


class CheckpointError(PhenoscapeError, ValueError):
    """A checkpoint cannot be read, or does not fit the specimens."""


class RunError(PhenoscapeError, OSError):
    """A run directory cannot be written, or is not a run directory."""


class TrainingError(PhenoscapeError, ArithmeticError):
    """Training cannot go on: the numbers or the memory gave out."""
