"""What views answer from plain rows is what they answer from instances."""

import datetime as dt
import itertools
import math
from decimal import Decimal
from uuid import UUID

import pytest

from colibris import api
from colibris.test.utils import assert_queries

FIELDS = ('id', 'small', 'number', 'big', 'char', 'text', 'flag', 'amount', 'ratio', 'moment', 'day', 'time', 'period')
FIELDS += ('uuid', 'data', 'blob', 'genre', 'stars')
NIGHT = dt.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=dt.timezone(dt.timedelta(hours=-11, minutes=-30)))
VALUES = {
    'small': [0, -(2**15), 2**15 - 1],
    'number': [0, -(2**31), 2**31 - 1],
    'big': [0, -(2**63), 2**63 - 1, 2**53 + 1],
    'char': ['', ' a ', 'żółw 🐢', '*', "'; --", '\\"'],
    'text': ['', 'x' * 70_000, 'line\nline\ttab', '\u2028'],
    'flag': [True, False],
    'amount': [Decimal('0'), Decimal('-0.0001'), Decimal('99999999.9999'), Decimal('1.5')],
    'ratio': [0.0, -0.0, 1e-300, 1.7e308, 0.1, 1 / 3, 1e16],
    'moment': [
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 2, 29, 12, 30, 0, 1, tzinfo=dt.UTC),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        NIGHT,
    ],
    'day': [dt.date(1970, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31), dt.date(1000, 1, 1)],
    'time': [dt.time(0, tzinfo=dt.UTC), dt.time(23, 59, 59, 999999, tzinfo=dt.UTC)],
    'period': [dt.timedelta(0), dt.timedelta(days=-1, microseconds=1), dt.timedelta(days=10**6)],
    'uuid': [UUID(int=0), UUID('ffffffff-ffff-ffff-ffff-ffffffffffff'), UUID('12345678-1234-1234-1234-1234567890ab')],
    'data': [{}, [], {'a': [1, 2.5, None, 'ż', {'b': True}]}, [0], 5, False],
    'blob': [b'', b'\x00\xff', bytes(range(256))],
    'genre': ['novel', 'poetry'],
    'stars': [1, 2],
}


@pytest.fixture
async def samples(client):
    """A row of nulls, and rows in which each value occurs."""
    from bookshop.models import Sample

    await Sample.create()
    for index in range(max(map(len, VALUES.values()))):
        await Sample.create(**{name: values[index % len(values)] for name, values in VALUES.items()})
    return await Sample.all().order_by('id')


def expected(view, instances, **numbers):
    schema = view.response_schema_class or view.body_schema_class
    return api.encode_json({'results': schema().dump(instances, many=True), **numbers})


async def test_a_list_is_as_from_instances(client, samples):
    from bookshop.views import SamplesView

    assert SamplesView._plans['GET'].listing is not None
    body = await (await client.get('/samples?page_size=100')).read()
    assert body == expected(SamplesView, samples, count=len(samples), pages=1, page=1, page_size=100)


async def test_the_first_page_has_a_statement_of_its_own(client, samples):
    """It binds nothing, so that PostgreSQL need not plan it each time; another page or size does."""
    from bookshop.views import SamplesView

    async with assert_queries(1) as first:
        body = await (await client.get('/samples?page=1')).read()
    assert body == expected(SamplesView, samples, count=len(samples), pages=1, page=1, page_size=25)
    assert first.statements[0].endswith(' LIMIT 25')
    for query in ('page=1&page_size=24', 'page=2'):
        async with assert_queries(1 if 'size' in query else 2) as other:
            assert (await client.get(f'/samples?{query}')).status == 200
        assert 'OFFSET' in other.statements[0]


async def test_a_row_is_as_from_an_instance(client, samples):
    from bookshop.views import SampleView

    assert SampleView._plans['GET'].retrieving is not None
    for sample in samples:
        body = await (await client.get(f'/samples/{sample.id}')).read()
        assert body == api.encode_json(SampleView.body_schema_class().dump(sample))


async def test_values_are_those_of_instances(client, samples):
    from bookshop.models import Sample

    from colibris.persist import get_connection
    from colibris.persist.plans.reading import Reading
    from colibris.persist.plans.related import Rows
    from colibris.persist.plans.statements import selection

    rows = Rows(Reading(Sample, list(FIELDS)), get_connection())
    text, values = selection(Sample.all().order_by('id'), rows.names).get_parameterized_sql()
    made = await rows.complete(await get_connection().fetch(text, values))
    for row, sample in zip(made, samples, strict=True):
        for name in FIELDS:
            ours, theirs = row[name], getattr(sample, name)
            assert (type(ours), ours) == (type(theirs), theirs), name
            if isinstance(ours, dt.datetime):
                assert ours.utcoffset() == theirs.utcoffset()
            if isinstance(ours, float):
                assert math.copysign(1, ours) == math.copysign(1, theirs)


async def test_instances_that_are_looked_up_are_those_of_the_orm(client, samples):
    from bookshop.models import Sample

    from colibris.persist.plans.lookup import Lookup

    lookup = Lookup(Sample, 'id')
    for sample in samples:
        [found] = await lookup.find(sample.id)
        assert type(found) is Sample
        ours, theirs = dict(vars(found)), dict(vars(await Sample.get(id=sample.id)))
        assert ours == theirs
        assert [type(ours[name]) for name in FIELDS] == [type(theirs[name]) for name in FIELDS]
        assert str(found.moment) == str(sample.moment)
    assert await lookup.find(10**6) == []


