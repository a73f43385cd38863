"""The queue workload of bench_queue.h on multiprocessing.Queue."""

import multiprocessing
import sys
import time

ITEM = bytes(64)


def side(queue, produces, warm, share, ready, times):
    def work(n):
        if produces:
            for _ in range(n):
                queue.put(ITEM)
        else:
            for _ in range(n):
                queue.get()

    work(warm)
    ready.wait()
    start = time.monotonic()
    work(share)
    times.put((start, time.monotonic()))


def main():
    producers, consumers, capacity, items = map(int, sys.argv[1:5])
    items -= items % (producers * consumers)
    queue = multiprocessing.Queue(capacity)
    times = multiprocessing.SimpleQueue()
    ready = multiprocessing.Barrier(producers + consumers)
    processes = []
    for k in range(producers + consumers):
        produces = k < producers
        warm = consumers if produces else producers
        share = items // (producers if produces else consumers)
        arguments = (queue, produces, warm, share, ready, times)
        processes.append(multiprocessing.Process(target=side, args=arguments))
    for process in processes:
        process.start()
    seen = [times.get() for _ in processes]
    for process in processes:
        process.join()
    seconds = max(end for _, end in seen) - min(start for start, _ in seen)
    print(items / seconds / 1e6)


if __name__ == "__main__":
    main()
