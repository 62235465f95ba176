"""The embedded engine: the contract."""

import pytest

from colibris.taskqueue.embedded import EmbeddedBackend
from colibris.taskqueue.testing import TaskQueueBackendSuite


class TestEmbedded(TaskQueueBackendSuite):
    @pytest.fixture
    def backend(self, path):
        return EmbeddedBackend(path=str(path))
