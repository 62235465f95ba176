"""What a service costs before its first request: beside the same libraries, imported bare, and a route of aiohttp."""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.peers import databases, environment, machine, server
from benchmarks.peers.roster import MANAGE, Peer, colibris

BARE = Path(__file__).parent / 'bare.py'
_LOADS = {
    'colibris': (
        'from colibris import conf; conf.setup("service"); from colibris.app import create_app; '
        'import colibris.server.serving, uvloop; create_app()'
    ),
    'bare': f'import sys; sys.path.insert(0, {str(BARE.parent)!r}); import bare',
}
_SETTLE = 0.5  # seconds from the first answer until memory is weighed


@dataclass(frozen=True, slots=True)
class Start:
    """One start: CPU seconds of loading, seconds until the first answer and their CPU seconds, and megabytes."""

    load: float
    answer: float
    cpu: float
    memory: float


def start(peer: Peer, variables: Mapping[str, str], log: Path) -> Start:
    """Start *peer* and wait for its first answer."""
    load = _load(peer, variables)
    with server.Server(peer, variables, log) as running:
        cpu = running.cpu()
        time.sleep(_SETTLE)
        return Start(load, running.start_seconds, cpu, running.memory())


def _load(peer: Peer, variables: Mapping[str, str]) -> float:
    """Return the CPU seconds of a process that imports and builds what *peer* serves, without serving it."""
    command = ['taskset', '-c', str(machine.SERVER_CORE), str(server.python_of(peer)), '-c', _LOADS[peer.name]]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=server.environment_of(peer, variables), cwd=MANAGE.parent.parent, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def libraries(peer: Peer, variables: Mapping[str, str], log: Path) -> set[str]:
    """Return the names of the libraries that *peer* imports until its first answer."""
    python, *rest = peer.command
    log.unlink(missing_ok=True)
    verbose = Peer(peer.name, (python, '-X', 'importtime', *rest), environment=None, python=peer.python)
    with server.Server(verbose, variables, log):
        pass
    names = re.findall(r'^import time:.*\| +([A-Za-z]\w*)', log.read_text(), re.MULTILINE)
    return set(names) - set(sys.stdlib_module_names) - {'colibris', 'service', 'bare', 'sitecustomize'}


def main(rounds: int, database: str, checkout: Path | None) -> None:
    python = environment.own_python(checkout)
    peers = [
        colibris('colibris', python),
        Peer('bare', ('{python}', str(BARE), '{port}'), environment=None, python=python),
    ]
    found: dict[str, list[Start]] = {peer.name: [] for peer in peers}
    with databases.running(database) as running:
        variables = running.variables()
        log = running.folder / 'servers.log'
        server.manage(peers[0], variables, 'migrate')
        imported = {peer.name: libraries(peer, variables, log) for peer in peers}
        for _ in range(rounds):
            for peer in peers:
                found[peer.name].append(start(peer, variables, log))
    _print(found)
    for name, other in (('colibris', 'bare'), ('bare', 'colibris')):
        print(f'  imported by {name} only: {", ".join(sorted(imported[name] - imported[other])) or "-"}')


def _print(found: Mapping[str, list[Start]]) -> None:
    print(f'  {"":12}{"load, CPU ms":>14}{"first answer ms":>17}{"its CPU ms":>12}{"idle MB":>9}')
    rows = {name: _medians(starts) for name, starts in found.items()}
    for name, row in rows.items():
        print(f'  {name:12}{row.load * 1e3:14.0f}{row.answer * 1e3:17.0f}{row.cpu * 1e3:12.0f}{row.memory:9.1f}')
    ours, bare = rows['colibris'], rows['bare']
    print(
        f'  {"ratio":12}{ours.load / bare.load:14.2f}{ours.answer / bare.answer:17.2f}'
        f'{ours.cpu / bare.cpu:12.2f}{ours.memory / bare.memory:9.2f}'
    )


def _medians(starts: list[Start]) -> Start:
    return Start(
        median(one.load for one in starts),
        median(one.answer for one in starts),
        median(one.cpu for one in starts),
        median(one.memory for one in starts),
    )


if __name__ == '__main__':
    parser = argparse.ArgumentParser(prog='hatch run bench startup', description=__doc__)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--database', choices=('sqlite', 'postgresql'), default='sqlite')
    parser.add_argument('--colibris', type=Path, metavar='PATH', help='a checkout to measure instead of this one')
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.database, arguments.colibris)
