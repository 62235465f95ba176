"""What request ids, the access log, metrics and the limit of time cost a request, each alone and together.

They stand in one layer around the application, of the edge. ``bare`` is the same service without any of its layers;
``off`` has all of them switched off but what is always there: it is looked at who may open WebSockets.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.peers import databases, load, machine, roster, server
from benchmarks.peers.workloads import Workload

#: All services run at once, and share the connections that the server allows.
CONNECTIONS = {'DATABASE_MIN_CONNECTIONS': '5', 'DATABASE_MAX_CONNECTIONS': '5'}

#: How often each service has its turn while all of them run.
SLICES = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A service with some of the edge; it is to cost *goal* times what the first one does."""

    title: str
    edge: str
    goal: float | None = None


VARIANTS = (
    Variant('bare', 'none'),
    Variant('off', '', 1.02),
    Variant('limit of time', 'limit'),
    Variant('request ids', 'ids'),
    Variant('access log (JSON)', 'log'),
    Variant('metrics', 'metrics'),
    Variant('ids, log, metrics', 'ids,log,metrics', 1.35),
    Variant('and the limit', 'ids,log,metrics,limit', 1.35),
)
#: The cheapest request there is, for which they cost most, and one as a service has them.
PATHS = ('/hello', '/users?page_size=25')

#: The CPU seconds of a request of a service, and of the bare one right before and after, one pair for each turn.
Costs = Mapping[tuple[Variant, str], list[tuple[float, float]]]

#: How long a turn waits for a quiet moment, in seconds.
PATIENCE = 2.0


def measure(rounds: int, python: Path, lock: Path | None, paths: Sequence[str] = PATHS) -> Costs:
    """Return what a request of each service costs."""
    found: dict[tuple[Variant, str], list[tuple[float, float]]] = {
        (variant, path): [] for path in paths for variant in VARIANTS[1:]
    }
    with databases.running('postgresql') as database, tempfile.TemporaryDirectory() as folder:
        variables = {**database.variables(), **CONNECTIONS}
        server.manage(roster.colibris('colibris', python), variables, 'migrate')
        database.fill()
        for _ in range(rounds):
            with ExitStack() as stack:
                running = {
                    variant: stack.enter_context(server.Server(_peer(variant, python), variables, Path(folder) / 'log'))
                    for variant in VARIANTS
                }
                for path in paths:
                    for variant, cost, bare in _turns(running, path, Path(folder), lock):
                        found[variant, path].append((cost, bare))
    return found


def _turns(
    running: Mapping[Variant, server.Server], path: str, folder: Path, lock: Path | None
) -> Iterator[tuple[Variant, float, float]]:
    """Yield what a request of each service costs, and of the bare one at that time: what drifts, drifts for both."""
    for variant in VARIANTS:  # to warm up
        _cost(running[variant], path, folder)
    before = _cost(running[VARIANTS[0]], path, folder)
    for number in range(SLICES):
        for variant in VARIANTS[1:] if number % 2 == 0 else reversed(VARIANTS[1:]):
            machine.wait_until_quiet(PATIENCE)
            with machine.lock(lock):
                cost = _cost(running[variant], path, folder)
                after = _cost(running[VARIANTS[0]], path, folder)
            yield variant, cost, (before + after) / 2
            before = after


def _peer(variant: Variant, python: Path) -> roster.Peer:
    manage = Path(__file__).parent / 'project' / 'growing' / 'manage.py'
    command = ('{python}', str(manage), 'runserver', '--listen', '127.0.0.1', '--port', '{port}')
    variables = {'BENCHMARK_MIDDLEWARES': '3', 'BENCHMARK_ROUTES': '10', 'BENCHMARK_EDGE': variant.edge}
    return roster.Peer(variant.title, command, variables=variables, environment=None, python=python)


def _cost(running: server.Server, path: str, folder: Path) -> float:
    before = running.cpu()
    result = load.generate(Workload('production', path, 'GET', path), running.port, 1, '', folder)
    if result.errors:
        raise RuntimeError(f'{running.peer.name}: {result.errors} requests failed')
    return (running.cpu() - before) / max(result.requests, 1)


def table(found: Costs) -> Iterator[str]:
    """Give the lines of the table: medians, each service beside the bare one turn by turn, and its goal."""
    for path in dict.fromkeys(path for _, path in found):
        yield f'  {path:28}{"CPU µs":>9}{"beside bare":>14}{"goal":>8}'
        all_bare = [bare for variant in VARIANTS[1:] for _, bare in found[variant, path]]
        yield f'  {VARIANTS[0].title:28}{median(all_bare) * 1e6:9.1f}'
        for variant in VARIANTS[1:]:
            costs = [cost for cost, _ in found[variant, path]]
            ratio = median(cost / bare for cost, bare in found[variant, path])
            goal = '' if variant.goal is None else f'{variant.goal:.2f}'
            yield f'  {variant.title:28}{median(costs) * 1e6:9.1f}{ratio:14.3f}{goal:>8}'
