"""The engine on Redis: the contract."""

import os
import socket

import pytest

from colibris.taskqueue.dramatiq import DramatiqBackend
from colibris.taskqueue.testing import TaskQueueBackendSuite

URL = os.environ.get('COLIBRIS_TEST_REDIS', 'redis://127.0.0.1:6379/0')


def redis_or_skip():
    host, port = URL.split('//')[1].split('/')[0].rsplit(':', 1)
    try:
        socket.create_connection((host.rpartition('@')[2], int(port)), timeout=1).close()
    except OSError:
        if os.environ.get('CI'):
            raise
        pytest.skip(f'no Redis at {host}:{port}')


class TestRedis(TaskQueueBackendSuite):
    @pytest.fixture
    def backend(self):
        redis_or_skip()
        return DramatiqBackend(url=URL)
