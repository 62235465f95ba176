"""Background tasks, beside bare dramatiq with results: what a task costs, and how soon its result is there.

Both sides take turns. The worker of each is a process of 8 threads; a task does nothing and its result is kept, on
Redis, whether the broker is Redis or RabbitMQ.
"""

import sys

if not __package__:  # run as a file: its folder must not hide the standard library's `email`
    sys.path.pop(0)

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from asyncio import Handle
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pika
import psutil
import redis

from colibris import conf, subsystems, taskqueue
from colibris.taskqueue.subsystem import subsystem

REDIS = os.environ.get('COLIBRIS_TEST_REDIS') or 'redis://127.0.0.1:6379/0'
RABBITMQ = os.environ.get('COLIBRIS_TEST_RABBITMQ') or 'amqp://guest:guest@127.0.0.1:5672'
PATIENCE = 60.0

QUEUES: dict[str, dict[str, Any]] = {
    'redis': {'backend': 'dramatiq', 'url': REDIS},
    'rabbitmq': {'backend': 'dramatiq', 'broker': 'rabbitmq', 'url': RABBITMQ, 'store': REDIS},
}
#: The environment variables by which workers are told where their tasks are.
OURS_AT, BARE_AT = 'BENCHTASKS_QUEUE', 'BENCHTASKS_BROKER'

SETTINGS = f"""
import json
import os

SECRET_KEY = 'the secret of the benchmark of background tasks'
TASK_QUEUE = json.loads(os.environ[{OURS_AT!r}])
LOGGING_OVERRIDES = {{'root': {{'level': 'WARNING'}}, 'loggers': {{'colibris': {{'level': 'WARNING'}}}}}}
"""
TASKS = """
def nothing():
    pass
"""
BARE = f"""
import os

import dramatiq
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

if os.environ[{BARE_AT!r}] == 'redis':
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url={REDIS!r}, namespace='benchbare')
else:
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    broker = RabbitmqBroker(url={RABBITMQ!r})
broker.add_middleware(Results(backend=RedisBackend(url={REDIS!r}, namespace='benchbare-results')))
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name='benchbare', store_results=True)
def nothing():
    pass
"""
MANAGE = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from colibris.commands.program import manage

manage('benchtasks')
"""


def write_project(folder: Path) -> None:
    package = folder / 'benchtasks'
    package.mkdir()
    files = {'__init__': '', 'settings': SETTINGS, 'tasks': TASKS, 'manage': MANAGE}
    for name, text in files.items():
        (package / f'{name}.py').write_text(text)
    (folder / 'benchbare.py').write_text(BARE)


@contextlib.contextmanager
def worker(folder: Path, kind: str) -> Iterator[psutil.Process]:
    ours = [sys.executable, 'benchtasks/manage.py', 'runworker', '--threads', '8']
    bare = [sys.executable, '-m', 'dramatiq', 'benchbare', '-p', '1', '-t', '8']
    quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    process = subprocess.Popen({'ours': ours, 'bare': bare}[kind], cwd=folder, **quiet)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def cpu(process: psutil.Process) -> float:
    """Return the CPU time of a process and of those below it, in seconds."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


class Holds:
    """Measures how long single steps hold the event loop, in the time that its thread runs."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._run = Handle._run

    def __enter__(self) -> 'Holds':
        run = self._run

        def measured(handle: Handle) -> None:
            begun = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - begun)

        Handle._run = measured  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc_info: object) -> None:
        Handle._run = self._run  # type: ignore[method-assign]


class Ours:
    """Colibris."""

    kind = 'ours'

    def __init__(self) -> None:
        from benchtasks import tasks

        self.task = tasks.nothing

    async def fill(self, number: int) -> None:
        for _ in range(number):
            await taskqueue.enqueue(self.task)

    async def length(self) -> int:
        return (await taskqueue.stats()).length

    async def call(self) -> None:
        await taskqueue.execute(self.task, timeout=PATIENCE)


class Bare(ABC):
    """Dramatiq as it comes, with its results on Redis."""

    kind = 'bare'

    def __init__(self) -> None:
        import benchbare

        self.actor = benchbare.nothing
        self.broker = benchbare.broker
        self.redis = redis.Redis.from_url(REDIS)

    async def fill(self, number: int) -> None:
        for _ in range(number):
            self.actor.send()

    @abstractmethod
    async def length(self) -> int:
        """Return how many tasks wait."""

    async def call(self) -> None:
        results = self.broker.get_results_backend()
        self.actor.send().get_result(backend=results, block=True, timeout=round(PATIENCE * 1000))

    def close(self) -> None:
        """Leave no connections that would be counted."""
        for client in (self.redis, self.broker.get_results_backend().client):
            client.connection_pool.disconnect()

    def clear(self) -> None:
        """Leave nothing behind on the servers."""
        for key in self.redis.scan_iter('benchbare*', count=1000):
            self.redis.unlink(key)


class BareOnRedis(Bare):
    """Dramatiq on Redis."""

    async def length(self) -> int:
        return int(self.redis.llen('benchbare:benchbare'))

    def close(self) -> None:
        super().close()
        self.broker.client.connection_pool.disconnect()


class BareOnRabbitmq(Bare):
    """Dramatiq on RabbitMQ; it does not wait for RabbitMQ's confirmation of what it sends, as ours does."""

    async def length(self) -> int:
        answer = self.broker.channel.queue_declare('benchbare', passive=True)
        return int(answer.method.message_count)

    def close(self) -> None:
        super().close()
        self.broker.close()

    def clear(self) -> None:
        super().clear()
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(RABBITMQ))) as connection:
            channel = connection.channel()
            for name in ('benchbare', 'benchbare.DQ', 'benchbare.XQ', 'benchtasks.default'):
                channel.queue_delete(name)
            channel.exchange_delete('benchtasks.ended')


