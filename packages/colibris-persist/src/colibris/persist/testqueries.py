"""How many statements a piece of code costs, for tests."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from colibris.persist import database
from colibris.persist.connections import Client, Transaction, resolve

__all__ = ['assert_queries']

_SHOWN = 500


class assert_queries:  # reads as a statement: with assert_queries(3):
    """Assert that a block, of ``with`` or ``async with``, sends *count* statements to the databases.

    Those of the ORM and of views count, as do those by hand; what begins and ends transactions does not. The block's
    `statements` are there to be looked at; the AssertionError lists them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.statements: list[str] = []
        self._replaced: list[tuple[Client | Transaction, Any]] = []

    def __enter__(self) -> assert_queries:
        databases = database.current()
        if databases is None:
            raise database.not_open(database.DEFAULT)
        self.statements.clear()
        for backend in databases.backends.values():
            for client in _users(backend.client):
                self._replaced.append((client, client.log))
                noting: Any = _Noting(client.log, self.statements)
                client.log = noting
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        for client, log in self._replaced:
            client.log = log
        self._replaced.clear()
        if exc is None and len(self.statements) != self.count:
            listed = ''.join(
                f'\n{number}. {text[:_SHOWN]}{"…" if len(text) > _SHOWN else ""}'
                for number, text in enumerate(self.statements, 1)
            )
            raise AssertionError(f'{len(self.statements)} statements were sent, expected {self.count}:{listed}')

    async def __aenter__(self) -> assert_queries:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self.__exit__(exc_type, exc, traceback)


def _users(client: Client) -> list[Client | Transaction]:
    """Return the client, and the transactions that are open for the running task and for a test."""
    found: list[Client | Transaction] = [client]
    block: Client | Transaction | None = resolve(client)
    while isinstance(block, Transaction):
        found.append(block)
        block = block.parent
    if client.wrapping is not None:
        found.append(client.wrapping)
    return list({id(each): each for each in found}.values())


class _Noting:
    """A logger to whom clients tell each statement before they send it."""

    def __init__(self, log: Any, statements: list[str]) -> None:
        self._log = log
        self._statements = statements

    def debug(self, message: str, *args: Any) -> None:
        self._statements.append(str(args[0] if args else message))
        self._log.debug(message, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)
