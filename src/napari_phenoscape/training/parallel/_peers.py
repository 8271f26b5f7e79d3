"""Peers: the processes of one command, which must all compute the same."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from napari_phenoscape import __version__
from napari_phenoscape.errors import RunError
from napari_phenoscape.events import Event
from napari_phenoscape.training._experiment import Runtime
from napari_phenoscape.training.parallel._runtime import (
    device_of,
    environment_of_ranks,
    job,
    join,
    rank,
    ranks,
    world,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch.distributed import Store  # type: ignore[attr-defined]

T = TypeVar("T")

#: Seconds within which all processes have begun.
START_S = 300.0

#: Seconds between two signs of life, and without one after which a process counts as lost.
BEAT_S, LOST_S = 0.5, 120.0

#: Seconds that one who fails stays, so that the others hear why.
GRACE_S = 10.0

_GONE = "Process 0 is gone. Look at what it said, and start all again."

#: Of each training of this process; the first rank's must stay while others read.
_met: list[_Peers] = []


def told_to_peers(device: str, work: Iterable[str]) -> dict[str, str]:
    """What a process says of what it computes, for `check_alike` of the others.

    Parameters
    ----------
    device
        Its kind.
    work
        What must be the same in all.
    """
    digest = hashlib.sha256("\n".join(work).encode()).hexdigest()
    return {"job": job(), "device": device, "version": __version__, "work": digest}


def check_alike(own: dict[str, str], other: dict[str, str], peer: int) -> None:
    """Refuse to go on beside a process of the same command that computes something else.

    Raises
    ------
    RunError
        It does.
    """
    if other["device"] != own["device"]:
        raise RunError(
            f"Process {peer} computes on '{other['device']}' and process {rank()} on "
            f"'{own['device']}'; the numbers of one table, or net, are of one kind of device. Give "
            "all processes the same kind, or hide the graphics cards from all "
            "(CUDA_VISIBLE_DEVICES=)."
        )
    if other["version"] != own["version"]:
        raise RunError(
            f"Process {peer} is napari-phenoscape {other['version']} and process {rank()} "
            f"{own['version']}; one version was expected. Install the same everywhere."
        )
    if other["work"] != own["work"]:
        raise RunError(
            f"Process {peer} has other specimens, weights or settings than process {rank()}. See "
            "that all find the same files, then run the same again; what was computed is kept."
        )


class _Peers:
    """The processes of one command until they are joined: what goes wrong in one ends all.

    A thread of each gives signs of life, and hears what went wrong; that of the first sees whether
    all live.

    Raises
    ------
    RunError
        Not all have begun.
    """

    def __init__(self) -> None:
        from torch.distributed import DistError, PrefixStore  # type: ignore[attr-defined]
        from torch.distributed.rendezvous import rendezvous

        there = environment_of_ranks()
        where = f"tcp://{there.main_address}:{there.main_port}"
        try:
            begun = timedelta(seconds=START_S)
            store, *_ = next(rendezvous(where, rank(), ranks(), timeout=begun))
        except DistError as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(
                f"Process {rank()} heard nothing of the other {ranks() - 1} at {where} ({reason}). "
                "Look at what they said; start as many as each was told that there are."
            ) from error
        self._store: Store = PrefixStore(f"{job()} {len(_met)}", store)
        self._failed, self._left = "", threading.Event()
        self._thread = threading.Thread(target=self._beat, name="hears peers", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what a peer has failed of."""
        if self._failed:
            raise RunError(self._failed)

    def compare(self, own: dict[str, str]) -> None:
        """Wait for the others, which must compute the same."""
        from torch.distributed import DistError

        try:
            self._store.set(str(rank()), json.dumps(own))
            for peer in range(ranks()):
                while not self._store.check([str(peer)]):
                    self.check()
                    time.sleep(0.1)
                check_alike(own, json.loads(self._store.get(str(peer))), peer)
        except DistError:
            raise RunError(self._failed or _GONE) from None  # it went after it was heard

    def tell(self, failure: str, peer: int) -> None:
        """Say what went wrong in a process, unless it was said that another has failed."""
        if self._store.add("failures", 1) == 1:
            words = f"Process {peer} ended, and with it the others: {failure}"
            self._store.set("failed", words)

    def leave(self, failure: str = "") -> None:
        """Be heard of no more; with a failure, when the others have heard of it."""
        with suppress(RuntimeError):  # the first is gone, and all hear so
            if failure:
                self.tell(failure, rank())
            end = time.monotonic() + GRACE_S * bool(failure)
            while time.monotonic() < end and self._thread.is_alive():
                if self._failed and (rank() or self._store.add("heard", 0) == ranks()):
                    break
                time.sleep(0.1)
        self._left.set()

    def _beat(self) -> None:
        heard = {peer: (0, time.monotonic()) for peer in range(ranks())}
        try:
            while not self._left.wait(BEAT_S):
                self._store.add(f"beat {rank()}", 1)
                for peer in heard if rank() == 0 else ():
                    beat, (before, when) = self._store.add(f"beat {peer}", 0), heard[peer]
                    if beat != before:
                        heard[peer] = beat, time.monotonic()
                    elif time.monotonic() - when > LOST_S:
                        self.tell(f"it was not heard of for {LOST_S:.0f} seconds.", peer)
                if not self._failed and self._store.check(["failed"]):
                    self._failed = self._store.get("failed").decode()
                    self._store.add("heard", 1)
        except RuntimeError:
            self._failed = self._failed or _GONE


def beside_peers(verb: Generator[Event, None, T]) -> Generator[Event, None, T]:
    """What a process does before it is `joined`; if one fails in it, all do, in a sentence.

    Without it the others would wait, where no launcher ends them.

    Raises
    ------
    RunError
        Another process failed, was not heard of, or computes something else.
    """
    if world() is None:
        return (yield from verb)
    peers = _Peers()
    _met.append(peers)
    failure = "it was stopped."
    try:
        while True:
            event = next(verb)
            peers.check()
            yield event
    except StopIteration as end:
        failure = ""
        result: T = end.value
        return result
    except Exception as error:
        failure = str(error) or type(error).__name__
        raise
    finally:
        peers.leave(failure)
        verb.close()


def joined(fabric: Fabric, runtime: Runtime, work: Iterable[str]) -> Fabric:
    """Join the processes of a command, if they compute the same; `beside_peers`.

    They say so to each other before: joined processes that differ wait for each other in vain.

    Raises
    ------
    RunError
        Another process differs.
    """
    if world() is not None:
        _met[-1].compare(told_to_peers(device_of(runtime), work))
        join(fabric)
    return fabric
