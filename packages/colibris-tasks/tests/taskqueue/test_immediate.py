"""The engine that runs tasks at once."""

import pytest

from colibris.taskqueue.immediate import ImmediateBackend
from colibris.taskqueue.testing import TaskQueueBackendSuite


class TestImmediate(TaskQueueBackendSuite):
    @pytest.fixture
    def backend(self):
        return ImmediateBackend()
