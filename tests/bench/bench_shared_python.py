"""bench_shared_python.py value|array|list|dict PROCESSES: the objects of a manager. Prints thousands
of operations a second of all processes together; a step is a write and a read."""

import array
import multiprocessing
import sys

import bench_rate

SLICE = 100
KEYS = ["key %d" % k for k in range(16)]


def work_on_value(value):
    def work(n):
        for _ in range(n):
            value.value = 1.0
            value.value

    return work


def work_on_array(numbers):
    new = array.array("d", [1.0] * SLICE)

    def work(n):
        for _ in range(n):
            numbers[0:SLICE] = new
            numbers[0:SLICE]

    return work


def work_on_list(items):
    at = 0

    def work(n):
        nonlocal at
        for _ in range(n):
            items.append(1.0)
            items[at]
            at += 1

    return work


def work_on_dict(entries):
    def work(n):
        for k in range(n):
            key = KEYS[k % len(KEYS)]
            entries[key] = 1.0
            entries[key]

    return work


def main():
    kind, processes = sys.argv[1], int(sys.argv[2])
    with multiprocessing.Manager() as manager:
        kinds = {
            "value": lambda: work_on_value(manager.Value("d", 0.0)),
            "array": lambda: work_on_array(manager.Array("d", [0.0] * SLICE)),
            "list": lambda: work_on_list(manager.list()),
            "dict": lambda: work_on_dict(manager.dict()),
        }
        print(2 * bench_rate.run(kinds[kind](), processes) / 1e3)


if __name__ == "__main__":
    main()
