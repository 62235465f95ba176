"""The fixtures of the contract suite, and what may differ between backends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

import pytest

from colibris.persist.base import DatabaseBackend
from colibris.persist.database import Databases, opened


class BackendContract:
    """What the parts of the contract have in common."""

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
        async with opened({'default': backend}, ['colibris.persist.testing.models']) as databases:
            await databases.create_tables()
            yield databases
