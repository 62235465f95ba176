"""A cache that is configured and open."""

import pytest

from colibris import subsystems
from colibris.cache.subsystem import subsystem
from colibris.conf import settings


@pytest.fixture
async def opened():
    """Open the cache of the process, in memory, as the application does."""
    with settings.override(CACHE={'backend': 'locmem'}):
        await subsystem.open()
        with subsystems.adopt([subsystem]):
            yield
        await subsystem.close()
