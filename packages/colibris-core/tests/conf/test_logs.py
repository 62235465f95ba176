"""Logging, as the settings say."""

import logging

import pytest

from colibris import conf
from colibris.conf import ImproperlyConfigured, settings
from colibris.conf.logs import merge


@pytest.fixture(autouse=True)
def loggers():
    """Leave the loggers as they were."""
    root, ours = logging.getLogger(), logging.getLogger('colibris')
    before = root.handlers[:], root.level, ours.level, ours.propagate
    everyone = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    disabled = [logger.disabled for logger in everyone]
    yield
    for logger, state in zip(everyone, disabled, strict=True):
        logger.disabled = state
    root.handlers[:], (root.level, ours.level, ours.propagate) = before[0], before[1:]
    logging.getLogger('noisy').setLevel(logging.NOTSET)


def test_dictionaries_are_merged_at_any_depth_and_lists_replaced():
    base = {'a': {'b': {'c': 1, 'd': 2}}, 'list': [1, 2], 'kept': True}
    assert merge(base, {'a': {'b': {'d': 3, 'e': 4}}, 'list': [3]}) == {
        'a': {'b': {'c': 1, 'd': 3, 'e': 4}},
        'list': [3],
        'kept': True,
    }
    assert base['a'] == {'b': {'c': 1, 'd': 2}}


def test_the_default_writes_from_info_on_to_standard_error(load, capsys):
    load()
    conf.configure_logging()
    logging.getLogger('anything').info('seen')
    logging.getLogger('anything').debug('unseen')
    logging.getLogger('colibris').debug('unseen')
    out, err = capsys.readouterr()
    assert out == ''
    assert ('"level":"INFO","logger":"anything","message":"seen"}' in err, 'unseen' in err) == (True, False)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ('', 'json'),
        ('DEBUG = True', 'text'),
        ("LOG_FORMAT = 'text'", 'text'),
        ("DEBUG = True; LOG_FORMAT = 'json'", 'json'),
    ],
)
def test_lines_are_text_in_debug_and_json_otherwise(load, capsys, given, expected):
    load(given)
    conf.configure_logging()
    logging.getLogger('anything').warning('seen')
    err = capsys.readouterr().err
    assert ('{"time":' in err, 'WARNING  anything: seen' in err) == (expected == 'json', expected == 'text')


def test_debug_shows_what_colibris_does(load, capsys):
    load('DEBUG = True')
    conf.configure_logging()
    logging.getLogger('colibris.app').debug('seen')
    logging.getLogger('anything').debug('unseen')
    err = capsys.readouterr().err
    assert 'seen' in err
    assert 'unseen' not in err


def test_overrides_silence_a_library_and_keep_the_rest(load, capsys):
    load("LOGGING_OVERRIDES = {'loggers': {'noisy': {'level': 'ERROR'}}}")
    conf.configure_logging()
    logging.getLogger('noisy').warning('unseen')
    logging.getLogger('other').warning('seen')
    err = capsys.readouterr().err
    assert 'unseen' not in err
    assert 'seen' in err


def test_overrides_apply_to_the_projects_own_configuration(load):
    load("LOGGING = {'version': 1, 'root': {'level': 'ERROR'}}\nLOGGING_OVERRIDES = {'root': {'level': 'WARNING'}}")
    assert settings.LOGGING == {'version': 1, 'root': {'level': 'WARNING'}}


def test_the_source_of_an_override_is_told(load):
    load("LOGGING_OVERRIDES = {'root': {'level': 'ERROR'}}")
    assert settings.source('LOGGING') == 'default'
    assert settings.source('LOGGING.root') == 'settings.py'
    assert settings.key_sources('LOGGING') == {'root': 'settings.py'}


@pytest.mark.parametrize(
    'source',
    [
        '',
        "LOGGING = {'version': 1, 'root': {'level': 'INFO', 'handlers': ['h']}, "
        "'handlers': {'h': {'class': 'logging.StreamHandler'}}}",
    ],
)
def test_loggers_that_exist_stay_at_work(load, capsys, source):
    load(source)
    early = logging.getLogger('made_before')
    conf.configure_logging()
    early.info('seen')
    assert 'seen' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('configuration', 'told'),
    [
        ({'version': 2}, 'version'),
        ({'version': 1, 'handlers': {'x': {'class': 'no.such.Handler'}}}, "handler 'x'"),
        ({'version': 1, 'root': {'level': 'LOUD'}}, 'LOUD'),
    ],
)
def test_what_is_no_configuration_is_told(load, configuration, told):
    load(f'LOGGING = {configuration!r}')
    with pytest.raises(
        ImproperlyConfigured, match=r'^LOGGING \(settings.py\) is no configuration of logging'
    ) as caught:
        conf.configure_logging()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ('source', 'told'),
    [
        ('', r'LOGGING with LOGGING_OVERRIDES \(settings.py\)'),
        ("LOGGING = {'version': 1}", r'LOGGING \(settings.py\) with LOGGING_OVERRIDES \(settings.py\)'),
    ],
)
def test_overrides_that_are_no_configuration_are_named(load, source, told):
    load(f"{source}\nLOGGING_OVERRIDES = {{'root': {{'level': 'LOUD'}}}}")
    with pytest.raises(ImproperlyConfigured, match=f'^{told} is no configuration of logging: .*LOUD'):
        conf.configure_logging()
