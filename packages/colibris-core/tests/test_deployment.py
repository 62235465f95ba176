"""What ``check --deploy`` finds in settings."""

import pytest

from colibris import deployment
from colibris.checks import Level
from colibris.conf import settings

GOOD_KEY = 'k4Jq-9sXw_Zt7Lm2Rb8Vn5Hc1Gf3Dp6Ya0Ue'


def found(name, **values):
    """Return what the check *name* finds under these settings: level and message of each problem."""
    with settings.override(**values):
        problems = list(deployment.CHECKS[name]())
    assert all(problem.hint for problem in problems)
    return [(problem.level, problem.message) for problem in problems]


def levels(name, **values):
    return [level for level, _ in found(name, **values)]


def test_debug():
    assert levels('debugging', DEBUG=True) == [Level.ERROR]
    assert levels('debugging', DEBUG=False) == []


@pytest.mark.parametrize('key', ['secret', 'changeme', 'a' * 60, 'short-Key_1234567', 'ab' * 30])
def test_a_weak_secret_key_is_named_but_not_shown(key):
    ((level, message),) = found('secret key', SECRET_KEY=key)
    assert level is Level.ERROR
    assert key not in message


def test_a_good_secret_key():
    assert found('secret key', SECRET_KEY=GOOD_KEY) == []


def test_no_secret_key():
    assert levels('secret key', SECRET_KEY=None) == [Level.WARNING]


@pytest.mark.parametrize(
    ('values', 'path'),
    [
        ({'DATABASE': {'backend': 'x', 'password': 'postgres'}}, "DATABASE['password']"),
        ({'DATABASE': 'postgresql://shop:Changeme@db/shop'}, 'DATABASE'),
        ({'DATABASE': {'backend': 'x', 'databases': {'a': 'mysql://a:root@b/c'}}}, "DATABASE['databases']['a']"),
        ({'CACHE': {'backend': 'x', 'username': 'shop', 'password': 'shop'}}, "CACHE['password']"),
        ({'TASK_QUEUE': {'backend': 'x', 'url': 'amqp://guest:guest@mq'}}, "TASK_QUEUE['url']"),
        ({'PARTNERS': [{'api_key': 'test'}]}, "PARTNERS[0]['api_key']"),
    ],
)
def test_a_password_that_everybody_knows(values, path):
    ((level, message),) = found('passwords', **values)
    assert level is Level.ERROR
    assert message.startswith(f'{path} is ')


def test_passwords_that_are_none_or_good():
    assert found('passwords', DATABASE={'backend': 'x', 'password': GOOD_KEY, 'name': 'test'}) == []
    assert found('passwords', AUTHENTICATION={'backend': 'jwt', 'secret_field': 'password'}) == []
    assert found('passwords', DATABASE='sqlite:///shop.db', CACHE={'backend': 'x', 'url': 'redis://[bad'}) == []


@pytest.mark.parametrize(('listen', 'expected'), [('0.0.0.0', 1), (['127.0.0.1', '::'], 1), ('127.0.0.1', 0)])
def test_listening_everywhere(monkeypatch, listen, expected):
    monkeypatch.setattr(deployment, '_in_container', lambda: False)
    assert levels('network', LISTEN=listen) == [Level.WARNING] * expected
    monkeypatch.setattr(deployment, '_in_container', lambda: True)
    assert levels('network', LISTEN=listen) == []


def test_no_accounts():
    assert levels('accounts', DEBUG=False) == [Level.WARNING]
    assert levels('accounts', AUTHENTICATION={'backend': 'x'}) == []


def test_health():
    assert levels('health', HEALTH={'details': True}) == [Level.WARNING]
    assert levels('health', HEALTH={'token': 'short'}) == [Level.ERROR]
    assert levels('health', HEALTH={'details': ['10.0.0.0/8'], 'token': GOOD_KEY}) == []


def test_origins():
    assert levels('cross-origin requests', CORS={'origins': ['*']}) == [Level.WARNING]
    assert levels('cross-origin requests', CORS={'origins': ['*'], 'credentials': True}) == [Level.ERROR]
    assert levels('cross-origin requests', CORS={'origins': ['https://example.com'], 'credentials': True}) == []


def test_metrics():
    assert levels('metrics', METRICS=None) == []
    assert levels('metrics', METRICS={'port': 9100}) == []
    everywhere = {'port': 9100, 'host': '0.0.0.0'}
    assert levels('metrics', METRICS=everywhere) == ([] if deployment._in_container() else [Level.WARNING])
    assert levels('metrics', METRICS={**everywhere, 'token': GOOD_KEY}) == []
    assert levels('metrics', METRICS={'path': '/metrics', 'public': True}) == [Level.WARNING]
    assert levels('metrics', METRICS={'path': '/metrics', 'token': 'short'}) == [Level.ERROR]
    assert levels('metrics', METRICS={'path': '/metrics', 'token': GOOD_KEY}) == []


def test_proxies():
    assert levels('proxies', TRUSTED_PROXIES=['10.0.0.0/8', '::1']) == []
    assert levels('proxies', TRUSTED_PROXIES=['0.0.0.0/0']) == [Level.ERROR]
    assert levels('proxies', TRUSTED_PROXIES=['10.0.0.1', '::/0']) == [Level.ERROR]


def test_hosts():
    assert levels('hosts', ALLOWED_HOSTS=['*']) == [Level.WARNING]
    assert levels('hosts', ALLOWED_HOSTS=['api.example.com']) == []


@pytest.mark.parametrize(
    ('host', 'expected'),
    [
        ('localhost', []),
        ('127.0.0.1', []),
        ('::1', []),
        ('/var/run/postgresql', []),
        ('10.1.2.3', [Level.WARNING]),
        ('database', [Level.WARNING]),
        ('db.example.com', [Level.ERROR]),
        ('8.8.8.8', [Level.ERROR]),
    ],
)
def test_an_open_line_is_worse_the_farther_it_goes(host, expected):
    assert [problem.level for problem in deployment.unencrypted('DATABASE', host, 'do')] == expected
