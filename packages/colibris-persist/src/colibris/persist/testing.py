"""The contract of a database backend, as tests. Subclass it for yours, and let pytest collect it::

    from colibris.persist.testing import DatabaseContract


    class TestMyBackend(DatabaseContract):
        backend_class = MyBackend

        @pytest.fixture
        def options(self):
            return {'name': 'contract', 'host': '127.0.0.1'}

The database of that name is made and dropped by each test: it must not hold anything. pytest-asyncio has to be in auto mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import pytest

from colibris.persist import Model, errors, fields, get_database, on_commit, transaction
from colibris.persist.base import DatabaseBackend, LockTimeout
from colibris.persist.database import Databases, connectivity_check, get_connection, opened

__all__ = ['DatabaseContract']


class ContractShelf(Model):
    """A model with a field of each kind."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20, unique=True)
    text = fields.TextField(null=True)
    big = fields.BigIntField(null=True)
    small = fields.SmallIntField(null=True)
    price = fields.DecimalField(max_digits=12, decimal_places=2, null=True)
    ratio = fields.FloatField(null=True)
    flag = fields.BooleanField(default=False)
    day = fields.DateField(null=True)
    moment = fields.DatetimeField(null=True)
    lasting = fields.TimeDeltaField(null=True)
    data: Any = fields.JSONField(null=True)
    blob = fields.BinaryField(null=True)
    key = fields.UUIDField(null=True)


class ContractBook(Model):
    """A model that refers to another one, and has a combination that is unique."""

    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=20)
    shelf: fields.ForeignKeyRelation[ContractShelf] = fields.ForeignKeyField(
        'models.ContractShelf', related_name='books', on_delete=fields.NO_ACTION
    )

    class Meta:
        unique_together = (('title', 'shelf'),)


class ContractTicket(Model):
    """A model whose key is text."""

    code = fields.CharField(max_length=10, primary_key=True)


async def names() -> list[str]:
    """Return the names that are stored."""
    return [shelf.name for shelf in await ContractShelf.all().order_by('name')]


