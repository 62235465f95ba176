"""The same files on all databases: a long history there and back, the rows counted on the way."""

import datetime
from typing import Any

import pytest

from colibris.persist.database import opened
from colibris.persist.migrations.runner import Runner

#: The steps: the models, the name of the migration, and what makemigrations has to be told.
STEPS: list[tuple[str, str, dict[str, Any]]] = [
    (
        """
        class Author(Model):
            name = fields.CharField(max_length=40, unique=True)

        class Tag(Model):
            label = fields.CharField(max_length=20)

        class Book(Model):
            '''A book, it's said.'''
            title = fields.CharField(max_length=50, db_index=True)
            author = fields.ForeignKeyField('models.Author', related_name='books')
            tags = fields.ManyToManyField('models.Tag', related_name='books')

        class Review(Model):
            book = fields.ForeignKeyField('models.Book', related_name='reviews')
            text = fields.TextField()
        """,
        'initial',
        {},
    ),
    (
        """
        class Author(Model):
            name = fields.CharField(max_length=40, unique=True)
            born = fields.DateField(null=True)

        class Tag(Model):
            label = fields.CharField(max_length=20)
            color = fields.CharField(max_length=7, db_default='#ffffff')

        class Book(Model):
            '''A book, it's said.'''
            title = fields.CharField(max_length=50, db_index=True)
            author = fields.ForeignKeyField('models.Author', related_name='books')
            tags = fields.ManyToManyField('models.Tag', related_name='books')
            pages = fields.IntField()
            price = fields.DecimalField(max_digits=8, decimal_places=2, default=decimal.Decimal('9.90'))
            added = fields.DatetimeField(auto_now_add=True)
            token = fields.UUIDField(default=uuid.uuid4, unique=True)
            sold = fields.BooleanField(default=False)
            extra = fields.JSONField(default=dict)

        class Review(Model):
            book = fields.ForeignKeyField('models.Book', related_name='reviews')
            text = fields.TextField()
            stars = fields.SmallIntField(null=True)
        """,
        'add',
        {'defaults': ['Book.pages=100', 'Book.added=now']},
    ),
    (
        """
        class Writer(Model):
            name = fields.CharField(max_length=40, unique=True)
            born = fields.DateField(null=True)

        class Label(Model):
            label = fields.CharField(max_length=20)
            color = fields.CharField(max_length=7, db_default='#ffffff')

        class Book(Model):
            '''A book, it's said.'''
            headline = fields.CharField(max_length=50, db_index=True)
            writer = fields.ForeignKeyField('models.Writer', related_name='books')
            labels = fields.ManyToManyField('models.Label', related_name='books')
            pages = fields.IntField()
            price = fields.DecimalField(max_digits=8, decimal_places=2, default=decimal.Decimal('9.90'))
            added = fields.DatetimeField(auto_now_add=True)
            key = fields.UUIDField(default=uuid.uuid4, unique=True)
            sold = fields.BooleanField(default=False)
            extra = fields.JSONField(default=dict)

        class Review(Model):
            book = fields.ForeignKeyField('models.Book', related_name='reviews')
            text = fields.TextField()
            stars = fields.SmallIntField(null=True)
        """,
        'rename',
        {
            'renames': [
                'Author:Writer',
                'Tag:Label',
                'Book.title:headline',
                'author:writer',
                'Book.token:key',
                'Book.tags:labels',
            ]
        },
    ),
    (
        """
        class Writer(Model):
            name = fields.CharField(max_length=80)
            born = fields.DateField(null=True)
            best = fields.ForeignKeyField('models.Label', related_name='best_of', null=True, on_delete=SET_NULL)

            class Meta:
                unique_together = (('name', 'born'),)

        class Label(Model):
            label = fields.TextField(null=True)
            color = fields.CharField(max_length=7, db_default='#000000', unique=False)

        class Book(Model):
            '''Another description.'''
            headline = fields.CharField(max_length=50)
            writer = fields.ForeignKeyField('models.Writer', related_name='books', on_delete=RESTRICT, db_index=True)
            labels = fields.ManyToManyField('models.Label', related_name='books')
            pages = fields.BigIntField(null=True, description='how thick')
            price = fields.DecimalField(max_digits=10, decimal_places=3, db_default=decimal.Decimal('1.5'))
            added = fields.DatetimeField(db_default=Now())
            key = fields.UUIDField(default=uuid.uuid4)
            sold = fields.BooleanField(db_default=True)
            extra = fields.JSONField(null=True)

            class Meta:
                indexes = [('pages', 'price'), Index(fields=['sold'], name='idx_sold')]

        class Review(Model):
            book = fields.ForeignKeyField('models.Book', related_name='reviews', null=True, on_delete=SET_NULL)
            text = fields.TextField()
            stars = fields.IntField()
        """,
        'alter',
        {'defaults': ['Review.stars=3']},
    ),
    (
        """
        class Writer(Model):
            id = fields.BigIntField(primary_key=True)
            name = fields.CharField(max_length=80)
            born = fields.DateField(null=True)
            country = fields.OneToOneField('models.Country', related_name='poet', null=True)

        class Country(Model):
            code = fields.CharField(max_length=2, primary_key=True)

        class Book(Model):
            headline = fields.CharField(max_length=50, unique=True)
            writer = fields.ForeignKeyField('models.Writer', related_name='books', on_delete=RESTRICT)
            pages = fields.BigIntField(null=True, description='how thick')
            similar = fields.ManyToManyField('models.Book', related_name='similar_to', through='book_pair')
            series = fields.ForeignKeyField('models.Book', related_name='parts', null=True)

        class Review(Model):
            book = fields.ForeignKeyField('models.Book', related_name='reviews', null=True, on_delete=SET_NULL)
            text = fields.TextField()
            stars = fields.IntField(db_index=True)

            class Meta:
                table = 'opinions'
        """,
        'drop',
        {'no_rename': True},
    ),
]

