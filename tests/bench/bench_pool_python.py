"""bench_pool_python.py nop|spin N [CHUNK]: Pool(2).map of N tasks; prints tasks/s."""

import multiprocessing
import sys
import time


def nop(item):
    pass


def spin(item):
    end = time.monotonic() + 1e-3
    while time.monotonic() < end:
        pass


def main():
    task = {"nop": nop, "spin": spin}[sys.argv[1]]
    n = int(sys.argv[2])
    chunk = int(sys.argv[3]) if len(sys.argv) > 3 else None
    with multiprocessing.Pool(2) as pool:
        pool.map(task, range(min(n, 100)), chunksize=chunk)
        start = time.monotonic()
        pool.map(task, range(n), chunksize=chunk)
        print(n / (time.monotonic() - start))


if __name__ == "__main__":
    main()
