"""bench_pool_python.py nop|spin N [CHUNK]: Pool(2).map of N tasks; prints tasks/s.

bench_pool_python.py burn N: N tasks of 1 ms of processor time each by apply_async, while the main
thread computes, too; prints which part of the time of 2 processors went into both.
"""

import multiprocessing
import sys
import time


def nop(item):
    pass


def spin(item):
    end = time.monotonic() + 1e-3
    while time.monotonic() < end:
        pass


done = multiprocessing.RawArray("l", 2)  # by worker
mine = None


def begin(counter):
    global mine
    with counter.get_lock():
        mine = counter.value
        counter.value += 1


def burn_1ms():
    end = time.thread_time() + 1e-3
    while time.thread_time() < end:
        pass


def burn():
    burn_1ms()
    done[mine] += 1


def computing_owner(n):
    with multiprocessing.Pool(2, begin, (multiprocessing.Value("i"),)) as pool:
        pool.map(nop, range(100))
        results = [pool.apply_async(burn) for _ in range(n)]
        before = sum(done)
        start, own = time.monotonic(), time.thread_time()
        while sum(done) < n:
            burn_1ms()
        spent = time.thread_time() - own + (n - before) * 1e-3
        print(spent / (2 * (time.monotonic() - start)))
        for r in results:
            r.get()


def main():
    if sys.argv[1] == "burn":
        computing_owner(int(sys.argv[2]))
        return
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