ROWS = (
    "INSERT INTO author (name) VALUES ('Ann'), ('Bob')",
    "INSERT INTO tag (label) VALUES ('new'), ('old'), ('rare')",
    "INSERT INTO book (title, author_id) VALUES ('One', 1), ('Two', 1), ('Three', 2)",
    'INSERT INTO book_tag (book_id, tag_id) VALUES (1, 1), (1, 2), (3, 3)',
    "INSERT INTO review (book_id, text) VALUES (1, 'good'), (1, 'bad'), (2, 'so so'), (3, 'it''s fine')",
)

COUNTS = [
    {'author': 2, 'book': 3, 'book_tag': 3, 'review': 4, 'tag': 3},
    {'author': 2, 'book': 3, 'book_tag': 3, 'review': 4, 'tag': 3},
    {'writer': 2, 'book': 3, 'book_label': 3, 'review': 4, 'label': 3},
    {'writer': 2, 'book': 3, 'book_label': 3, 'review': 4, 'label': 3},
    {'writer': 2, 'book': 3, 'book_pair': 0, 'country': 0, 'opinions': 4},
]


async def test_a_long_history_keeps_the_rows_there_and_back(history, database, generated):
    runner = database.runner(history.folder)
    schemas = []
    for (source, name, answers), counts in zip(STEPS, COUNTS, strict=True):
        made = history.make(source, name, **answers)
        assert await runner.migrate() == [made.path.stem]
        if name == 'initial':
            await database.run(*ROWS)
        assert await database.counts() == counts, name
        schemas.append(await database.schema())
        assert schemas[-1] == await generated(history.models), name
    texts = await database.rows('SELECT text FROM opinions ORDER BY id')
    assert [row['text'] for row in texts] == ['good', 'bad', 'so so', "it's fine"]
    assert [row['book_id'] for row in await database.rows('SELECT book_id FROM opinions ORDER BY id')] == [1, 1, 2, 3]

    for step in range(len(STEPS) - 1, 0, -1):
        assert await runner.downgrade() == [f'{step + 1:04}_{STEPS[step][1]}']
        kept = {name: number for name, number in (await database.counts()).items() if number}
        # What the last step dropped is back, but empty.
        gone = {'book_label', 'label', 'book_tag', 'tag'}
        assert kept == {name: number for name, number in COUNTS[step - 1].items() if name not in gone}
        assert await database.schema() == schemas[step - 1], STEPS[step][1]
    rows = await database.rows('SELECT book.id, title, name FROM book JOIN author ON author.id = author_id ORDER BY 1')
    assert [tuple(row.values()) for row in rows] == [(1, 'One', 'Ann'), (2, 'Two', 'Ann'), (3, 'Three', 'Bob')]
    assert await runner.downgrade('zero') == ['0001_initial']
    assert await database.tables() == []
    assert await runner.migrate() == [f'{number:04}_{step[1]}' for number, step in enumerate(STEPS, start=1)]
    assert await database.schema() == await generated(history.models)


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_the_history_is_the_same_bytes_each_time(history, database, tmp_path):
    for source, name, answers in STEPS:
        history.make(source, name, **answers)
    first = {path.name: path.read_bytes() for path in history.folder.path.glob('0*.py')}
    for path in history.folder.path.glob('0*.py'):
        path.unlink()
    for source, name, answers in STEPS:
        history.make(source, name, **answers)
    assert {path.name: path.read_bytes() for path in history.folder.path.glob('0*.py')} == first


@pytest.mark.parametrize('alias', ['sqlite', 'postgresql', 'mysql'])
async def test_times_of_the_database_and_of_defaults_compare_with_those_of_the_application(history, new_backend, alias):
    backend = new_backend(alias, 'times')
    await backend.create()
    try:
        async with opened({'default': backend}):
            runner = Runner(history.folder, backend.client, lock=backend.lock)
            history.make("""
                class Event(Model):
                    day = fields.DatetimeField()
                    moment = fields.DateField()
                    made = fields.DatetimeField(db_default=Now())
                """)
            await runner.migrate()
            await backend.client.execute_query(
                "INSERT INTO event (day, moment) VALUES ('2024-05-06 07:08:09', '2024-05-06')"
            )
            history.make("""
                class Event(Model):
                    day = fields.DateField()
                    moment = fields.DatetimeField()
                    made = fields.DatetimeField(db_default=Now())
                    opens = fields.TimeField(default=datetime.time(10, 30, tzinfo=datetime.UTC))
                    closes = fields.TimeField(db_default=datetime.time(20, tzinfo=datetime.UTC))
                    due = fields.DatetimeField(default=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC))
                """)
            await runner.migrate()
        async with opened({'default': new_backend(alias, 'times')}, [history.models]):
            await _check_times(history.models.Event)
    finally:
        await backend.drop()


async def _check_times(event):
    [found] = await event.all()
    assert (found.day, found.due.year) == (datetime.date(2024, 5, 6), 2024)
    assert found.moment == datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC)
    for name in ('day', 'moment', 'made', 'due', 'opens', 'closes'):
        assert await event.filter(**{name: getattr(found, name)}).exists(), name
        assert await event.filter(**{f'{name}__gte': getattr(found, name)}).exists(), name
