"""The part of the README that tells what was found: written from the files of results, between two comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
README = _ROOT / 'README.md'
RESULTS = _ROOT / 'benchmarks' / 'results'
_BEGIN, _END = '<!-- benchmarks: begin -->', '<!-- benchmarks: end -->'

#: What the README compares us with, and how it calls it.
_COMPARED = {
    'tuned': 'aiohttp + msgspec + asyncpg, by hand',
    'fastapi-sqlalchemy': 'FastAPI + SQLAlchemy',
    'litestar-sqlalchemy': 'Litestar + SQLAlchemy',
    'drf': 'Django REST Framework',
}
_SHOWN = {
    'colibris': ('python', 'aiohttp', 'marshmallow', 'tortoise-orm', 'asyncpg', 'uvloop', 'msgspec'),
    'fastapi-sqlalchemy': ('fastapi', 'sqlalchemy', 'pydantic', 'uvicorn'),
    'litestar-sqlalchemy': ('litestar',),
    'blacksheep-sqlalchemy': ('blacksheep',),
    'falcon-sqlalchemy': ('falcon',),
    'sanic-sqlalchemy': ('sanic',),
    'drf': ('django', 'djangorestframework'),
}


def text(found: Mapping[str, Any]) -> str:
    """Return what the README says about the results in *found*."""
    return '\n'.join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    works = list(found['works'])
    speeds = {(row['peer'], row['work']): row['per_second'] for row in found['medians']}
    yield '<picture>'
    yield '  <source media="(prefers-color-scheme: dark)" srcset="benchmarks/results/peers-dark.svg">'
    yield '  <img src="benchmarks/results/peers.svg" alt="Requests a second of Colibris and its peers">'
    yield '</picture>'
    yield ''
    yield f'| Colibris serves … times the requests of | {" | ".join(works)} |'
    yield '|---' * (len(works) + 1) + '|'
    for peer, label in _COMPARED.items():
        ratios = [_ratio(speeds.get(('colibris', work)), speeds.get((peer, work))) for work in works]
        yield f'| {label} | {" | ".join(ratios)} |'
    yield ''
    yield f'{"; ".join(f"{work}: {title}" for work, title in found["works"].items())}.'
    yield ''
    yield _circumstances(found)


def _ratio(ours: float | None, theirs: float | None) -> str:
    return '-' if ours is None or theirs is None else f'{ours / theirs:.2f}'


def _circumstances(found: Mapping[str, Any]) -> str:
    machine = found['machine']
    versions = [
        f'{name} {found["versions"][peer][name]}'
        for peer, names in _SHOWN.items()
        if peer in found['versions']
        for name in names
    ]
    return (
        f'Measured on {found["date"]}: {machine["processor"]}, {machine["system"]}, one core for the server, the other '
        f'for PostgreSQL and the load; medians of {found["rounds"]} rounds of {found["seconds"]:g} seconds, with '
        f'{", ".join(versions)}. [How, and on what else](benchmarks/README.md).'
    )


def update(found: Mapping[str, Any]) -> None:
    """Write what *found* says into the README."""
    old = README.read_text()
    new = re.sub(f'(?<={_BEGIN}\n).*?(?={_END})', lambda _: f'{text(found)}\n', old, count=1, flags=re.DOTALL)
    README.write_text(new)


def shown() -> str:
    """Return what the README says now."""
    return README.read_text().partition(f'{_BEGIN}\n')[2].partition(f'\n{_END}')[0]


def results() -> Any:
    """Return the results that the README tells of."""
    return json.loads((RESULTS / 'peers.json').read_text())
