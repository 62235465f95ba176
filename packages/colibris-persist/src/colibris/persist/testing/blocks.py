"""Transactions keep what they promise."""

# ruff: noqa: PT012  # a block is rolled back by what is raised in it
from __future__ import annotations

import asyncio

import pytest

from colibris.persist import errors, on_commit, transaction
from colibris.persist.database import Databases, connectivity_check, get_connection
from colibris.persist.testing.base import BackendContract
from colibris.persist.testing.models import ContractShelf, ContractTicket, names


class TransactionContract(BackendContract):
    """Transactions, and what waits for their commit."""

    async def test_commit(self, database: Databases) -> None:
        async with transaction():
            await ContractShelf.create(name='a')
        assert await names() == ['a']

    async def test_rollback(self, database: Databases) -> None:
        with pytest.raises(KeyError):
            async with transaction():
                await ContractShelf.create(name='a')
                raise KeyError
        assert await names() == []

    async def test_nested_rollback_keeps_the_outer_block(self, database: Databases) -> None:
        async with transaction():
            await ContractShelf.create(name='a')
            with pytest.raises(KeyError):
                async with transaction():
                    await ContractShelf.create(name='b')
                    raise KeyError
            async with transaction():
                await ContractShelf.create(name='c')
            assert await names() == ['a', 'c']
        assert await names() == ['a', 'c']

    async def test_nested_block_survives_a_refused_statement(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        async with transaction():
            with pytest.raises(errors.UniqueViolation):
                async with transaction():
                    await ContractShelf.create(name='a')
            await ContractShelf.create(name='b')
        assert await names() == ['a', 'b']

    async def test_outer_rollback_takes_the_nested_block_along(self, database: Databases) -> None:
        with pytest.raises(KeyError):
            async with transaction():
                async with transaction():
                    await ContractShelf.create(name='a')
                raise KeyError
        assert await names() == []

    async def test_captured_client_joins_the_transaction(self, database: Databases) -> None:
        client = get_connection()
        query = ContractShelf.all().using_db(client)
        with pytest.raises(KeyError):
            async with asyncio.timeout(10), transaction():
                await ContractShelf.create(name='a', using_db=client)
                await client.execute_query("INSERT INTO contractshelf (name, flag) VALUES ('b', '0')")
                assert await query.count() == 2
                raise KeyError
        assert await names() == []

    async def test_decorates_functions(self, database: Databases) -> None:
        @transaction()
        async def work(name: str) -> None:
            await ContractShelf.create(name=name)
            if name == 'b':
                raise KeyError

        await work('a')
        with pytest.raises(KeyError):
            await work('b')
        assert await names() == ['a']

    async def test_other_tasks_do_not_join(self, database: Databases) -> None:
        begun, seen = asyncio.Event(), asyncio.Event()

        async def other() -> list[str]:
            await begun.wait()
            if self.concurrent_transactions:
                return await names()
            seen.set()
            return await names()

        task = asyncio.create_task(other())
        async with transaction():
            await ContractShelf.create(name='a')
            begun.set()
            if self.concurrent_transactions:
                assert await asyncio.wait_for(task, 10) == []
            else:
                await seen.wait()
        assert await asyncio.wait_for(task, 10) in ([], ['a'])

    async def test_concurrent_transactions_keep_apart(self, database: Databases) -> None:
        async def work(number: int) -> None:
            async with transaction():
                await ContractShelf.create(name=f'{number:02}', small=number)
                await asyncio.sleep(0)
                await ContractShelf.filter(small=number).update(big=number)
                if number % 3 == 0:
                    raise KeyError(number)

        await asyncio.gather(*(work(number) for number in range(30)), return_exceptions=True)
        assert await names() == [f'{number:02}' for number in range(30) if number % 3]

    async def test_tasks_within_a_block_share_it(self, database: Databases) -> None:
        async def work(name: str) -> None:
            async with transaction():
                await ContractShelf.create(name=name)
                await asyncio.sleep(0.01)
                if name == 'b':
                    raise KeyError

        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(10), transaction():
                await asyncio.gather(*(work(name) for name in 'abc'), return_exceptions=True)
                assert await names() == ['a', 'c']
                raise ZeroDivisionError
        assert await names() == []

    async def test_task_that_outlives_its_block_works_on_its_own(self, database: Databases) -> None:
        ended = asyncio.Event()
        called: list[str] = []

        async def later() -> None:
            await ended.wait()
            await ContractShelf.create(name='later')
            on_commit(lambda: called.append('later'))

        with pytest.raises(KeyError):
            async with transaction():
                task = asyncio.create_task(later())
                await ContractShelf.create(name='gone')
                raise KeyError
        async with transaction():
            ended.set()
            if self.concurrent_transactions:
                await asyncio.wait_for(task, 10)
        await asyncio.wait_for(task, 10)
        assert (await names(), called) == (['later'], ['later'])

    async def test_cancelled_work_is_rolled_back_and_holds_nothing(self, database: Databases) -> None:
        async def work(number: int) -> None:
            async with transaction():
                await ContractShelf.create(name=f'{number}')
                await ContractShelf.filter(name=f'{number}').update(small=1)
                await asyncio.sleep(60)

        for delay in (0, 0.001, 0.003, 0.01, 0.03):
            tasks = [asyncio.create_task(work(number)) for number in range(12)]
            await asyncio.sleep(delay)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(10):
            assert await names() == []
            await asyncio.gather(*(ContractShelf.create(name=f'{number}') for number in range(20)))

    async def test_failing_statements_hold_no_connection(self, database: Databases) -> None:
        async def fail() -> None:
            with pytest.raises(errors.OperationalError):
                await get_connection().execute_query('SELECT nonsense')
            with pytest.raises(errors.OperationalError):
                async with transaction():
                    await get_connection().execute_query('SELECT nonsense')

        async with asyncio.timeout(20):
            await asyncio.gather(*(fail() for _ in range(40)))
            assert await connectivity_check()

    async def test_updates_by_many_tasks_add_up(self, database: Databases) -> None:
        await ContractShelf.create(name='a', big=0)

        async def add() -> None:
            async with transaction():
                shelf = await ContractShelf.filter(name='a').select_for_update().get()
                shelf.big = (shelf.big or 0) + 1
                await shelf.save(update_fields=['big'])

        async with asyncio.timeout(30):
            await asyncio.gather(*(add() for _ in range(25)))
        assert (await ContractShelf.get(name='a')).big == 25

    async def test_deadlock_is_a_conflict_that_may_be_tried_again(self, database: Databases) -> None:
        if not self.concurrent_transactions:
            pytest.skip('transactions wait for one another from the beginning')
        for name in 'ab':
            await ContractShelf.create(name=name, small=0)
        both = asyncio.Barrier(2)

        async def change(first: str, second: str) -> None:
            async with transaction():
                await ContractShelf.filter(name=first).update(small=1)
                await both.wait()
                await ContractShelf.filter(name=second).update(small=1)

        results = await asyncio.gather(change('a', 'b'), change('b', 'a'), return_exceptions=True)
        refused = [result for result in results if result is not None]
        assert len(refused) == 1
        assert isinstance(refused[0], errors.TransactionConflict)
        assert await names() == ['a', 'b']

    async def test_get_or_create_by_many_tasks_makes_one(self, database: Databases) -> None:
        async with asyncio.timeout(30):
            made = await asyncio.gather(*(ContractTicket.get_or_create(code='a') for _ in range(8)))
        assert sum(created for _, created in made) == 1

    async def test_callbacks_run_after_the_outermost_commit(self, database: Databases) -> None:
        called: list[object] = []

        async def look() -> None:
            called.append(await names())

        async with transaction():
            async with transaction():
                await ContractShelf.create(name='a')
                on_commit(lambda: called.append('inner'))
            on_commit(look)
            assert called == []
        assert called == ['inner', ['a']]

    async def test_callbacks_are_dropped_with_their_block(self, database: Databases) -> None:
        called: list[str] = []
        async with transaction():
            on_commit(lambda: called.append('first'))
            with pytest.raises(KeyError):
                async with transaction():
                    on_commit(lambda: called.append('dropped'))
                    raise KeyError
            on_commit(lambda: called.append('second'))
        with pytest.raises(KeyError):
            async with transaction():
                on_commit(lambda: called.append('dropped'))
                raise KeyError
        assert called == ['first', 'second']

    async def test_callback_outside_of_transactions_runs_at_once(self, database: Databases) -> None:
        called: list[str] = []
        on_commit(lambda: called.append('now'))
        assert called == ['now']

    async def test_callback_may_use_the_database(self, database: Databases) -> None:
        async def work() -> None:
            async with transaction():
                await ContractShelf.create(name='by callback')

        async with asyncio.timeout(10), transaction():
            on_commit(work)
        assert await names() == ['by callback']
