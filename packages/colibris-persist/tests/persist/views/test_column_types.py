"""What each type of column takes and gives over HTTP, equally on all databases."""

import base64

import pytest

INT16, INT32, INT64 = 2**15, 2**31, 2**63


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


STORED = [
    ('small', -INT16),
    ('small', INT16 - 1),
    ('number', INT32 - 1),
    ('number', -INT32),
    ('big', INT64 - 1),
    ('big', -INT64),
    ('char', 'ab  '),
    ('char', ''),
    ('char', 'äöü€😀'),
    ('text', 'line\nline\\ "quoted" \u2028 %_\'; --'),
    ('flag', True),
    ('flag', False),
    ('amount', '12345678.1234'),
    ('amount', '-0.0001'),
    ('ratio', 0.1),
    ('ratio', -1.5e300),
    ('moment', '2026-01-31T12:30:00+00:00'),
    ('moment', '2026-01-31T12:30:00.123456+00:00'),
    ('moment', '9999-12-31T23:59:59.999999+00:00'),
    ('moment', '1000-01-01T00:00:00+00:00'),
    ('day', '2026-02-28'),
    ('day', '1000-01-01'),
    ('time', '23:59:59.999999'),
    ('time', '00:00:00'),
    ('period', 1.5),
    ('period', -86400.000001),
    ('uuid', 'a3bb189e-8bf9-3888-9912-ace4e6543002'),
    ('data', {'a': [1, 2.5, None, True, 'ü'], '': {'deep': [[]]}}),
    ('data', []),
    ('data', nested(30)),
    ('data', [{'n': INT64 - 1}]),
    ('blob', base64.b64encode(bytes(range(256))).decode()),
    ('blob', ''),
    ('genre', 'poetry'),
    ('stars', 2),
]


async def test_a_value_comes_back_as_it_was_sent(client):
    for column, value in STORED:
        resp = await client.post('/samples', json={column: value})
        created = await resp.json()
        assert (resp.status, created.get(column)) == (201, value), (column, created)
        resp = await client.get(f'/samples/{created["id"]}')
        assert (await resp.json())[column] == value, column
        resp = await client.patch(f'/samples/{created["id"]}', json={column: value})
        assert (resp.status, (await resp.json())[column]) == (200, value), column


@pytest.mark.parametrize(
    ('column', 'sent', 'stored'),
    [
        ('number', '12', 12),
        ('number', 12.0, 12),
        ('amount', 1.5, '1.5000'),
        ('amount', '1E+3', '1000.0000'),
        ('amount', '1.50000000', '1.5000'),
        ('moment', '2026-01-31T12:30:00+02:00', '2026-01-31T10:30:00+00:00'),
        ('moment', '2026-01-31T12:30:00Z', '2026-01-31T12:30:00+00:00'),
        ('time', '12:30', '12:30:00'),
        ('uuid', 'A3BB189E8BF938889912ACE4E6543002', 'a3bb189e-8bf9-3888-9912-ace4e6543002'),
    ],
)
async def test_a_value_is_answered_in_one_form(client, column, sent, stored):
    resp = await client.post('/samples', json={column: sent})
    created = await resp.json()
    assert (resp.status, created.get(column)) == (201, stored), created
    resp = await client.get(f'/samples/{created["id"]}')
    assert (await resp.json())[column] == stored


REFUSED = [
    ('small', INT16),
    ('small', -INT16 - 1),
    ('number', INT32),
    ('number', 10**30),
    ('number', '1' * 5000),
    ('number', 1.5),
    ('number', True),
    ('number', '1_000'),
    ('number', ' 1'),
    ('number', '٣'),
    ('number', []),
    ('big', INT64),
    ('char', 'x' * 11),
    ('char', 'a\0b'),
    ('char', 1),
    ('text', '\0'),
    ('flag', 'perhaps'),
    ('flag', {}),
    ('amount', '123456789'),
    ('amount', '0.00001'),
    ('amount', '1e999999'),
    ('amount', 'NaN'),
    ('amount', 'Infinity'),
    ('amount', '1_0'),
    ('amount', True),
    ('ratio', 'nan'),
    ('ratio', 'inf'),
    ('ratio', '1e400'),
    ('ratio', 'x'),
    ('moment', '2026-01-31T12:30:00'),
    ('moment', '2026-01-31'),
    ('moment', 'yesterday'),
    ('moment', 1769862600),
    ('moment', '0001-01-01T00:00:00+14:00'),
    ('day', '2026-02-30'),
    ('day', 20260101),
    ('time', '25:00:00'),
    ('time', '12:30:00+01:00'),
    ('period', 'long'),
    ('period', 1e300),
    ('period', 10**13),
    ('period', True),
    ('uuid', 'x'),
    ('uuid', 5),
    ('data', 'a bare string'),
    ('data', {'a': 'nul \0'}),
    ('data', {'nul \0': 1}),
    ('data', [INT64]),
    ('data', nested(31)),
    ('blob', 'no base64!'),
    ('blob', 5),
    ('genre', 'crime'),
    ('genre', []),
    ('stars', 3),
    ('stars', 'x'),
    ('unknown', 1),
    ('id', 1),
]


async def test_what_a_column_cannot_hold_is_refused_by_name(client):
    for column, value in REFUSED:
        resp = await client.post('/samples', json={column: value})
        body = await resp.json()
        assert (resp.status, body.get('code')) == (400, 'schema_error'), (column, value, body)
        assert list(body['details']) == [column]


async def test_a_lone_surrogate_is_refused(client):
    resp = await client.post('/samples', data=b'{"text": "\\ud800"}', headers={'Content-Type': 'application/json'})
    assert resp.status == 400, await resp.text()


async def test_null_is_kept_apart_from_nothing(client):
    columns = ('small', 'char', 'amount', 'moment', 'data', 'blob', 'genre', 'stars', 'time', 'period', 'uuid')
    resp = await client.post('/samples', json=dict.fromkeys(columns))
    created = await resp.json()
    assert resp.status == 201, created
    assert all(created[column] is None for column in columns)
