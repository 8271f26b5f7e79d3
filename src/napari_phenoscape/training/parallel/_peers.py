"""Peers: the processes of one command, which must all compute the same."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from napari_phenoscape import __version__
from napari_phenoscape.errors import RunError
from napari_phenoscape.training._experiment import Runtime
from napari_phenoscape.training.parallel._runtime import (
    device_of,
    environment_of_ranks,
    job,
    rank,
    ranks,
    world,
)

#: Seconds that one waits for another that still reads its specimens.
LATE_S = 1800.0

#: Seconds that one who refuses stays, so that the others hear why.
GRACE_S = 10.0

#: Of each training of this process; the first rank's must stay while others read.
_stores: list[Any] = []


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


def check_ranks_alike(runtime: Runtime, work: Iterable[str]) -> None:
    """Refuse a training of several processes that would not train the same, in each of them.

    They say so to each other before they are joined: joined processes that differ wait for each
    other in vain.

    Raises
    ------
    RunError
        Another process differs, or was not heard of.
    """
    if world() is None:
        return
    from torch.distributed import DistError, PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    own, there = told_to_peers(device_of(runtime), work), environment_of_ranks()
    where = f"tcp://{there.main_address}:{there.main_port}"
    try:
        late = timedelta(seconds=LATE_S)
        store, *_ = next(rendezvous(where, rank(), ranks(), timeout=late))
        store = PrefixStore(f"{job()} {len(_stores)}", store)
        _stores.append(store)
        store.set(str(rank()), json.dumps(own))
        for peer in range(ranks()):
            try:
                check_alike(own, json.loads(store.get(str(peer))), peer)
            except RunError:
                end = time.monotonic() + GRACE_S
                store.add("refused", 1)
                while store.add("refused", 0) < ranks() and time.monotonic() < end:
                    time.sleep(0.1)
                raise
    except DistError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"Process {rank()} heard nothing of the other {ranks() - 1} at {where} ({reason}). "
            "Look at what they said; start as many as each was told that there are."
        ) from error
