"""bench_barrier_python.py PROCESSES ROUNDS: us for each round of a multiprocessing.Barrier."""

import multiprocessing
import sys
import time

WARM_UP = 20


def side(barrier, rounds, times):
    for _ in range(WARM_UP):
        barrier.wait()
    start = time.monotonic()
    for _ in range(rounds):
        barrier.wait()
    times.put(time.monotonic() - start)


def main():
    n, rounds = int(sys.argv[1]), int(sys.argv[2])
    barrier = multiprocessing.Barrier(n)
    times = multiprocessing.SimpleQueue()
    arguments = (barrier, rounds, times)
    processes = [multiprocessing.Process(target=side, args=arguments) for _ in range(n)]
    for process in processes:
        process.start()
    seen = [times.get() for _ in processes]
    for process in processes:
        process.join()
    print(max(seen) / rounds * 1e6)


if __name__ == "__main__":
    main()
