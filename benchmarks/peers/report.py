"""What was found, as medians: a table on the terminal, and a file of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers.measuring import Sample
from benchmarks.peers.workloads import WORKLOADS


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one peer at one work; *undisturbed* of its *runs* were."""

    work: str
    peer: str
    per_second: float
    cpu: float
    database_cpu: float
    p50: float
    p99: float
    errors: int
    runs: int
    undisturbed: int


def rows(samples: Sequence[Sample]) -> list[Row]:
    """Return the medians, of the undisturbed runs where there are any, fastest first."""
    found = []
    for work, peer in dict.fromkeys((sample.work, sample.peer) for sample in samples):
        own = [sample for sample in samples if (sample.work, sample.peer) == (work, peer)]
        quiet = [sample for sample in own if not sample.disturbed]
        found.append(_row(work, peer, quiet or own, len(own), len(quiet)))
    return sorted(found, key=lambda row: (row.work, -row.per_second))


def _row(work: str, peer: str, chosen: Sequence[Sample], runs: int, undisturbed: int) -> Row:
    def middle(name: str) -> float:
        values: list[float] = [getattr(sample, name) for sample in chosen]
        return median(values)

    return Row(
        work=work,
        peer=peer,
        per_second=middle('per_second'),
        cpu=middle('cpu'),
        database_cpu=middle('database_cpu'),
        p50=middle('p50'),
        p99=middle('p99'),
        errors=sum(sample.errors for sample in chosen),
        runs=runs,
        undisturbed=undisturbed,
    )


def table(found: Sequence[Row], base: str) -> str:
    """Return the table; ratios are of requests a second, and of CPU time, to the peer *base*."""
    return '\n'.join(line for work in WORKLOADS for line in _of_work(work, found, base))


def _of_work(work: str, found: Sequence[Row], base: str) -> Iterator[str]:
    own = [row for row in found if row.work == work]
    if not own:
        return
    reference = next((row for row in own if row.peer == base), None)
    yield f'\n{work}  {WORKLOADS[work].title}'
    yield (
        f'  {"":28}{"requests/s":>11}{f"x {base}":>10}{"CPU µs":>9}{f"x {base}":>10}{"DB µs":>8}'
        f'{"p50 ms":>8}{"p99 ms":>8}  quiet runs'
    )
    for row in own:
        speed = '-' if reference is None else f'{row.per_second / reference.per_second:.2f}'
        cost = '-' if reference is None or not row.cpu else f'{reference.cpu / row.cpu:.2f}'
        failed = f'  {row.errors} ERRORS' if row.errors else ''
        yield (
            f'  {row.peer:28}{row.per_second:11,.0f}{speed:>10}{row.cpu:9.1f}{cost:>10}{row.database_cpu:8.0f}'
            f'{row.p50 / 1000:8.1f}{row.p99 / 1000:8.1f}  {row.undisturbed} of {row.runs}{failed}'
        )


def footprint(samples: Sequence[Sample]) -> str:
    """Return the table of how long each peer took to start, and what it weighed before the first load."""
    lines = [f'\n  {"":28}{"start s":>11}{"idle MB":>10}']
    for peer in dict.fromkeys(sample.peer for sample in samples):
        own = [sample for sample in samples if sample.peer == peer]
        start, memory = (median(getattr(s, name) for s in own) for name in ('start_seconds', 'idle_memory'))
        lines.append(f'  {peer:28}{start:11.2f}{memory:10.0f}')
    return '\n'.join(lines)


def write(file: Path, about: dict[str, Any], samples: Sequence[Sample]) -> None:
    """Write what was found, and *about* what, to *file*."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = {
        **about,
        'medians': [asdict(row) for row in rows(samples)],
        'samples': [asdict(sample) for sample in samples],
    }
    file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + '\n')