Side = Ours | Bare


async def drain(folder: Path, side: Side, number: int) -> tuple[float, float, float]:
    """Return how many tasks a second are sent and run, and the worker's CPU time for each in µs."""
    begun = time.perf_counter()
    await side.fill(number)
    sent = number / (time.perf_counter() - begun)
    with worker(folder, side.kind) as process:
        while await side.length() > number - 100:
            await asyncio.sleep(0.002)
        begun, used, first = time.perf_counter(), cpu(process), await side.length()
        while (last := await side.length()) > 100:
            await asyncio.sleep(0.002)
        count, passed = first - last, time.perf_counter() - begun
        return sent, count / passed, (cpu(process) - used) / count * 1e6


async def throughput(folder: Path, sides: list[Side], rounds: int, number: int) -> None:
    found: dict[str, list[tuple[float, float, float]]] = {side.kind: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            found[side.kind].append(await drain(folder, side, number))
    print(f'{number} tasks, {rounds} rounds: sent one after the other, then run by 8 threads')
    medians = {kind: [median(column) for column in zip(*rows, strict=True)] for kind, rows in found.items()}
    for kind, (sent, run, used) in medians.items():
        print(f'  {kind}: {sent:6.0f} sent/s, {run:6.0f} run/s, {used:5.0f} µs of CPU for each in the worker')
    factor = medians['ours'][1] / medians['bare'][1]
    print(f'  throughput {factor:.2f} times that of bare dramatiq')


async def latency(folder: Path, sides: list[Side], number: int) -> None:
    took: dict[str, list[float]] = {side.kind: [] for side in sides}
    with worker(folder, 'ours'), worker(folder, 'bare'):
        for index in range(number + 20):
            for side in sides:
                begun = time.perf_counter()
                await side.call()
                if index >= 20:
                    took[side.kind].append((time.perf_counter() - begun) * 1000)
        print('From the call to the result, one at a time, on a warm worker')
        for kind, times in took.items():
            print(f'  {kind}: median {median(times):6.2f} ms, 99th percentile {quantiles(times, n=100)[98]:6.2f} ms')
        print(f'  median {median(took["ours"]) / median(took["bare"]):.2f} times that of bare dramatiq')
        print('After 10 s without a task')
        await asyncio.sleep(10)
        for side in sides:
            begun = time.perf_counter()
            await side.call()
            print(f'  {side.kind}: {(time.perf_counter() - begun) * 1000:.1f} ms')


async def waiting(folder: Path, ours: Ours, number: int) -> None:
    def connections() -> int:
        found = [each for each in psutil.Process().net_connections('tcp') if each.status == 'ESTABLISHED']
        own = {each.laddr for each in found}  # pika wakes its thread by a pair of sockets
        return sum(1 for each in found if each.raddr not in own)

    calls = [asyncio.create_task(ours.call()) for _ in range(number)]
    while await ours.length() < number:
        await asyncio.sleep(0.01)
    print(f'{number} calls that wait at once: {connections()} connections')
    begun = time.perf_counter()
    with worker(folder, 'ours'):
        await asyncio.gather(*calls)
    print(f'  all have their results after {time.perf_counter() - begun:.1f} s, the start of the worker included')
    with Holds() as holds:
        await asyncio.gather(*(taskqueue.enqueue(ours.task) for _ in range(500)))
    print(f'  500 tasks sent at once: no step held the event loop for longer than {holds.longest * 1000:.1f} ms')


async def measure(folder: Path, bare: Bare, arguments: argparse.Namespace) -> None:
    ours = Ours()
    await subsystem.backend.clear()
    try:
        await throughput(folder, [ours, bare], arguments.rounds, arguments.tasks)
        await latency(folder, [ours, bare], arguments.calls)
        await subsystem.backend.clear()
        bare.close()
        await waiting(folder, ours, arguments.waiting)
    finally:
        await subsystem.backend.clear()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--broker', choices=QUEUES, default='redis')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--tasks', type=int, default=3000)
    parser.add_argument('--calls', type=int, default=500)
    parser.add_argument('--waiting', type=int, default=5000)
    arguments = parser.parse_args()
    os.environ |= {OURS_AT: json.dumps(QUEUES[arguments.broker]), BARE_AT: arguments.broker}
    print(f'Background tasks on {arguments.broker}')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder)
        sys.path.insert(0, name)
        conf.setup('benchtasks')
        bare = {'redis': BareOnRedis, 'rabbitmq': BareOnRabbitmq}[arguments.broker]()
        bare.clear()
        try:
            async with subsystems.running():
                await measure(folder, bare, arguments)
        finally:
            bare.clear()


if __name__ == '__main__':
    asyncio.run(main())
