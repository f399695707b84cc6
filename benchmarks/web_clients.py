"""Clients that each send a request as soon as they have the response to the last, in a process of their own."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple
from urllib.parse import urlsplit

_END = b"\r\n\r\n"


class Measured(NamedTuple):
    """The median and the 95th percentile in milliseconds, responses per second, and how many were errors."""

    median: float
    p95: float
    a_second: float
    bad: int


def measure(where: str, paths: list[str], clients: int, seconds: float, once: bool = False) -> Measured:
    """Request some paths of a site in turn, from the start again at their end.

    Args:
        once: each path only once: they may end before the time.
    """
    given = json.dumps([where, paths, clients, seconds, once])
    command = [sys.executable, "-m", "benchmarks.web_clients"]
    ran = subprocess.run(command, input=given, check=True, capture_output=True, text=True)
    return Measured(*json.loads(ran.stdout))


async def _measure(where: str, paths: list[str], clients: int, seconds: float, once: bool) -> Measured:
    asked: Iterator[str] = iter(paths) if once else cycle(paths)
    times: list[float] = []
    statuses: list[int] = []
    start = time.perf_counter()

    async def client() -> None:
        site = urlsplit(where)
        reader, writer = await asyncio.open_connection(site.hostname, site.port, limit=4_000_000)
        for path in asked:
            begun = time.perf_counter()
            if begun - start > seconds:
                break
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {site.netloc}\r\n\r\n".encode())
            head = (await reader.readuntil(_END)).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
            statuses.append(int(head.split(None, 2)[1]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - start
    times.sort()
    bad = sum(status != 200 for status in statuses)
    return Measured(1000 * times[len(times) // 2], 1000 * times[len(times) * 95 // 100], len(times) / took, bad)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(*json.load(sys.stdin)))))
