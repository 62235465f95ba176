"""Secrets are hidden wherever they stand in a value."""

import time
from dataclasses import dataclass

import pytest

from colibris.conf import settings
from colibris.conf.masking import MASK, is_secret, mask


@pytest.mark.parametrize(
    'name',
    [
        'password',
        'PASSWORD',
        'dbPassword',
        'db_passwd',
        'SECRET_KEY',
        'API_KEY',
        'apiKey',
        'apikey',
        'access_token',
        'TOKENS',
        'client-secret',
        'credentials',
        'private_key',
        'key',
        'SENTRY_DSN',
        'passphrase',
        'pwd',
    ],
)
def test_names_of_secrets(name):
    assert is_secret(name)
    assert mask('hush', name) == MASK
    assert mask({name: ['hush']}) == {name: MASK}


@pytest.mark.parametrize(
    'name',
    ['host', 'key_field', 'secret_field', 'identity_claim', 'cookie_name', 'keyboard', 'monkey', 'key_prefix', ''],
)
def test_other_names(name):
    assert not is_secret(name)
    assert mask({name: 'seen'}) == {name: 'seen'}


@pytest.mark.parametrize(
    'value',
    [
        'postgresql://user:hush@host/db',
        'redis://:hush@host:6379/0',
        'postgresql://user:hu@sh@host/db',
        'host=h password=hush',
        'https://host/path?token=hush&x=1',
        "{'api_key': 'hush'}",
        ['a', ('redis://:hush@host',)],
        {'a': {'b': [{'password': 'hush'}]}},
        {'redis://:hush@host': 1},
        {'url': 'amqp://u:hush@h1,amqp://u:hush@h2'},
    ],
    ids=str,
)
def test_secrets_are_hidden_at_any_depth(value):
    shown = repr(mask(value))
    assert 'hush' not in shown
    assert 'sh@' not in shown
    assert MASK in shown


def test_a_secret_in_an_object_is_hidden():
    @dataclass
    class Account:
        password: str

    assert 'hush' not in repr(mask([Account('hush')]))


@pytest.mark.parametrize(
    'value', [None, True, 0, 1.5, '', 'text', 'http://host:80/x', [1], (1,), {'a': {1, 2}}, print], ids=repr
)
def test_what_is_no_secret_stays_as_it_is(value):
    assert mask(value) == value
    assert type(mask(value)) is type(value)


def test_an_empty_secret_is_shown_to_be_empty():
    assert mask({'password': '', 'token': None}) == {'password': '', 'token': None}


def test_a_measure_of_a_secret_is_no_secret():
    assert mask({'token_lifetime': 60, 'password_length': 8}) == {'token_lifetime': 60, 'password_length': 8}
    assert mask({'token_lifetime': 'hush', 'pin_token': 1234}) == {'token_lifetime': MASK, 'pin_token': MASK}


def test_the_value_itself_is_not_changed():
    value = {'password': 'hush'}
    mask(value)
    assert value == {'password': 'hush'}


def test_the_listing_of_the_settings_hides_them(load):
    load("SECRET_KEY = 'hush'\nDATABASE = 'mysql://me:hush@h/n'\nSTRIPE_TOKEN = 'hush'\nPEER = {'password': 'hush'}")
    listed = {name: value for name, value, _ in settings.items()}
    assert 'hush' not in repr(listed)
    assert listed['DATABASE'] == f'mysql://me:{MASK}@h/n'
    assert settings.masked('SECRET_KEY') == MASK
    assert settings.SECRET_KEY == 'hush'


@pytest.mark.parametrize(
    'part', ['a', 'a-', '://a:', '://a:@', 'password', 'password ', 'eyJ-', 'eyJ.', 'Basic ', 'cookie', 'token: "', "'"]
)
def test_no_text_takes_long_whoever_made_it(part):
    text = part * (200_000 // len(part))
    began = time.thread_time()
    mask(text)
    mask(f'password {text}')
    assert time.thread_time() - began < 1