async def test_a_looked_up_instance_can_be_changed(client, samples):
    from bookshop.models import Sample

    from colibris.persist.plans.lookup import Lookup

    [found] = await Lookup(Sample, 'id').find(samples[1].id)
    found.char = 'changed'
    await found.save()
    assert (await Sample.get(id=found.id)).char == 'changed'


async def test_a_new_row_is_shown_as_it_is_stored(client):
    from bookshop.models import Sample
    from bookshop.views import SamplesView

    assert SamplesView._plans['POST'].creating is not None
    schema = SamplesView.body_schema_class()
    for index in range(max(map(len, VALUES.values()))):
        row = Sample(**{name: values[index % len(values)] for name, values in VALUES.items()})
        given = {name: value for name, value in schema.dump(row).items() if name != 'id'}
        resp = await client.post('/samples', json=given)
        body = await resp.read()
        assert resp.status == 201, body
        stored = await Sample.get(id=(await resp.json())['id'])
        assert body == api.encode_json(schema.dump(stored))
        assert await (await client.get(resp.headers['Location'])).read() == body


async def test_defaults_and_times_are_those_of_the_model(client):
    from bookshop.models import Author, Book

    author = await Author.create(name='author')
    before = dt.datetime.now(dt.UTC)
    resp = await client.post('/plain-books', json={'title': 'new', 'author_id': author.id})
    assert resp.status == 201
    book = await Book.get(title='new')
    assert (book.genre, book.price, book.in_print, book.pages) == ('novel', Decimal('9.90'), True, None)
    assert before <= book.created <= book.updated <= dt.datetime.now(dt.UTC)


async def test_a_new_row_is_one_statement(client):
    async with assert_queries(1) as queries:
        assert (await client.post('/samples', json={'small': 1})).status == 201
    assert 'RETURNING' in queries.statements[0]


async def test_a_model_that_is_listened_to_makes_instances(client):
    from bookshop.models import Tag

    from colibris.persist import post_save

    saved = []

    @post_save(Tag)
    async def note(sender, instance, created, using_db, update_fields):
        saved.append(instance.name)

    try:
        assert (await client.post('/tags', json={'name': 'heard'})).status == 201
    finally:
        from tortoise.signals import Signals

        Tag._listeners[Signals.post_save].pop(Tag)
    assert saved == ['heard']


FILTERS = [
    *('title=b', 'title__not=b', 'title__in=a,b,c', 'title__like=B', 'title__ilike=B', 'title__gt=b', 'author__name=b'),
    *('author__name__ilike=B', 'author__country=fr', 'translator__null=true', 'translator__null=false', 'tags=1'),
    *('blurb__null=true', 'genre=novel', 'genre__in=novel,poetry', 'price=2.5', 'price__ge=2.5', 'price__in=1,2.5'),
    *('pages=3', 'pages__not=3', 'pages__in=1,2,3', 'in_print=true', 'in_print__null=false', 'search=b', 'cheap=true'),
    *('published__le=2024-01-01T00:00:00Z', 'published__null=true', 'title=*', 'order=-title', 'order=author__name'),
    *('title__in=b', 'title__in=b,b', 'pages__ge=2&pages__le=2', 'price__ge=2&pages__ge=2'),
]


@pytest.fixture
async def shop(client):
    from bookshop.models import Author, Book, Country, Tag

    await Country.create(code='fr', name='France')
    tag = await Tag.create(name='tag')
    authors = [await Author.create(name=name, country_id='fr' if name == 'b' else None) for name in 'ab']
    when = [None, dt.datetime(2023, 5, 6, tzinfo=dt.UTC), dt.datetime(2024, 5, 6, tzinfo=dt.UTC)]
    for number, title in enumerate(['a', 'b', 'B', 'c', '*', 'bb']):
        book = await Book.create(
            title=title,
            author=authors[number % 2],
            translator=authors[0] if number % 3 else None,
            price=Decimal(number) / 2 + 1,
            pages=number or None,
            published=when[number % 3],
        )
        if number % 2:
            await book.tags.add(tag)


@pytest.fixture
def slow(monkeypatch):
    """Let no statement be kept, nor a list be answered from rows."""

    def use(view):
        monkeypatch.setattr(view._plans['GET'].listing, 'takes', lambda query: False)
        monkeypatch.setattr(view._plans['GET'].listing, 'is_usual', lambda args: False)

    return use


async def test_filters_choose_the_same_rows_when_statements_are_kept(client, shop, slow):
    from bookshop.views import BooksView

    asked = [*FILTERS, *map('&'.join, itertools.combinations(FILTERS[:12], 2))]
    answers = []
    for _ in range(3):  # made, kept, and the slow way
        answers.append([await (await client.get(f'/books?{query}')).read() for query in asked])
        if len(answers) == 2:
            slow(BooksView)
    assert answers[0] == answers[1] == answers[2]


async def test_a_kept_statement_takes_other_values(client, shop):
    async def titles(query):
        return [book['title'] for book in (await (await client.get(f'/books?{query}')).json())['results']]

    assert await titles('title__in=a,c&price__ge=1&pages__ge=3') == ['c']
    assert await titles('title__in=b,B&price__ge=2&pages__ge=1') == ['B']
    assert await titles('title__in=*,B&price__ge=0&pages__ge=2') == ['B', '*']
    assert await titles('title__in=bb,x&price__ge=3&pages__ge=1') == ['bb']


async def test_a_view_that_needs_instances_gets_them(client, shop):
    from bookshop.views import ShoutingBooksView

    assert ShoutingBooksView._plans['GET'].listing is None
    body = await (await client.get('/shouting')).json()
    assert {book['shout'] for book in body['results']} == {'A', 'B', 'C', '*', 'BB'}
