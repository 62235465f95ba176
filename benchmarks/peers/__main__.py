"""Run Colibris beside its peers: the same work, in turns, each on a core of its own."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers import databases, environment, load, machine, measuring, readme, report, roster, server
from benchmarks.peers.roster import COLIBRIS, Peer
from benchmarks.peers.workloads import WORKLOADS

_CHART = Path(__file__).parent / 'chart.py'


def main() -> None:
    options = _options()
    load.require_wrk()
    works = _chosen(options.work, list(WORKLOADS) if options.database == 'postgresql' else ['W3', 'W5'])
    peers = _peers(options)
    for needed in dict.fromkeys(peer.environment for peer in peers if peer.environment is not None):
        needed.make()
    log = Path(options.log)
    log.unlink(missing_ok=True)
    with databases.running(options.database) as database:
        migrating = next((peer for peer in peers if peer.is_colibris), _ours(None))
        server.manage(migrating, database.variables(), 'migrate')
        database.fill()
        print('Are the answers equal?', flush=True)
        good = measuring.check(peers, database, works, log)
        if not good:
            sys.exit('They are not: nothing was measured.')
        if not options.check:
            _measure(options, peers, works, database, log)


def _measure(
    options: argparse.Namespace, peers: Sequence[Peer], works: Sequence[str], database: databases.Database, log: Path
) -> None:
    how = measuring.Options(
        tuple(works), options.rounds, options.duration, options.tries, options.patience, options.lock
    )
    samples = []
    for sample in measuring.measure(peers, database, how, log):
        samples.append(sample)
        print(
            f'  round {sample.round + 1}  {sample.peer:28}{sample.work}{sample.per_second:10,.0f}/s'
            f'{sample.cpu:9.1f} µs{"  disturbed" if sample.disturbed else ""}',
            flush=True,
        )
    base = 'tuned' if any(peer.name == 'tuned' for peer in peers) else 'plain'
    print(report.table(report.rows(samples), base))
    print(report.footprint(samples))
    if options.json:
        report.write(options.json, _about(options, peers, works), samples)
    if options.chart:
        _publish(_about(options, peers, works), samples, options.database)


def _publish(about: dict[str, Any], samples: Sequence[measuring.Sample], database: str) -> None:
    """Put what was found among the results of the project: the numbers, and those on PostgreSQL also as a chart."""
    file = readme.RESULTS / ('peers.json' if database == 'postgresql' else f'peers-{database}.json')
    report.write(file, about, samples)
    if database == 'postgresql':
        subprocess.run([environment.PEERS.python, _CHART, file], check=True)
        readme.update(readme.results())


def _about(options: argparse.Namespace, peers: Sequence[Peer], works: Sequence[str]) -> dict[str, Any]:
    pythons = {peer.name: server.python_of(peer) for peer in peers}
    found = {python: environment.versions(python) for python in set(pythons.values())}
    return {
        'date': datetime.now(UTC).date().isoformat(),
        'database': options.database,
        'machine': machine.describe(),
        'rounds': options.rounds,
        'seconds': options.duration,
        'connections': load.CONNECTIONS,
        'works': {name: WORKLOADS[name].title for name in works},
        'versions': {name: found[python] for name, python in pythons.items()},
    }


def _ours(checkout: Path | None) -> Peer:
    name = COLIBRIS if checkout is None else f'{COLIBRIS}:{checkout.resolve().name}'
    return roster.colibris(name, environment.own_python(checkout))


def _peers(options: argparse.Namespace) -> list[Peer]:
    checkouts = [None] if options.colibris is None else options.colibris
    everybody = [*(_ours(checkout) for checkout in checkouts), *roster.OTHERS]
    chosen = roster.choose(everybody, _chosen(options.only, roster.names(), ()), options.database)
    if not chosen:
        sys.exit(f'none of these is measured on {options.database}')
    return chosen


def _chosen(text: str | None, known: Sequence[str], default: Sequence[str] | None = None) -> list[str]:
    """Return the names in *text*, separated by commas, if all are *known*."""
    if text is None:
        return list(known if default is None else default)
    names = text.split(',')
    for name in names:
        if name not in known:
            sys.exit(f'{name!r} is not known; there are {", ".join(known)}')
    return names


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='hatch run bench peers', description=__doc__)
    parser.add_argument('--only', metavar='NAMES', help='measure these peers: colibris,tuned')
    parser.add_argument('--work', metavar='NAMES', help='do this work only: W1,W3')
    parser.add_argument('--rounds', type=int, default=5, help='how often each peer has its turn (%(default)s)')
    parser.add_argument('--duration', type=float, default=5, help='seconds of each run (%(default)s)')
    parser.add_argument('--database', choices=('postgresql', 'sqlite'), default='postgresql')
    parser.add_argument('--check', action='store_true', help='only tell whether the answers are equal')
    parser.add_argument(
        '--colibris', type=Path, metavar='PATH', action='append', help='a checkout to measure; may be given repeatedly'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write what was found to this file')
    parser.add_argument(
        '--chart', action='store_true', help='write the results, the chart and what the README tells of them'
    )
    parser.add_argument('--log', default='/tmp/colibris-benchmark.log', help='where the servers write (%(default)s)')
    parser.add_argument('--lock', type=Path, metavar='FILE', help='hold the lock of this file during each run')
    parser.add_argument('--patience', type=float, default=12, help='seconds to wait for a quiet moment (%(default)s)')
    parser.add_argument('--tries', type=int, default=3, help='how often a disturbed run is tried (%(default)s)')
    return parser.parse_args()


if __name__ == '__main__':
    main()
