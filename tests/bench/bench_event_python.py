"""bench_event_python.py event|manager WAITERS: an Event is set while so many processes wait for it.
Prints the us until the last of them is awake, the median of several times."""

import multiprocessing
import os
import statistics
import sys
import time

SETTLE = 0.005  # until all waiters sleep


def waiter(event, meet, awake, k):
    while True:
        meet.wait()
        if awake[0] < 0:
            return
        event.wait()
        awake[k + 1] = time.monotonic()
        meet.wait()


def one_round(event, meet, awake):
    event.clear()
    meet.wait()
    time.sleep(SETTLE)
    start = time.monotonic()
    event.set()
    time.sleep(SETTLE)
    meet.wait()
    return (max(awake[1:]) - start) * 1e6


def measure(event, waiters):
    context = multiprocessing.get_context("fork")
    meet = context.Barrier(waiters + 1)
    awake = context.RawArray("d", waiters + 1)
    processes = [
        context.Process(target=waiter, args=(event, meet, awake, k)) for k in range(waiters)
    ]
    for process in processes:
        process.start()
    one_round(event, meet, awake)
    end = time.monotonic() + float(os.environ.get("BENCH_SECONDS", "0.25"))
    seen = []
    while not seen or time.monotonic() < end:
        seen.append(one_round(event, meet, awake))
    awake[0] = -1
    meet.wait()
    for process in processes:
        process.join()
    return statistics.median(seen)


def main():
    waiters = int(sys.argv[2])
    if sys.argv[1] == "event":
        print(measure(multiprocessing.Event(), waiters))
        return
    with multiprocessing.Manager() as manager:
        print(measure(manager.Event(), waiters))


if __name__ == "__main__":
    main()
