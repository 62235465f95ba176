"""What a store is bound to."""

import pytest

from colibris.taskqueue.base import Context
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.messages import Codec
from colibris.taskqueue.policy import Policy


@pytest.fixture
def context(tmp_path):
    policy = Policy(worker_timeout=5, result_lifetime=100, dead_lifetime=1000, queues=('default', 'mail'))
    codec = Codec(b'secret' * 8, max_size=1024 * 1024)
    return Context(policy, codec, Functions('jobs'), 'shop', tmp_path)
