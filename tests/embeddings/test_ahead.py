"""Ahead: the next part is read while one is computed, and a part says what it always said."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from napari_phenoscape.embeddings._ahead import verbs_ahead
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Progress

#: Longer than anything takes that is not waited for in vain.
LONG_S = 60


class Parts:
    """Verbs that give numbers, and tell when each has been done."""

    def __init__(self) -> None:
        self.done = [threading.Event() for _ in range(4)]

    def __iter__(self) -> Iterator[Generator[Event, None, int]]:
        return (self._part(number) for number in range(4))

    def _part(self, number: int) -> Generator[Event, None, int]:
        yield Progress("reading specimens", number, 4)
        self.done[number].set()
        if number == 2:
            raise CollectionError("it is gone")
        return number


def asked(verb: Generator[Event, None, int]) -> tuple[list[Event], int]:
    events = []
    while True:
        try:
            events.append(next(verb))
        except StopIteration as end:
            return events, end.value


@pytest.mark.parametrize("room", [True, False])
def test_a_part_says_and_gives_the_same_whoever_reads_it(room: bool) -> None:
    with verbs_ahead(iter(Parts()), room=room) as part:
        for number in range(2):
            assert asked(part()) == ([Progress("reading specimens", number, 4)], number)
        with pytest.raises(CollectionError, match="it is gone"):
            asked(part())
        assert asked(part())[1] == 3


def test_the_next_part_is_read_before_it_is_asked_for_and_no_other() -> None:
    parts = Parts()
    with verbs_ahead(iter(parts), room=True) as part:
        asked(part())
        assert parts.done[1].wait(LONG_S)
        assert not parts.done[2].is_set()
        asked(part())
        assert parts.done[2].wait(LONG_S)
    assert not parts.done[3].is_set()


def test_without_room_for_two_nothing_is_read_before_it_is_asked_for() -> None:
    parts = Parts()
    with verbs_ahead(iter(parts), room=False) as part:
        asked(part())
        assert not parts.done[1].is_set()


def test_who_stops_in_the_middle_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with verbs_ahead(iter(Parts()), room=True) as part:
        next(part())
    assert threading.active_count() == before
