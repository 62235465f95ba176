"""Background tasks as a subsystem: settings, secrets, errors of requests, tests."""

import subprocess
import sys

import pytest

from colibris import plugins, taskqueue
from colibris.api import ServiceUnavailable
from colibris.conf import ImproperlyConfigured, settings
from colibris.subsystems import NotConfigured
from colibris.taskqueue import testing
from colibris.taskqueue.immediate import ImmediateBackend
from colibris.taskqueue.subsystem import TaskQueueSubsystem, subsystem

SECRET = 'a secret key of more than 32 bytes'


@pytest.fixture
def configured():
    """Configure a subsystem with TASK_QUEUE and other settings."""

    def configured(value, **others):
        with settings.override(TASK_QUEUE=value, **{'SECRET_KEY': SECRET, **others}):
            return TaskQueueSubsystem().configure()

    return configured


async def test_without_a_setting_it_is_not_configured():
    with settings.override(), pytest.raises(NotConfigured, match=r'set TASK_QUEUE .* colibris-tasks'):
        await taskqueue.execute(testing.add, 1)


@pytest.mark.parametrize('alias', ['dramatiq', 'embedded', 'immediate', 'rq', 'colibris.taskqueue.rq.RQBackend'])
def test_engines_are_chosen_by_alias_or_path(configured, alias):
    assert configured({'backend': alias}).context.policy.queues == ('default',)


def test_shared_options_are_not_the_engines(configured):
    backend = configured({'backend': 'dramatiq', 'retries': 7, 'timeout': 2.0, 'modules': ['jobs']})
    assert backend.context.policy.retries == 7


def test_a_wrong_option_names_the_setting(configured):
    with pytest.raises(ImproperlyConfigured, match='TASK_QUEUE: retries must be an integer'):
        configured({'backend': 'embedded', 'retries': 'many'})


def test_an_unknown_option_is_refused(configured):
    with pytest.raises(plugins.InvalidOption, match='hots'):
        configured({'backend': 'dramatiq', 'hots': 'x'})


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'broker': 'kafka'}, "broker must be 'redis' or 'rabbitmq'"),
        ({'broker': 'rabbitmq'}, 'RabbitMQ keeps no results: give store'),
        ({'broker': 'rabbitmq', 'store': 'database', 'db': 1}, 'db is for Redis'),
        ({'store': 'database'}, 'store is for RabbitMQ'),
        ({'url': 'redis://h', 'host': 'h'}, 'do not give host beside it'),
        ({'url': 'http://h'}, 'url is not one of a Redis server'),
        ({'port': 'x'}, 'port must be an integer'),
        ({'timeout': 0}, 'timeout must be a positive number'),
        ({'ca_file': 'x'}, 'ca_file is for TLS'),
        ({'url': 'redis://:p@h', 'password': 'p'}, 'password is given twice'),
        ({'url': 'redis://h?socket_timeout=1'}, 'url must not say socket_timeout: the option timeout'),
        ({'url': 'redis://h?decode_responses=true'}, 'url must not say decode_responses'),
        ({'url': 'redis://h?fleas=1'}, 'a parameter that Redis does not know: .*fleas'),
    ],
)
def test_wrong_options_of_dramatiq_are_refused(configured, options, reason):
    with pytest.raises(plugins.InvalidOption, match=reason):
        configured({'backend': 'dramatiq', **options})


@pytest.mark.parametrize(('secret', 'reason'), [(None, 'is not set'), ('short', 'has 5 bytes, fewer than 32')])
def test_workers_need_a_secret(configured, secret, reason):
    with pytest.raises(ImproperlyConfigured, match=reason):
        configured({'backend': 'embedded'}, SECRET_KEY=secret)


def test_in_debug_a_short_secret_is_warned_about(configured, caplog):
    configured({'backend': 'embedded'}, SECRET_KEY='short', DEBUG=True)
    assert 'fewer than 32' in caplog.text


def test_without_workers_no_secret_is_needed(configured):
    configured({'backend': 'immediate'}, SECRET_KEY=None)


def test_the_outbox_needs_a_database(configured):
    with pytest.raises(ImproperlyConfigured, match="'outbox' needs a database"):
        configured({'backend': 'embedded', 'outbox': True}, DATABASE=None)


def test_an_unreachable_queue_is_answered_503():
    assert isinstance(subsystem.translate(taskqueue.TaskQueueUnavailable('gone')), ServiceUnavailable)
    assert subsystem.translate(taskqueue.UnknownTask('x')) is None


async def test_in_tests_tasks_run_at_once_whatever_the_setting_says():
    value = {'backend': 'dramatiq', 'host': 'nowhere.invalid', 'modules': ['colibris.taskqueue.testing']}
    testing.notes.clear()
    with settings.override(TASK_QUEUE=value, SECRET_KEY=SECRET):
        async with subsystem.test_session():
            async with subsystem.test_case():
                assert isinstance(subsystem.backend, ImmediateBackend)
                assert await taskqueue.execute(testing.add, 1, 2) == 3
                assert len(subsystem.backend.sent) == 1
            async with subsystem.test_case():
                assert len(subsystem.backend.sent) == 0


async def test_tests_tell_what_is_wrong_with_the_setting():
    with settings.override(TASK_QUEUE={'backend': 'dramatiq', 'hots': 'x'}, SECRET_KEY=SECRET):
        with pytest.raises(plugins.InvalidOption, match='hots'):
            async with subsystem.test_session():
                pass


def test_a_service_without_tasks_does_not_load_what_runs_them():
    source = 'import sys, colibris.taskqueue.commands; sys.exit("dramatiq" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', source], check=False, timeout=60).returncode == 0


def test_an_engine_without_a_relay_refuses_the_outbox(configured):
    with pytest.raises(ImproperlyConfigured, match="'outbox' is not supported by RQBackend"):
        configured({'backend': 'rq', 'outbox': True})
