"""What bad input gets from the demo service: an error that names what is wrong, and the next request is answered."""

import json
import socket
import time
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import pytest
from demo import make_demo, make_key, serve_demo

JSON = 'application/json'
FORM = 'application/x-www-form-urlencoded'
MULTIPART = 'multipart/form-data; boundary=x'
DEEP = b'[' * 100_000
ARABIC_ONE = '\N{ARABIC-INDIC DIGIT ONE}'
#: What each request bears: the key of an account.
HEADERS: dict[str, str] = {}
PART = b'--x\r\nContent-Disposition: form-data; name="title"'


@pytest.fixture(scope='module')
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the demo with a small limit for bodies."""
    folder = make_demo(tmp_path_factory.mktemp('bad-input'))
    with (folder / 'demo' / 'settings.py').open('a') as file:
        file.write('\nMAX_REQUEST_BODY_SIZE = 1_000_000\n')
    HEADERS['X-API-Key'] = make_key(folder)
    with serve_demo(folder) as address:
        yield address
    log = (folder / 'server.log').read_text()
    assert 'Traceback' not in log, log


def ask(
    url: str, body: bytes | None = None, content_type: str | None = JSON, method: str | None = None
) -> tuple[int, dict]:
    request = Request(url, data=body, headers=HEADERS, method=method)
    if content_type is not None and body is not None:
        request.add_header('Content-Type', content_type)
    try:
        with urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def refused(answer: tuple[int, dict], status: int, code: str) -> dict:
    """Check that *answer* is an error in the envelope, and return it."""
    assert answer[0] == status, answer
    assert answer[1].keys() == {'code', 'message', 'details'}
    assert answer[1]['code'] == code
    return answer[1]


@pytest.mark.parametrize(
    ('body', 'said'),
    [
        (b'', 'JSON'),
        (b'{', 'JSON'),
        (b'{"title": NaN}', 'JSON'),
        (b'{"title": Infinity}', 'JSON'),
        (b'{"title": "\xff"}', 'UTF-8'),
        (b'{"title": "a\x00b"}', 'JSON'),
        (b'{"title": "\\ud800"}', 'JSON'),
        (b'{"title": ' + DEEP, 'deep'),
        (b'{"title": "x"} {}', 'JSON'),
        (b'{"title": ' + b'9' * 5000 + b'}', ''),
    ],
    ids=['empty', 'malformed', 'nan', 'infinity', 'utf-8', 'nul', 'surrogate', 'deep', 'two', 'digits'],
)
def test_a_body_that_is_no_json_is_named(service: str, body: bytes, said: str) -> None:
    answer = ask(f'{service}/notes', body)

    assert answer[0] == 400
    assert answer[1]['code'] in ('parse_error', 'schema_error')
    assert said in answer[1]['message']


@pytest.mark.parametrize('body', [b'[]', b'null', b'1', b'"x"', b'[{"title": "x"}]'])
def test_a_body_that_is_no_object_is_refused(service: str, body: bytes) -> None:
    refused(ask(f'{service}/notes', body), 400, 'schema_error')


@pytest.mark.parametrize(
    ('fields', 'field'),
    [
        ({}, 'title'),
        ({'title': None}, 'title'),
        ({'title': 1}, 'title'),
        ({'title': ['x']}, 'title'),
        ({'title': 'x' * 1000}, 'title'),
        ({'title': 'a\0b'}, 'title'),
        ({'title': 'x', 'text': 'a\0b'}, 'text'),
        ({'title': 'x', 'status': 'lost'}, 'status'),
        ({'title': 'x', 'tilte': 'x'}, 'tilte'),
        ({'title': 'x', 'id': 7}, 'id'),
        ({'title': 'x', 'created_at': '2026-01-01T00:00:00Z'}, 'created_at'),
        ({'title': 'x', '\0': 'x'}, '\0'),
        ({'title': 'x', '': 'x'}, ''),
    ],
    ids=repr,
)
def test_a_field_that_does_not_fit_is_named(service: str, fields: dict, field: str) -> None:
    error = refused(ask(f'{service}/notes', json.dumps(fields).encode()), 400, 'schema_error')

    assert error['details'].keys() == {field}
    assert all(isinstance(message, str) for message in error['details'][field])


@pytest.mark.parametrize(
    'content_type', ['text/plain', 'text/html', 'application/xml', 'x', '', 'application/json; charset=utf-16']
)
def test_a_format_that_is_not_taken_is_refused(service: str, content_type: str) -> None:
    error = refused(ask(f'{service}/notes', b'{"title": "x"}', content_type), 415, 'unsupported_media_type')

    assert JSON in error['message'] or 'UTF-8' in error['message']


@pytest.mark.parametrize(
    ('content_type', 'body', 'field'),
    [
        (FORM, b'titel=x', 'titel'),
        (FORM, b'title=a%00b', 'title'),
        (FORM, b'title=a&title=b', 'title'),
        (MULTIPART, b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nx\r\n--x--\r\n', 'title'),
    ],
)
def test_a_field_of_a_form_that_does_not_fit_is_named(service: str, content_type: str, body: bytes, field: str) -> None:
    error = refused(ask(f'{service}/notes', body, content_type), 400, 'schema_error')

    assert field in error['details']


@pytest.mark.parametrize(
    ('content_type', 'body'),
    [
        ('multipart/form-data', b'--x--\r\n'),
        (MULTIPART, b''),
        (MULTIPART, b'nothing of the kind'),
        (MULTIPART, PART + b'\r\n\r\nx'),
        (MULTIPART, PART + b'; filename="x"\r\n\r\nx\r\n--x--\r\n'),
        (
            MULTIPART,
            PART + b'\r\nContent-Type: text/plain; charset=nope\r\n\r\nx\r\n--x--\r\n',
        ),
        (FORM + '; charset=nope', b'title=x'),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(service: str, content_type: str, body: bytes) -> None:
    status, error = ask(f'{service}/notes', body, content_type)

    assert status in (400, 415), error
    assert error.keys() == {'code', 'message', 'details'}


def test_a_body_that_is_too_large_is_refused(service: str) -> None:
    body = json.dumps({'title': 'x', 'text': 'x' * 1_000_000}).encode()

    refused(ask(f'{service}/notes', body), 413, 'payload_too_large')


def test_a_body_that_is_announced_to_be_too_large_is_refused_before_it_comes(service: str) -> None:
    with connected(service) as connection:
        connection.sendall(head('POST /notes') + b'Content-Length: 99999999\r\n\r\n')
        assert connection.recv(65536).startswith(b'HTTP/1.1 413 ')


@pytest.mark.parametrize('chunked', [b'5\r\n{"tit\r\n', b'zz\r\n', b'-1\r\n'])
def test_a_body_that_ends_early_is_no_fault_of_the_server(service: str, chunked: bytes) -> None:
    with connected(service) as connection:
        connection.sendall(head('POST /notes') + b'Transfer-Encoding: chunked\r\n\r\n' + chunked)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    # Found in the head or in the body: what is read in one piece is refused by the parser, in the older version.
    assert not answer or answer.startswith((b'HTTP/1.0 400 ', b'HTTP/1.1 400 '))


@pytest.mark.parametrize(
    'page', ['0', '-1', 'x', '', '1.5', str(10**30), '9' * 5000, ARABIC_ONE, '1_0', ' 1', '0x1', 'null', '\0']
)
@pytest.mark.parametrize('parameter', ['page', 'page_size'])
def test_a_page_that_is_none_is_named(service: str, parameter: str, page: str) -> None:
    error = refused(ask(f'{service}/notes?{parameter}={quote(page)}'), 400, 'schema_error')

    assert error['details'].keys() == {parameter}


@pytest.mark.parametrize(
    ('query', 'parameter'),
    [
        ('statsu=open', 'statsu'),
        ('status__like=o', 'status__like'),
        ('title=x', 'title'),
        ('status=lost', 'status'),
        ('status__in=open,lost', 'status__in'),
        ('status=open&status=done', 'status'),
        ('created_at__ge=yesterday', 'created_at__ge'),
        ('created_at__ge=2026-01-01', 'created_at__ge'),
        ('order=text', 'order'),
        ('order=title,-title', 'order'),
        ('order=', 'order'),
        ('search=%00', 'search'),
        ('search=' + 'x' * 1000, 'search'),
        ('%00=1', '\0'),
        ('=1', ''),
        ('[$ne]=1', '[$ne]'),
    ],
)
def test_a_query_parameter_that_does_not_fit_is_named(service: str, query: str, parameter: str) -> None:
    error = refused(ask(f'{service}/notes?{query}'), 400, 'schema_error')

    assert error['details'].keys() == {parameter}


def test_invalid_utf_8_in_a_query_is_no_fault_of_the_server(service: str) -> None:
    assert ask(f'{service}/notes?search=%ff%fe')[0] in (200, 400)
    assert ask(f'{service}/notes?%ff=1')[0] == 400


@pytest.mark.parametrize('method', ['GET', 'PUT', 'PATCH', 'DELETE'])
@pytest.mark.parametrize(
    'identifier',
    [
        'x',
        '0',
        '-1',
        '1.0',
        '01',
        '+1',
        '1e3',
        str(10**30),
        '9' * 5000,
        '%00',
        '%ff',
        ARABIC_ONE,
        '%2e%2e',
        '1%2f2',
        'null',
    ],
)
def test_an_id_that_is_none_is_not_found(service: str, method: str, identifier: str) -> None:
    body = b'{"title": "x"}' if method in ('PUT', 'PATCH') else None

    refused(ask(f'{service}/notes/{quote(identifier, safe="%")}', body, method=method), 404, 'not_found')


@pytest.mark.parametrize(
    ('method', 'path'), [('DELETE', '/notes'), ('POST', '/notes/1'), ('PUT', '/health'), ('PROPFIND', '/notes')]
)
def test_a_method_that_an_address_does_not_know_is_refused(service: str, method: str, path: str) -> None:
    refused(ask(f'{service}{path}', method=method), 405, 'method_not_allowed')


def test_an_address_that_does_not_exist_is_not_found(service: str) -> None:
    refused(ask(f'{service}/nowhere'), 404, 'not_found')


@pytest.mark.parametrize(
    'request_bytes',
    [
        b'\x00\xff\r\n\r\n',
        b'GET /notes HTTP/9.9\r\n\r\n',
        b'GET /notes\r\n\r\n',
        b'GET /' + b'x' * 20_000 + b' HTTP/1.1\r\n\r\n',
    ],
    ids=['bytes', 'version', 'http-0.9', 'long'],
)
def test_what_is_no_http_ends_the_connection(service: str, request_bytes: bytes) -> None:
    with connected(service) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = b''.join(iter(lambda: connection.recv(65536), b''))
    assert not answer or answer.startswith((b'HTTP/1.0 400 ', b'HTTP/1.1 400 ', b'HTTP/0.9 401 ')), answer[:200]


def test_deep_nesting_is_refused_at_once(service: str) -> None:
    begin = time.monotonic()
    for body in (DEEP, b'{"a":' * 50_000, b'{"title": "x", "text": ' + DEEP):
        assert ask(f'{service}/notes', body)[0] == 400
    assert time.monotonic() - begin < 5


def head(line: str) -> bytes:
    """Return the begin of a request, to which headers can be added."""
    headers = {'Host': 'x', 'Content-Type': JSON, **HEADERS}
    return ''.join([f'{line} HTTP/1.1\r\n', *(f'{name}: {value}\r\n' for name, value in headers.items())]).encode()


def connected(service: str) -> socket.socket:
    parts = urlsplit(service)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
    connection.settimeout(10)
    return connection
