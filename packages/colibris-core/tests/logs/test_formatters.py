"""The lines of the log: what they tell, and what they never do."""

import json
import logging
from datetime import datetime

import pytest

from colibris.logs import JSONFormatter, TextFormatter, current_request_id, set_request_id


@pytest.fixture
def lines():
    """Log to a list of lines, as JSON or as text."""
    logger = logging.getLogger('shop.orders')
    handler = logging.Handler()
    found = []
    handler.emit = lambda record: found.append(handler.format(record))
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel('DEBUG')

    def make(formatter):
        handler.setFormatter(formatter)
        return logger, found

    yield make
    logger.removeHandler(handler)
    logger.propagate = True
    logger.setLevel('NOTSET')


def test_a_line_of_json_has_time_level_logger_and_message(lines):
    logger, found = lines(JSONFormatter())
    logger.warning('only %d left,\nof %s', 3, 'these')
    line = json.loads(found[0])
    assert {name: line[name] for name in ('level', 'logger', 'message')} == {
        'level': 'WARNING',
        'logger': 'shop.orders',
        'message': 'only 3 left,\nof these',
    }
    assert datetime.fromisoformat(line['time']).utcoffset().total_seconds() == 0
    assert '\n' not in found[0]


def test_what_is_given_as_extra_is_told_whatever_it_is(lines):
    logger, found = lines(JSONFormatter())
    logger.info('ordered', extra={'order': 7, 'what': {'sku': 'A'}, 'odd': object, 'when': datetime(2026, 1, 2)})
    line = json.loads(found[0])
    assert (line['order'], line['what'], line['when']) == (7, {'sku': 'A'}, '2026-01-02T00:00:00')
    assert 'object' in line['odd']


def test_an_error_brings_its_traceback(lines):
    logger, found = lines(JSONFormatter())
    try:
        raise LookupError('nothing there')
    except LookupError:
        logger.exception('failed')
    line = json.loads(found[0])
    assert line['exception'].startswith('Traceback')
    assert 'LookupError: nothing there' in line['exception']


def test_the_request_is_told_in_both_forms(lines):
    token = set_request_id('abc-123')
    try:
        assert current_request_id() == 'abc-123'
        logger, found = lines(JSONFormatter())
        logger.info('seen')
        lines(TextFormatter())
        logger.info('seen')
    finally:
        set_request_id(token.old_value if isinstance(token.old_value, str) else None)
    assert json.loads(found[0])['request_id'] == 'abc-123'
    assert found[1].endswith('shop.orders: seen [abc-123]')


def test_text_tells_how_long_a_request_took(lines):
    logger, found = lines(TextFormatter())
    logger.info('GET /who: 200', extra={'duration': 0.0123})
    assert found[0].endswith('GET /who: 200 in 12.3 ms')


JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl'


@pytest.mark.parametrize('formatter', [JSONFormatter(), TextFormatter()], ids=['json', 'text'])
@pytest.mark.parametrize(
    'message',
    [
        f'given {JWT} by somebody',
        'Authorization: Bearer hunter2hunter2',
        "{'Authorization': 'hunter2', 'Accept': 'x'}",
        "('Cookie', 'session=hunter2; other=hunter2')",
        'Set-Cookie: session=hunter2; Path=/',
        'password=hunter2',
        "{'password': 'hunter2'}",
        'postgresql://shop:hunter2@db/shop',
        'Basic aHVudGVyMjpodW50ZXIy=',
    ],
)
def test_secrets_are_masked(lines, formatter, message):
    logger, found = lines(formatter)
    logger.error(message)
    try:
        raise ValueError(message)
    except ValueError:
        logger.exception('failed: %s', message)
    for secret in ('hunter2', JWT, 'aHVudGVy'):
        assert secret not in ''.join(found)


def test_extras_are_masked_by_their_names(lines):
    logger, found = lines(JSONFormatter())
    logger.info('login', extra={'password': 'hunter2', 'body': {'api_key': 'hunter2', 'name': 'ada'}})
    assert ('hunter2' in found[0], '"name":"ada"' in found[0]) == (False, True)


@pytest.mark.parametrize(
    'message', ['the token expired yesterday', 'a basic authentication scheme', 'the cookie, if set', 'key 7: taken']
)
def test_ordinary_prose_is_left_alone(lines, message):
    logger, found = lines(TextFormatter())
    logger.info(message)
    assert found[0].endswith(message)


class Unshown:
    def __repr__(self):
        raise RuntimeError


ODD = ['\udc80', {(1, 2): 3}, 2**80, 10**5000, [10**5000], float('nan'), b'\xff', Unshown()]


@pytest.mark.parametrize('odd', ODD, ids=lambda odd: type(odd).__name__)
def test_what_json_cannot_hold_is_told_all_the_same(lines, odd):
    logger, found = lines(JSONFormatter())
    logger.info('seen', extra={'odd': odd, 'order': 7})
    line = json.loads(found[0])
    assert (line['message'], line['order'], 'odd' in line) == ('seen', 7, True)


def test_extras_do_not_replace_what_a_line_begins_with(lines):
    logger, found = lines(JSONFormatter())
    logger.info('seen', extra={'level': 'ERROR', 'time': 'never', 'method': 'by hand'})
    line = json.loads(found[0])
    assert (line['level'], line['method'], line['time'] == 'never') == ('INFO', 'by hand', False)
