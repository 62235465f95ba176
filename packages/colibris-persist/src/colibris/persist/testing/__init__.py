"""The contract of a database backend, as tests. Subclass it for yours, and let pytest collect it::

    from colibris.persist.testing import DatabaseContract


    class TestMyBackend(DatabaseContract):
        backend_class = MyBackend

        @pytest.fixture
        def options(self):
            return {'name': 'contract', 'host': '127.0.0.1'}

The database of that name is made and dropped by each test: it must not hold anything. pytest-asyncio has to be in auto
mode.
"""

from colibris.persist.testing.blocks import TransactionContract
from colibris.persist.testing.life import LifeContract
from colibris.persist.testing.values import ValuesContract

__all__ = ['DatabaseContract']


class DatabaseContract(LifeContract, ValuesContract, TransactionContract):
    """What every backend must do. The fixture *options* gives the constructor's arguments."""
