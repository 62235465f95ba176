"""Tests can count the statements that a piece of code costs."""

from collections.abc import AsyncIterator

import pytest

from colibris.persist import get_connection, transaction
from colibris.persist.database import opened
from colibris.persist.sqlite import SQLiteBackend
from colibris.persist.testing.models import ContractShelf
from colibris.test.utils import assert_queries


@pytest.fixture
async def shelves() -> AsyncIterator[None]:
    async with opened({'default': SQLiteBackend(name=':memory:')}, ['colibris.persist.testing.models']) as databases:
        await databases.create_tables()
        yield


async def test_statements_are_counted(shelves: None) -> None:
    with assert_queries(3) as queries:
        await ContractShelf.create(name='a')
        await ContractShelf.all()
        await get_connection().execute_query('SELECT 1')
    assert queries.statements[2] == 'SELECT 1'
    async with assert_queries(0):
        pass


async def test_another_number_is_a_failure_that_lists_them(shelves: None) -> None:
    with pytest.raises(AssertionError, match=r'1 statements were sent, expected 2:\n1\. SELECT .*"contract_?shelf"'):
        async with assert_queries(2):
            await ContractShelf.all()


async def test_what_transactions_send_is_counted_but_not_their_ends(shelves: None) -> None:
    async with assert_queries(1):
        async with transaction():
            await ContractShelf.create(name='a')
    async with transaction(), assert_queries(1):
        await ContractShelf.create(name='b')


async def test_an_error_in_the_block_is_let_through(shelves: None) -> None:
    with pytest.raises(ZeroDivisionError):
        async with assert_queries(5):
            raise ZeroDivisionError


async def test_blocks_within_blocks_count_for_themselves(shelves: None) -> None:
    async with assert_queries(2):
        await ContractShelf.all()
        async with assert_queries(1):
            await ContractShelf.all()
