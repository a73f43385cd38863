"""bench_pool_futures.py nop N CHUNK, by python3 -m mpi4py.futures under mpirun: MPIPoolExecutor.map of N
tasks, rank 0 giving them to the others; prints tasks/s.
"""

import sys
import time

from mpi4py.futures import MPIPoolExecutor


def nop(item):
    pass


def main():
    n, chunk = int(sys.argv[2]), int(sys.argv[3])
    with MPIPoolExecutor() as pool:
        for _ in pool.map(nop, range(100), chunksize=chunk):
            pass
        start = time.monotonic()
        for _ in pool.map(nop, range(n), chunksize=chunk):
            pass
        print(n / (time.monotonic() - start))


if __name__ == "__main__":
    main()
