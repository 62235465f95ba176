"""Who is measured: how each server is started, and which work it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.environment import PEERS, SANIC, Environment

_FOLDER = Path(__file__).parent
APPS = _FOLDER / 'apps'
#: The service that is written with Colibris, as its users write one.
MANAGE = _FOLDER / 'project' / 'service' / 'manage.py'

ALL = ('W1', 'W2', 'W3', 'W4', 'W5')
DATABASE = ('W3', 'W4', 'W5')
COLIBRIS = 'colibris'


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its command, in which ``{port}`` stands for the port, and what it is told by the environment."""

    name: str
    command: tuple[str, ...]
    works: tuple[str, ...] = ALL
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Environment | None = PEERS
    databases: tuple[str, ...] = ('postgresql',)
    #: The interpreter that runs it, where that is not the environment's.
    python: Path | None = None

    @property
    def is_colibris(self) -> bool:
        return self.python is not None


def _script(name: str, file: str, *works: str, **options: object) -> Peer:
    return Peer(name, ('{python}', f'{APPS / file}.py'), works or ALL, **options)  # type: ignore[arg-type]


def _uvicorn(name: str, app: str, store: str, *, reset: bool = True) -> Peer:
    variables = {'BENCHMARK_STORE': store} | ({} if reset else {'BENCHMARK_NO_RESET': '1'})
    command: tuple[str, ...] = ('{python}', '-m', 'uvicorn', f'{app}_app:app')
    command += ('--host', '127.0.0.1', '--port', '{port}')
    command += ('--no-access-log', '--log-level', 'warning', '--loop', 'uvloop', '--http', 'httptools')
    return Peer(name, command, ALL if store == 'sqlalchemy' else DATABASE, variables)


def _sanic(name: str, store: str) -> Peer:
    works = ALL if store == 'sqlalchemy' else DATABASE
    return _script(name, 'sanic_app', *works, variables={'BENCHMARK_STORE': store}, environment=SANIC)


def _django() -> Peer:
    command: tuple[str, ...] = ('{python}', '-m', 'gunicorn', 'drf_app:application')
    command += ('-b', '127.0.0.1:{port}', '-w', '1')
    command += ('-k', 'gthread', '--threads', '8', '--keep-alive', '30', '--log-level', 'warning')
    return Peer('drf', command)


def colibris(name: str, python: Path) -> Peer:
    """Return the peer that is us, run by the *python* in whose environment Colibris is installed."""
    command = ('{python}', str(MANAGE), 'runserver', '--listen', '127.0.0.1', '--port', '{port}')
    return Peer(name, command, environment=None, databases=('postgresql', 'sqlite'), python=python)


_BOTH = ('postgresql', 'sqlite')
OTHERS = (
    _script('lowlevel', 'aiohttp_lowlevel', 'W1', 'W2'),
    _script('tuned', 'aiohttp_tuned'),
    _script('plain', 'aiohttp_plain', databases=_BOTH),
    _script('plain-uvloop', 'aiohttp_plain', variables={'BENCHMARK_UVLOOP': '1'}, databases=_BOTH),
    _uvicorn('fastapi-sqlalchemy', 'fastapi', 'sqlalchemy'),
    _uvicorn('fastapi-tortoise', 'fastapi', 'tortoise'),
    _uvicorn('fastapi-asyncpg', 'fastapi', 'asyncpg'),
    _uvicorn('litestar-sqlalchemy', 'litestar', 'sqlalchemy'),
    _uvicorn('litestar-asyncpg', 'litestar', 'asyncpg'),
    _uvicorn('blacksheep-sqlalchemy', 'blacksheep', 'sqlalchemy'),
    _uvicorn('blacksheep-asyncpg', 'blacksheep', 'asyncpg'),
    _uvicorn('blacksheep-asyncpg-noreset', 'blacksheep', 'asyncpg', reset=False),
    _uvicorn('falcon-sqlalchemy', 'falcon', 'sqlalchemy'),
    _uvicorn('falcon-asyncpg', 'falcon', 'asyncpg'),
    _uvicorn('falcon-asyncpg-noreset', 'falcon', 'asyncpg', reset=False),
    _sanic('sanic-sqlalchemy', 'sqlalchemy'),
    _sanic('sanic-asyncpg', 'asyncpg'),
    _django(),
)


def names() -> list[str]:
    """Return the names of all peers, ours first."""
    return [COLIBRIS, *(peer.name for peer in OTHERS)]


def choose(peers: Iterable[Peer], only: Iterable[str], database: str) -> list[Peer]:
    """Return those of *peers* that are asked for, or all, as far as they can use the *database*."""
    wanted = set(only)
    return [
        peer
        for peer in peers
        if database in peer.databases
        and (not wanted or peer.name in wanted or (peer.is_colibris and COLIBRIS in wanted))
    ]
