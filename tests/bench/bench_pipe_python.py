"""bench_pipe_python.py latency|bandwidth SIZE: bytes through a multiprocessing.Pipe between two
processes. Prints half a round trip in us, or GB/s (1e9) one way; see bench_pipe.c."""

import multiprocessing
import os
import sys
import time

WINDOW = 16


def ping(conn, data, n):
    for _ in range(n):
        conn.send_bytes(data)
        conn.recv_bytes()


def pong(conn, data, n):
    for _ in range(n):
        conn.recv_bytes()
        conn.send_bytes(data)


def stream_out(conn, data, n):
    for _ in range(n):
        for _ in range(WINDOW):
            conn.send_bytes(data)
        conn.recv_bytes()


def stream_in(conn, data, n):
    for _ in range(n):
        for _ in range(WINDOW):
            conn.recv_bytes()
        conn.send_bytes(b"a")


def partner(conn, step, size):
    data = bytes(size)
    while True:
        n = int(conn.recv_bytes())
        if n == 0:
            return
        step(conn, data, n)


def timed(conn, step, data, n):
    conn.send_bytes(b"%d" % n)
    start = time.monotonic()
    step(conn, data, n)
    return time.monotonic() - start


def main():
    what, size = sys.argv[1], int(sys.argv[2])
    mine, theirs = (ping, pong) if what == "latency" else (stream_out, stream_in)
    conn, other = multiprocessing.Pipe()
    process = multiprocessing.Process(target=partner, args=(other, theirs, size))
    process.start()
    data = bytes(size)
    budget = float(os.environ.get("BENCH_SECONDS", "0.25"))
    n = 1
    seconds = timed(conn, mine, data, n)
    while seconds < budget / 10:
        n *= 2
        seconds = timed(conn, mine, data, n)
    n = int(n * budget / seconds) + 1
    seconds = timed(conn, mine, data, n) / n
    conn.send_bytes(b"0")
    process.join()
    print(seconds / 2 * 1e6 if what == "latency" else WINDOW * size / seconds / 1e9)


if __name__ == "__main__":
    main()
