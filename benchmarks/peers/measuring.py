"""One measured run, and the rounds in which the peers take turns."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import load, machine
from benchmarks.peers.checking import Comparison
from benchmarks.peers.databases import Database
from benchmarks.peers.machine import Usage
from benchmarks.peers.roster import Peer
from benchmarks.peers.server import Server, token_for
from benchmarks.peers.workloads import WORKLOADS, Workload

#: A run counts as disturbed, and is tried again, if others used more of the server's core, or of the load's.
SERVER_LIMIT, LOAD_LIMIT = 0.1, 0.25


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure: times in seconds."""

    works: tuple[str, ...]
    rounds: int
    duration: float
    tries: int
    patience: float
    lock: Path | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run found. The shares of *others* are of one core; times are microseconds, memory megabytes."""

    round: int
    peer: str
    work: str
    per_second: float
    cpu: float
    database_cpu: float
    p50: float
    p99: float
    errors: int
    others_on_server_core: float
    others_on_load_core: float
    start_seconds: float
    idle_memory: float

    @property
    def disturbed(self) -> bool:
        return self.others_on_server_core > SERVER_LIMIT or self.others_on_load_core > LOAD_LIMIT

    @property
    def disturbance(self) -> float:
        return max(self.others_on_server_core, 0) + max(self.others_on_load_core, 0)


def check(peers: Sequence[Peer], database: Database, works: Sequence[str], log: Path) -> bool:
    """Print whether the answers of *peers* are equal; return whether all are."""
    comparison, good = Comparison(), True
    variables = database.variables()
    for peer in peers:
        database.reset()
        with Server(peer, variables, log) as server:
            done = [name for name in works if name in peer.works]
            problems = comparison.problems(server, done, token_for(peer, variables))
        print(f'  {peer.name:28}{"equal" if not problems else "DIFFERS"}', flush=True)
        for problem in problems:
            print(f'    {problem}')
        good = good and not problems
    return good


def measure(peers: Sequence[Peer], database: Database, options: Options, log: Path) -> Iterator[Sample]:
    """Let the peers take turns, in another order each round; give a sample for each work of each."""
    variables = database.variables()
    tokens = {peer.name: token_for(peer, variables) for peer in peers}
    for number in range(options.rounds):
        start = number % len(peers)
        order = [*peers[start:], *peers[:start]] if number % 2 == 0 else [*reversed(peers)]
        for peer in order:
            database.reset()
            with Server(peer, variables, log) as server:
                run = _Run(server, database, options, number, tokens[peer.name], server.memory())
                for name in options.works:
                    if name in peer.works:
                        yield run.best_of_tries(WORKLOADS[name])
                        if name == 'W5':
                            database.reset()


@dataclass(frozen=True, slots=True)
class _Run:
    """The measuring of one server in one round."""

    server: Server
    database: Database
    options: Options
    round: int
    token: str
    idle_memory: float

    def best_of_tries(self, workload: Workload) -> Sample:
        """Measure until nobody disturbs, at most so often; return the least disturbed run, whatever its result."""
        best: Sample | None = None
        with tempfile.TemporaryDirectory() as folder:
            load.generate(workload, self.server.port, 1, self.token, Path(folder))
            for _ in range(self.options.tries):
                with machine.lock(self.options.lock):
                    machine.wait_until_quiet(self.options.patience)
                    sample = self._measure(workload, Path(folder))
                if best is None or sample.disturbance < best.disturbance:
                    best = sample
                if not best.disturbed:
                    break
        assert best is not None
        return best

    def _measure(self, workload: Workload, folder: Path) -> Sample:
        before, server_before, database_before = Usage.now(), self.server.cpu(), self.database.cpu()
        result = load.generate(workload, self.server.port, self.options.duration, self.token, folder)
        server = self.server.cpu() - server_before
        database = self.database.cpu() - database_before
        used = Usage.now() - before
        requests = max(result.requests, 1)
        return Sample(
            round=self.round,
            peer=self.server.peer.name,
            work=workload.name,
            per_second=result.per_second,
            cpu=server / requests * 1e6,
            database_cpu=max(database, 0) / requests * 1e6,
            p50=result.p50,
            p99=result.p99,
            errors=result.errors,
            others_on_server_core=(used.server_core - server) / used.at,
            others_on_load_core=(used.load_core - used.children - database) / used.at,
            start_seconds=self.server.start_seconds,
            idle_memory=self.idle_memory,
        )
