"""Ahead: items come in order, each when its work is done, and no more is begun than is used."""

from __future__ import annotations

import threading
import time

import pytest

from napari_phenoscape._ahead import ahead, made_ahead
from napari_phenoscape.errors import CollectionError


def test_items_come_in_their_order_each_when_its_work_is_done():
    done: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.05 if item == 0 else 0.0)
        done.append(item)

    for item in ahead(range(20), work, 4):
        assert item in done
        assert sorted(done)[: item + 1] == list(range(item + 1))
    assert sorted(done) == list(range(20))


def test_several_are_worked_on_at_once():
    together = threading.Barrier(3, timeout=30)

    def work(item: int) -> None:
        together.wait()

    assert list(ahead(range(6), work, 3)) == list(range(6))


def test_what_goes_wrong_is_met_again_by_who_uses_the_item_and_a_fault_of_ours_is_not_hidden():
    def refuse(item: int) -> None:
        raise CollectionError("It is no specimen. Leave it out.")

    assert list(ahead(range(3), refuse, 2)) == [0, 1, 2]

    def fail(item: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        list(ahead(range(3), fail, 2))


def test_closed_it_begins_nothing_more():
    begun: list[int] = []
    items = ahead(range(1000), begun.append, 2)
    next(items)
    items.close()
    assert len(begun) <= 5
    time.sleep(0.02)
    assert len(begun) <= 5


@pytest.mark.parametrize("threads", [1, 4])
def test_what_is_made_comes_in_order_and_what_goes_wrong_when_it_is_its_turn(threads: int):
    def work(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0.0)
        if item > 2:
            raise CollectionError(f"{item} is no specimen. Leave it out.")
        return item**2

    made = made_ahead(range(20), work, threads)
    assert [next(made), next(made), next(made)] == [0, 1, 4]
    with pytest.raises(CollectionError, match="3 is"):
        next(made)


def test_one_thread_works_when_it_is_asked_and_no_other_does():
    names: list[str] = []
    made = made_ahead(range(5), lambda _: names.append(threading.current_thread().name), 1)
    next(made)
    assert names == [threading.current_thread().name]


def test_who_stops_does_not_wait_for_what_is_under_way():
    ends, begun = threading.Event(), threading.Event()

    def work(item: int) -> int:
        if item:
            begun.set()
            assert ends.wait(30)
        return item

    made = made_ahead(range(9), work, 2)
    assert next(made) == 0
    assert begun.wait(30)
    made.close()  # for ever, if it waited
    ends.set()
