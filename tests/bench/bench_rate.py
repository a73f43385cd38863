"""bench_rate.h for Python: steps per second of several processes together."""

import multiprocessing
import os
import time

BATCH = 64


def side(work, ready, times):
    budget = float(os.environ.get("BENCH_SECONDS", "0.25"))
    work(1)
    ready.wait()
    count = 0
    start = end = time.monotonic()
    while end - start < budget:
        work(BATCH)
        count += BATCH
        end = time.monotonic()
    times.put((start, end, count))


def run(work, n):
    """n processes call work(steps) again and again; returns the rate of all. They are forked: work
    may be a closure, and each has a copy of what it holds."""
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(n)
    times = context.SimpleQueue()
    processes = [context.Process(target=side, args=(work, ready, times)) for _ in range(n)]
    for process in processes:
        process.start()
    seen = [times.get() for _ in processes]
    for process in processes:
        process.join()
    seconds = max(end for _, end, _ in seen) - min(start for start, _, _ in seen)
    return sum(count for _, _, count in seen) / seconds
