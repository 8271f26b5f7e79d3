"""Timings against the alternatives; not tests. ``make bench``, ``make bench ONLY=augment``.

A file ``bench_<name>.py`` has one function, ``cases() -> dict[str, Callable[[], object]]``: the
alternatives that are compared, the first of which is the one that the others are measured by.
They run interleaved, so that whatever else the machine does hits all of them alike.
"""
