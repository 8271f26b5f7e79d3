"""Threads: how those of our own processes wait for each other."""

#: Variables that libgomp reads when torch is first loaded. A thread that spins while it waits takes
#: the core, beside another busy program, from a thread that all wait for; one that sleeps at once
#: is late for the next operation. So they spin some microseconds, as long as small operations are
#: apart, and sleep then.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "500"}
