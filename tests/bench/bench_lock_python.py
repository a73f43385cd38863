"""bench_lock_python.py lock|semaphore PROCESSES: acquire and release of a multiprocessing.Lock, or
of a Semaphore with one permit. Prints M pairs/s of all processes together."""

import multiprocessing
import sys

import bench_rate


def main():
    kinds = {"lock": multiprocessing.Lock, "semaphore": multiprocessing.Semaphore}
    lock = kinds[sys.argv[1]]()
    acquire, release = lock.acquire, lock.release

    def work(n):
        for _ in range(n):
            acquire()
            release()

    print(bench_rate.run(work, int(sys.argv[2])) / 1e6)


if __name__ == "__main__":
    main()
