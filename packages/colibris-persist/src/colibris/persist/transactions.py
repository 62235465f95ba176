"""Transactions, and what waits for their commit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tortoise.backends.base.client import TransactionalDBClient

from colibris.persist.database import get_connection
from colibris.transactions import on_commit

__all__ = ['on_commit', 'transaction']


@asynccontextmanager
async def transaction(name: str = 'default') -> AsyncIterator[TransactionalDBClient]:
    """Run a block, or a function that this decorates, in one transaction of the database *name*.

    What is raised in the block rolls it back; else it is committed at the end, and the callbacks of `on_commit` run.
    Within another transaction of the same task it is a savepoint: rolled back by itself, committed with the outermost
    block. Other tasks see nothing of it before the commit, unless they were started within the block.
    """
    async with get_connection(name)._in_transaction() as client:
        yield client
