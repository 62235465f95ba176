"""Databases come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from colibris.persist import errors, get_database, on_commit, transaction
from colibris.persist.base import DatabaseBackend, LockTimeout
from colibris.persist.database import Databases, connectivity_check, get_connection, opened
from colibris.persist.testing.base import BackendContract
from colibris.persist.testing.models import ContractShelf, names


class LifeContract(BackendContract):
    """Making, dropping, opening, closing, locking, and standing in for tests."""

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