class DatabaseContract:
    """What every backend must do. The fixture *options* gives the constructor's arguments."""

    backend_class: ClassVar[type[DatabaseBackend]]
    #: Whether opening makes a database that is missing, as a file is made.
    opening_creates: ClassVar[bool] = False
    #: Whether the database refuses what does not fit a column.
    strict_values: ClassVar[bool] = True
    #: Whether it tells the column of a foreign key that leads nowhere.
    names_references: ClassVar[bool] = True
    #: Whether several transactions run side by side.
    concurrent_transactions: ClassVar[bool] = True

    @pytest.fixture
    def options(self) -> Mapping[str, object]:
        raise NotImplementedError('define a fixture named options that returns the arguments of the backend')

    @pytest.fixture
    async def backend(self, options: Mapping[str, Any]) -> AsyncIterator[DatabaseBackend]:
        """A backend whose database is not there."""
        backend = self.backend_class(**options)
        await backend.drop()
        yield backend
        await self.backend_class(**options).drop()

    @pytest.fixture
    async def database(self, backend: DatabaseBackend) -> AsyncIterator[Databases]:
        """The database, open, with the tables of the models above."""
        await backend.create()
        async with opened({'default': backend}, [__name__]) as databases:
            await databases.create_tables()
            yield databases

    # Making and dropping

    async def test_creates_and_drops(self, backend: DatabaseBackend) -> None:
        assert await backend.exists() is False
        await backend.create()
        assert await backend.exists() is True
        await backend.drop()
        assert await backend.exists() is False

    async def test_dropping_what_is_not_there_does_nothing(self, backend: DatabaseBackend) -> None:
        await backend.drop()

    async def test_opening_a_missing_database(self, backend: DatabaseBackend) -> None:
        if self.opening_creates:
            async with opened({'default': backend}):
                assert await connectivity_check()
            return
        with pytest.raises(errors.MissingDatabase) as caught:
            async with opened({'default': backend}):
                pass
        assert backend.name in str(caught.value)

    async def test_is_healthy_until_it_is_dropped(self, database: Databases) -> None:
        assert await connectivity_check() is True
        await get_database().drop()
        assert await connectivity_check() is False
        assert await get_database().exists() is False
        await get_database().create()
        assert await connectivity_check() is True

    async def test_is_usable_again_after_closing(self, database: Databases, backend: DatabaseBackend) -> None:
        await ContractShelf.create(name='kept')
        await backend.close()
        assert backend.client is get_connection()
        if not getattr(backend, 'in_memory', False):
            assert await names() == ['kept']

    def test_description_holds_no_password(self, options: Mapping[str, Any]) -> None:
        backend = self.backend_class(**options)
        password = options.get('password')
        assert backend.name in backend.describe() or backend.dialect == 'sqlite'
        if password:
            assert str(password) not in backend.describe()
            assert str(password) not in repr(backend)

    def test_tests_get_a_database_of_another_name(self, options: Mapping[str, Any]) -> None:
        backend = self.backend_class(**options)
        names = {backend.test_name(backend.name), backend.test_name(backend.name, '_gw0')}
        if not getattr(backend, 'in_memory', False):
            assert len(names | {backend.name}) == 3
        for name in names:
            assert 'test_' in name or name == backend.name

    # Values

    async def test_values_come_back_as_they_were(self, database: Databases) -> None:
        values: dict[str, Any] = {
            'name': 'é\'"\\%s €',
            'text': 'snow ☃ and 🎉\nnew line',
            'big': 2**62,
            'small': -32768,
            'price': Decimal('1234567890.12'),
            'ratio': 0.1,
            'flag': True,
            'day': date(2024, 2, 29),
            'moment': datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC),
            'lasting': timedelta(days=1, seconds=2, microseconds=3),
            'data': {'a': [1, 2.5, None, True], 'b': 'ü'},
            'blob': bytes(range(256)),
            'key': UUID('12345678-1234-5678-1234-567812345678'),
        }
        await ContractShelf.create(**values)
        found = await ContractShelf.get(name=values['name'])
        assert {name: getattr(found, name) for name in values} == values

    async def test_nulls_come_back(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        found = await ContractShelf.get(name='a')
        assert (found.text, found.price, found.moment, found.data, found.key) == (None, None, None, None, None)

    async def test_points_in_time_are_stored_in_utc(self, database: Databases) -> None:
        east = timezone(timedelta(hours=5, minutes=30))
        moment = datetime(2024, 1, 1, 3, 0, tzinfo=east)
        await ContractShelf.create(name='created', moment=moment)
        await ContractShelf.bulk_create([ContractShelf(name='bulk', moment=moment)])
        await ContractShelf.create(name='updated')
        await ContractShelf.filter(name='updated').update(moment=moment)
        found = await ContractShelf.all().values_list('moment', flat=True)
        assert found == [datetime(2023, 12, 31, 21, 30, tzinfo=UTC)] * 3

    async def test_points_in_time_are_compared_in_utc(self, database: Databases) -> None:
        await ContractShelf.create(name='a', moment=datetime(2024, 1, 1, 12, 0, tzinfo=UTC))
        west = timezone(timedelta(hours=-8))
        assert await ContractShelf.filter(moment__gt=datetime(2024, 1, 1, 3, 59, tzinfo=west)).count() == 1
        assert await ContractShelf.filter(moment__lt=datetime(2024, 1, 1, 4, 1, tzinfo=west)).count() == 1
        assert await ContractShelf.filter(moment=datetime(2024, 1, 1, 4, 0, tzinfo=west)).count() == 1

    async def test_an_update_counts_the_rows_that_it_finds(self, database: Databases) -> None:
        await ContractShelf.create(name='a', small=1)
        assert await ContractShelf.filter(name='a').update(small=1) == 1
        assert await ContractShelf.filter(name='b').update(small=1) == 0

    # What is refused

    async def test_unique_value(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        with pytest.raises(errors.UniqueViolation) as caught:
            await ContractShelf.create(name='a')
        assert errors.unique_fields(caught.value, ContractShelf) == ('name',)
        assert errors.kind(caught.value) is errors.Kind.UNIQUE
        answer = errors.translate(caught.value, ContractShelf)
        assert answer is not None
        assert (answer.status, answer.code, answer.details) == (409, 'duplicate', {'name': ['this value is taken']})

    async def test_unique_combination(self, database: Databases) -> None:
        shelf = await ContractShelf.create(name='a')
        await ContractBook.create(title='x', shelf=shelf)
        with pytest.raises(errors.UniqueViolation) as caught:
            await ContractBook.create(title='x', shelf=shelf)
        assert errors.unique_fields(caught.value, ContractBook) == ('title', 'shelf_id')

    @pytest.mark.parametrize('model', [ContractShelf, ContractTicket])
    async def test_unique_key(self, database: Databases, model: type[Model]) -> None:
        values: dict[str, Any] = {'id': 7, 'name': 'a'} if model is ContractShelf else {'code': 'a'}
        await model.create(**values)
        with pytest.raises(errors.UniqueViolation) as caught:
            await model.create(**{**values, 'name': 'b'} if model is ContractShelf else values)
        assert errors.unique_fields(caught.value, model) == (model._meta.pk_attr,)

    async def test_bulk_create_refuses_duplicates(self, database: Databases) -> None:
        with pytest.raises(errors.UniqueViolation):
            await ContractShelf.bulk_create([ContractShelf(name='a'), ContractShelf(name='a')])
        assert await names() == []

    async def test_reference_to_what_does_not_exist(self, database: Databases) -> None:
        with pytest.raises(errors.MissingReference) as caught:
            await ContractBook.create(title='x', shelf_id=12345)
        answer = errors.translate(caught.value, ContractBook)
        assert answer is not None
        assert answer.status == 400
        if self.names_references:
            assert errors.fields_of(caught.value, ContractBook) == ('shelf_id',)

    async def test_deleting_what_is_referenced(self, database: Databases) -> None:
        shelf = await ContractShelf.create(name='a')
        await ContractBook.create(title='x', shelf=shelf)
        with pytest.raises(errors.StillReferenced) as caught:
            await shelf.delete()
        answer = errors.translate(caught.value)
        assert answer is not None
        assert (answer.status, answer.code) == (409, 'referenced')

    async def test_null_where_there_must_be_a_value(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        with pytest.raises(errors.NotNullViolation) as caught:
            await get_connection().execute_query('UPDATE contractshelf SET name = NULL')
        assert errors.fields_of(caught.value, ContractShelf) == ('name',)

    async def test_value_out_of_range(self, database: Databases) -> None:
        await ContractShelf.create(name='a')
        with pytest.raises(errors.InvalidValue) as caught:
            await ContractShelf.filter(name='a').update(big=10**30)
        answer = errors.translate(caught.value)
        assert answer is not None
        assert answer.status == 400

    async def test_value_that_is_too_long(self, database: Databases) -> None:
        if not self.strict_values:
            pytest.skip('the database takes any length')
        await ContractShelf.create(name='a')
        with pytest.raises(errors.InvalidValue):
            await get_connection().execute_query(f"UPDATE contractshelf SET name = '{'x' * 21}'")

    async def test_text_that_is_not_unicode(self, database: Databases) -> None:
        with pytest.raises(errors.InvalidValue):
            await ContractShelf.create(name='\ud800')

    async def test_bad_sql_is_an_operational_error(self, database: Databases) -> None:
        with pytest.raises(errors.OperationalError) as caught:
            await get_connection().execute_query('SELECT * FROM no_such_table')
        assert errors.translate(caught.value) is None

    # Transactions

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

    async def test_get_or_create_by_many_tasks_makes_one(self, database: Databases) -> None:
        async with asyncio.timeout(30):
            made = await asyncio.gather(*(ContractTicket.get_or_create(code='a') for _ in range(8)))
        assert sum(created for _, created in made) == 1

    # What waits for a commit

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

    # The lock

    async def test_lock_keeps_others_out(self, database: Databases, backend: DatabaseBackend) -> None:
        async with backend.lock(timeout=5):
            with pytest.raises(LockTimeout):
                async with backend.lock(timeout=0.3):
                    pass
            await ContractShelf.create(name='a')  # work goes on
            async with transaction():
                await ContractShelf.create(name='b')
        async with backend.lock(timeout=0.3):
            pass

    async def test_lock_is_freed_by_an_error(self, database: Databases, backend: DatabaseBackend) -> None:
        with pytest.raises(KeyError):
            async with backend.lock(timeout=5):
                raise KeyError
        async with backend.lock(timeout=0.3):
            pass

    async def test_lock_is_handed_on(self, database: Databases, backend: DatabaseBackend) -> None:
        order: list[str] = []

        async def second() -> None:
            async with backend.lock(timeout=10):
                order.append('second')

        async with backend.lock(timeout=5):
            task = asyncio.create_task(second())
            await asyncio.sleep(0.2)
            order.append('first')
        await task
        assert order == ['first', 'second']

    # Tests of a project

    async def test_everything_is_rolled_back_after_a_test(self, database: Databases, backend: DatabaseBackend) -> None:
        await ContractShelf.create(name='before')
        called: list[str] = []

        async def request(name: str) -> None:
            async with transaction():
                await ContractShelf.create(name=name)
                on_commit(lambda: called.append(name))

        async with backend.client.wrapped():
            await asyncio.gather(*(asyncio.create_task(request(name)) for name in 'abc'))
            await ContractShelf.create(name='d')
            assert await names() == ['a', 'b', 'before', 'c', 'd']
            assert sorted(called) == ['a', 'b', 'c']
        assert await names() == ['before']

    async def test_refused_statement_does_not_spoil_a_test(self, database: Databases, backend: DatabaseBackend) -> None:
        async with backend.client.wrapped():
            await ContractShelf.create(name='a')
            with pytest.raises(errors.UniqueViolation):
                await ContractShelf.create(name='a')
            with pytest.raises(errors.UniqueViolation):
                async with transaction():
                    await ContractShelf.create(name='a')
            await ContractShelf.create(name='b')
            assert await names() == ['a', 'b']
        assert await names() == []

    async def test_test_may_drop_its_database(self, database: Databases, backend: DatabaseBackend) -> None:
        async with backend.client.wrapped():
            await ContractShelf.create(name='a')
            await get_database().drop()
            assert await connectivity_check() is False
        assert await backend.exists() is False
