"""What a request costs the server, in CPU time, as middlewares, routes and rows grow, and in production."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.peers import databases, environment, load, machine, roster, server
from benchmarks.peers.roster import Peer
from benchmarks.peers.workloads import Workload
from benchmarks.requests import production

_MANAGE = Path(__file__).parent / 'project' / 'growing' / 'manage.py'
MIDDLEWARES = (0, 3, 10)
ROUTES = (10, 100, 1000)
ROWS = (1, 25, 100, 1000)


@dataclass(frozen=True, slots=True)
class Case:
    """A path that is asked for, of a service of some size."""

    title: str
    path: str
    middlewares: int = 3
    routes: int = 10


CASES = (
    *(Case(f'{number} middlewares', '/hello', middlewares=number) for number in MIDDLEWARES),
    *(Case(f'{number} routes, a fixed one', f'/fixed-{number // 2 - 1}', routes=number) for number in ROUTES),
    *(Case(f'{number} routes, a placeholder', f'/items-{number // 2 - 1}/1', routes=number) for number in ROUTES),
    *(Case(f'{number} rows', f'/users?page_size={number}') for number in ROWS),
)


def _peer(case: Case, python: Path) -> Peer:
    command = ('{python}', str(_MANAGE), 'runserver', '--listen', '127.0.0.1', '--port', '{port}')
    variables = {'BENCHMARK_MIDDLEWARES': str(case.middlewares), 'BENCHMARK_ROUTES': str(case.routes)}
    return Peer(case.title, command, variables=variables, environment=None, python=python)


def measure(rounds: int, duration: float, python: Path, lock: Path | None) -> Mapping[Case, list[float]]:
    """Return the CPU seconds of a request in each case, one for each round."""
    found: dict[Case, list[float]] = {case: [] for case in CASES}
    with databases.running('postgresql') as database, tempfile.TemporaryDirectory() as folder:
        variables = database.variables()
        server.manage(roster.colibris('colibris', python), variables, 'migrate')
        database.fill()
        for number in range(rounds):
            for case in CASES if number % 2 == 0 else reversed(CASES):
                with (
                    server.Server(_peer(case, python), variables, Path(folder) / 'log') as running,
                    machine.lock(lock),
                ):
                    found[case].append(_cost(running, case, duration, Path(folder)))
    return found


def _cost(running: server.Server, case: Case, duration: float, folder: Path) -> float:
    workload = Workload('case', case.title, 'GET', case.path)
    load.generate(workload, running.port, 1, '', folder)
    before = running.cpu()
    result = load.generate(workload, running.port, duration, '', folder)
    if result.errors:
        raise RuntimeError(f'{case.title}: {result.errors} requests failed')
    return (running.cpu() - before) / max(result.requests, 1)


def table(found: Mapping[Case, list[float]]) -> Iterator[str]:
    """Give the lines of the table: each case beside the first one of its kind."""
    yield f'  {"":28}{"CPU µs":>9}{"beside the first":>18}'
    kind, first = '', 1.0
    for case, costs in found.items():
        cost = median(costs)
        if (own := case.title.partition(' ')[2]) != kind:
            kind, first = own, cost
        yield f'  {case.title:28}{cost * 1e6:9.1f}{cost / first:18.2f}'


if __name__ == '__main__':
    parser = argparse.ArgumentParser(prog='hatch run bench requests', description=__doc__)
    parser.add_argument('--only', choices=('growing', 'production'), help='one part of it')
    parser.add_argument('--path', action='append', metavar='PATH', help='of the part "production": what is asked for')
    parser.add_argument('--rounds', type=int, default=5, help='how often each case has its turn (%(default)s)')
    parser.add_argument('--duration', type=float, default=3, help='seconds of each run (%(default)s)')
    parser.add_argument('--colibris', type=Path, metavar='PATH', help='a checkout to measure instead of this one')
    parser.add_argument('--lock', type=Path, metavar='FILE', help='hold the lock of this file during each run')
    arguments = parser.parse_args()
    load.require_wrk()
    chosen = environment.own_python(arguments.colibris)
    if arguments.only != 'production':
        print('\n'.join(table(measure(arguments.rounds, arguments.duration, chosen, arguments.lock))))
    if arguments.only != 'growing':
        found = production.measure(arguments.rounds, chosen, arguments.lock, arguments.path or production.PATHS)
        print('\n'.join(production.table(found)))
