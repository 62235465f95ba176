"""What a look-up costs, in memory and on Redis.

The calls that are compared take turns, in short rounds in memory and one by one on Redis; the median of each counts.
"""

import sys

if not __package__:  # run as a file: its folder must not hide the standard library's `email`
    sys.path.pop(0)

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from statistics import median

from redis.asyncio import Redis

from colibris import serialization
from colibris.cache.locmem import LocMemBackend
from colibris.cache.redis import RedisBackend

URL = os.environ.get('COLIBRIS_TEST_REDIS', 'redis://127.0.0.1:6379/0')
VALUES = {
    'an integer': 12345,
    'a text': 'x' * 100,
    'a list of 25 rows': [{'id': n, 'name': f'name {n}', 'price': n * 1.5, 'tags': ['a', 'b']} for n in range(25)],
}


async def compare(calls: dict[str, Callable[[], Awaitable[object]]], rounds: int, number: int) -> dict[str, float]:
    """Return the seconds that each of *calls* takes: the median of *rounds*, in which each runs *number* times."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            for _ in range(number):
                await call()
            times[name].append((time.perf_counter() - begun) / number)
    return {name: median(values) for name, values in times.items()}


async def in_memory(rounds: int) -> None:
    print('In memory: cache.get, and the copy alone')
    backend = LocMemBackend(prefix='benchmark')
    for what, value in VALUES.items():
        await backend.set('key', value)
        data = serialization.dumps(value)

        async def copy(data: bytes = data) -> object:
            return serialization.loads(data)

        took = await compare({'get': lambda: backend.get('key'), 'copy': copy}, rounds, 2000)
        beside = (took['get'] - took['copy']) * 1e6
        print(f'  {what:20} {took["get"] * 1e6:8.2f} µs, copy {took["copy"] * 1e6:6.2f} µs, beside it {beside:6.2f} µs')


async def on_redis(rounds: int) -> None:
    print('On Redis: cache.get, and redis.asyncio alone')
    backend, bare = RedisBackend(url=URL, prefix='benchmark'), Redis.from_url(URL)
    try:
        for what, value in VALUES.items():
            await backend.set('key', value)
            await bare.set('benchmark-bare', serialization.dumps(value))
            calls = {'get': lambda: backend.get('key'), 'bare': lambda: bare.get('benchmark-bare')}
            took = await compare(calls, rounds * 50, 1)
            factor = took['get'] / took['bare']
            print(f'  {what:20} {took["get"] * 1e6:8.1f} µs, bare {took["bare"] * 1e6:6.1f} µs: {factor:.2f} times')
    finally:
        await backend.clear()
        await bare.delete('benchmark-bare')
        await backend.close()
        await bare.aclose()


async def at_once(number: int) -> None:
    calls: list[int] = []

    async def factory() -> int:
        calls.append(1)
        await asyncio.sleep(0.05)
        return 1

    for name, backend in (('in memory', LocMemBackend()), ('on Redis', RedisBackend(url=URL, prefix='benchmark'))):
        calls.clear()
        begun = time.perf_counter()
        await asyncio.gather(*(backend.get_or_set('once', factory) for _ in range(number)))
        print(f'get_or_set {name}, {number} at once: {len(calls)} computation, {time.perf_counter() - begun:.3f} s')
        await backend.clear()
        await backend.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=100)
    arguments = parser.parse_args()
    await in_memory(arguments.rounds)
    await on_redis(arguments.rounds)
    await at_once(1000)


if __name__ == '__main__':
    asyncio.run(main())
