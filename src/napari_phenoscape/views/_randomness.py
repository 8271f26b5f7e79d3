"""Random numbers that depend on what they are for, and on nothing else.

Philox4x32-10 [1]_ turns a key and a counter into four random words. The key is the seed; the
counter is made of the operation, the step, the specimen and the view. So a view does not depend on
the batch around it, on the process, or on the other operations.

References
----------
.. [1] Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
       https://doi.org/10.1145/2063384.2063405
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def philox(counter: NDArray[np.uint64], key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Four 32-bit random words for each counter.

    Parameters
    ----------
    counter : (4, ...)
        32-bit words, held in 64 bits.
    key : (2,)
        32-bit words, held in 64 bits.

    Returns
    -------
    (4, ...) words below 2**32.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        even, odd = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1 = (odd >> _HALF) ^ c1 ^ k0, odd & _MASK
        c2, c3 = (even >> _HALF) ^ c3 ^ k1, even & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return np.stack([c0, c1, c2, c3])


def uniforms(
    count: int,
    *,
    purpose: str,
    seed: int,
    step: int,
    specimens: NDArray[Any],
    view: int | NDArray[np.integer[Any]],
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) for each specimen.

    Parameters
    ----------
    count
        How many for each specimen; the first ones do not depend on it.
    purpose
        What they are for: other purposes get other numbers.
    seed, step
        Not negative.
    specimens : (N,)
        Numbers of the specimens.
    view : () or (N,)
        Number of the view, of each; 0 to 2**16 - 1.

    Returns
    -------
    (N, count)
    """
    blocks = (count + 1) // 2
    counter = np.empty((4, len(specimens), blocks), np.uint64)
    views = np.asarray(view).astype(np.uint64)[..., None] << np.uint64(16)
    counter[0] = np.arange(blocks, dtype=np.uint64) + views
    counter[1] = np.uint64(step)
    counter[2] = np.asarray(specimens).astype(np.uint64)[:, None]
    counter[3] = np.uint64(zlib.crc32(purpose.encode()))
    words = philox(counter, np.array([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], np.uint64))
    # (4, N, blocks) -> (N, blocks, 2): two words make the 53 bits of a double
    high, low = words[0::2] >> np.uint64(5), words[1::2] >> np.uint64(6)
    doubles = (high.astype(np.float64) * 2.0**26 + low.astype(np.float64)) * 2.0**-53
    return np.moveaxis(doubles, 0, -1).reshape(len(specimens), 2 * blocks)[:, :count]
