"""Single changes, on all databases: what comes out equals what Tortoise makes of the models, and the way back works."""

from typing import Any

import pytest

#: Before, after, what makemigrations is told, and rows that are there before.
CASES: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    'tables change names': (
        """
        class One(Model):
            text = fields.CharField(max_length=10, unique=True)
            class Meta:
                table = 'a'
        class Two(Model):
            one = fields.ForeignKeyField('models.One', related_name='twos')
            class Meta:
                table = 'b'
        """,
        """
        class One(Model):
            text = fields.CharField(max_length=10, unique=True)
            class Meta:
                table = 'b'
        class Two(Model):
            one = fields.ForeignKeyField('models.One', related_name='twos')
            class Meta:
                table = 'a'
        """,
        {},
        ["INSERT INTO a (text) VALUES ('x')", 'INSERT INTO b (one_id) VALUES (1)'],
    ),
    'columns change names': (
        """
        class Item(Model):
            a = fields.IntField(source_field='x', db_index=True)
            b = fields.IntField(source_field='y', unique=True)
        """,
        """
        class Item(Model):
            a = fields.IntField(source_field='y', db_index=True)
            b = fields.IntField(source_field='x', unique=True)
        """,
        {},
        ['INSERT INTO item (x, y) VALUES (1, 2)'],
    ),
    'a column takes the name of one that is dropped': (
        """
        class Item(Model):
            a = fields.IntField(source_field='x', null=True)
            b = fields.CharField(max_length=5, source_field='y')
        """,
        """
        class Item(Model):
            b = fields.CharField(max_length=5, source_field='x')
        """,
        {},
        ["INSERT INTO item (x, y) VALUES (1, 'z')"],
    ),
    'a name changes in case only': (
        "class Item(Model):\n    name = fields.CharField(max_length=5, source_field='Name', db_index=True)",
        "class Item(Model):\n    name = fields.CharField(max_length=5, source_field='name', db_index=True)",
        {},
        ['INSERT INTO item ("Name") VALUES (\'x\')'],
    ),
    'words that SQL uses itself': (
        """
        class Order(Model):
            group = fields.CharField(max_length=90)
            class Meta:
                table = 'order'
        """,
        """
        class Order(Model):
            group = fields.CharField(max_length=90, unique=True)
            select = fields.TextField(default='x')
            table = fields.ForeignKeyField('models.Order', related_name='orders', null=True)
            class Meta:
                table = 'order'
                indexes = [('group', 'table')]
        """,
        {},
        ['INSERT INTO "order" ("group") VALUES (\'x\')'],
    ),
    'a table that refers to itself is rebuilt': (
        """
        class Node(Model):
            name = fields.CharField(max_length=5)
            parent = fields.ForeignKeyField('models.Node', related_name='children', null=True, on_delete=RESTRICT)
        """,
        """
        class Node(Model):
            name = fields.TextField()
            parent = fields.ForeignKeyField('models.Node', related_name='children', null=True, on_delete=CASCADE)
        """,
        {},
        ["INSERT INTO node (name, parent_id) VALUES ('a', NULL)", "INSERT INTO node (name, parent_id) VALUES ('b', 1)"],
    ),
    'names that are cut': (
        f'class {"A" * 40}(Model):\n    {"b" * 45} = fields.IntField(unique=True)\n',
        f'class {"A" * 40}(Model):\n    {"c" * 45} = fields.IntField(unique=True)\n',
        {'renames': [f'{"b" * 45}:{"c" * 45}']},
        [],
    ),
    'keys come and go': (
        """
        class Item(Model):
            a = fields.IntField(unique=True)
            b = fields.IntField(db_index=True)
            c = fields.IntField()
            d = fields.IntField()
            class Meta:
                unique_together = (('a', 'b'), ('c', 'd'))
                indexes = [('b', 'c')]
        """,
        """
        class Item(Model):
            a = fields.IntField(db_index=True)
            b = fields.IntField(unique=True)
            c = fields.IntField(unique=True)
            d = fields.IntField(db_index=True)
            class Meta:
                unique_together = (('a', 'd'),)
                indexes = [('c', 'b'), Index(fields=['d', 'a'], name='mine')]
        """,
        {},
        ['INSERT INTO item (a, b, c, d) VALUES (1, 2, 3, 4), (2, 3, 4, 5)'],
    ),
    'the key below a reference changes': (
        """
        class One(Model):
            pass
        class Two(Model):
            one = fields.ForeignKeyField('models.One', related_name='twos')
            other = fields.ForeignKeyField('models.One', related_name='others', db_index=True)
            place = fields.IntField()
            class Meta:
                unique_together = (('one', 'place'),)
        """,
        """
        class One(Model):
            pass
        class Two(Model):
            one = fields.ForeignKeyField('models.One', related_name='twos', db_index=True)
            other = fields.OneToOneField('models.One', related_name='others')
            place = fields.IntField()
            class Meta:
                unique_together = (('place', 'one'),)
        """,
        {},
        ['INSERT INTO one (id) VALUES (1)', 'INSERT INTO two (one_id, other_id, place) VALUES (1, 1, 1)'],
    ),
    'a reference to a unique column that changes': (
        """
        class Country(Model):
            code = fields.CharField(max_length=2, unique=True)
        class City(Model):
            country = fields.ForeignKeyField('models.Country', related_name='cities', to_field='code')
        """,
        """
        class State(Model):
            iso = fields.CharField(max_length=3, unique=True)
        class City(Model):
            state = fields.ForeignKeyField('models.State', related_name='cities', to_field='iso')
        """,
        {'renames': ['Country:State', 'State.code:iso', 'City.country:state']},
        ["INSERT INTO country (code) VALUES ('ro')", "INSERT INTO city (country_id) VALUES ('ro')"],
    ),
    'a primary key grows and is renamed': (
        """
        class One(Model):
            id = fields.IntField(primary_key=True)
            others = fields.ManyToManyField('models.Two', related_name='ones')
        class Two(Model):
            one = fields.ForeignKeyField('models.One', related_name='twos', null=True)
        """,
        """
        class One(Model):
            key = fields.BigIntField(primary_key=True)
            others = fields.ManyToManyField('models.Two', related_name='ones')
        class Two(Model):
            id = fields.SmallIntField(primary_key=True)
            one = fields.ForeignKeyField('models.One', related_name='twos', null=True)
        """,
        {'renames': ['One.id:key']},
        [
            'INSERT INTO one (id) VALUES (1)',
            'INSERT INTO two (one_id) VALUES (1)',
            'INSERT INTO one_two (one_id, two_id) VALUES (1, 1)',
        ],
    ),
    'a reference loses its constraint': (
        """
        class One(Model):
            pass
        class Two(Model):
            one = fields.ForeignKeyField('models.One', related_name='twos')
        """,
        """
        class One(Model):
            pass
        class Two(Model):
            one = fields.ForeignKeyField('models.One', related_name='twos', db_constraint=False)
        """,
        {},
        ['INSERT INTO one (id) VALUES (1)', 'INSERT INTO two (one_id) VALUES (1)'],
    ),
    'what was optional is required': (
        """
        class Item(Model):
            a = fields.IntField(null=True)
            b = fields.CharField(max_length=9, null=True)
            c = fields.DatetimeField(null=True)
            d = fields.BooleanField(null=True)
        """,
        """
        class Item(Model):
            a = fields.IntField()
            b = fields.CharField(max_length=9, db_default='x')
            c = fields.DatetimeField()
            d = fields.BooleanField(default=True)
        """,
        {'defaults': ['Item.a=7', 'Item.c=2024-02-29T12:30:00+02:00']},
        ['INSERT INTO item (a) VALUES (NULL)'],
    ),
    'types change': (
        """
        class Item(Model):
            a = fields.IntField()
            b = fields.CharField(max_length=9, default='x')
            c = fields.FloatField()
            d = fields.BooleanField(default=False)
            e = fields.SmallIntField(db_default=3)
            f = fields.CharField(max_length=20)
        """,
        """
        class Color(enum.StrEnum):
            RED = 'red'
            GREEN = 'green'
        class Item(Model):
            a = fields.CharField(max_length=20)
            b = fields.CharEnumField(Color, max_length=12, description='its color')
            c = fields.DecimalField(max_digits=9, decimal_places=2)
            d = fields.SmallIntField()
            e = fields.BigIntField(db_default=4)
            f = fields.DatetimeField()
        """,
        {},
        ["INSERT INTO item (a, b, c, d, f) VALUES (12, 'red', 1.5, %s, '2024-01-01 10:00:00')"],
    ),
    'a relation becomes another one': (
        """
        class Tag(Model):
            pass
        class Label(Model):
            pass
        class Item(Model):
            tags = fields.ManyToManyField('models.Tag', related_name='items')
        """,
        """
        class Tag(Model):
            pass
        class Label(Model):
            pass
        class Item(Model):
            tags = fields.ManyToManyField('models.Label', related_name='items', through='marks')
        """,
        {},
        ['INSERT INTO tag (id) VALUES (1)', 'INSERT INTO item (id) VALUES (1)'],
    ),
    'a relation has its own table and keys': (
        """
        class Tag(Model):
            pass
        class Item(Model):
            tags = fields.ManyToManyField('models.Tag', related_name='items')
        """,
        """
        class Tag(Model):
            pass
        class Item(Model):
            tags = fields.ManyToManyField(
                'models.Tag', related_name='items', through='marks', forward_key='t', backward_key='i', unique=False
            )
        """,
        {},
        [
            'INSERT INTO tag (id) VALUES (1)',
            'INSERT INTO item (id) VALUES (1)',
            'INSERT INTO item_tag (item_id, tag_id) VALUES (1, 1)',
        ],
    ),
    'a class is called differently and keeps its table': (
        "class Item(Model):\n    a = fields.IntField()\n    class Meta:\n        table = 'things'",
        "class Thing(Model):\n    a = fields.BigIntField()\n    class Meta:\n        table = 'things'",
        {},
        ['INSERT INTO things (a) VALUES (1)'],
    ),
}


@pytest.mark.parametrize('case', CASES)
async def test_a_change_gives_what_tortoise_would_make(case, history, database, generated):
    before, after, answers, rows = CASES[case]
    runner = database.runner(history.folder)
    history.make(before)
    await runner.migrate()
    first = await database.schema()
    assert first == await generated(history.models)
    true = 'TRUE' if database.backend.dialect == 'postgres' else '1'
    await database.run(*(row.replace('%s', true) for row in rows))
    counted = sorted((await database.counts()).values())

    assert history.make(after, 'second', **answers) is not None
    await runner.migrate()
    assert await database.schema() == await generated(history.models)
    assert sorted((await database.counts()).values()) == counted
    assert history.make(after) is None

    if case == 'types change':  # a date is no 20 characters on the way back
        return
    await runner.downgrade()
    assert await database.schema() == first
    assert sorted((await database.counts()).values()) == counted


CIRCLE = """
class One(Model):
    two = fields.ForeignKeyField('models.Two', related_name='ones', null=True)
class Two(Model):
    one = fields.ForeignKeyField('models.One', related_name='twos', null=True)
"""


async def test_tables_that_refer_to_one_another_are_made_and_dropped(history, database):
    history.make(CIRCLE)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run(
        'INSERT INTO one (id) VALUES (1)', 'INSERT INTO two (one_id) VALUES (1)', 'UPDATE one SET two_id = 1'
    )
    with pytest.raises(Exception, match=r'(?i)foreign key'):
        await database.run('UPDATE one SET two_id = 7')
    await runner.downgrade()
    assert await database.tables() == []


QUOTES = r"""
class Item(Model):
    '''It's "the" item; 100 % of {it} \\ '''
    name = fields.CharField(max_length=90, null=True)
"""

QUOTES_LATER = r"""
class Item(Model):
    '''It's "another" item; 100 % of {it} \\ '''
    name = fields.CharField(max_length=90, default='x', description="it's \\ so")
    more = fields.TextField(default="a'b\\c%s'''\n; --")
    known = fields.CharField(max_length=40, db_default='it is "so\'; 100 % {x} $1 ?')
"""


async def test_quotes_are_only_text(history, database):
    history.make(QUOTES)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.client.execute_query('INSERT INTO item (name) VALUES (NULL)')
    history.make(QUOTES_LATER)
    await runner.migrate()
    (row,) = await database.client.execute_query_dict('SELECT name, more, known FROM item')
    assert dict(row) == {'name': 'x', 'more': "a'b\\c%s'''\n; --", 'known': 'it is "so\'; 100 % {x} $1 ?'}
    await runner.downgrade('zero')


FILLED = """
class Item(Model):
    name = fields.CharField(max_length=10)
"""

FILLED_LATER = """
class Item(Model):
    name = fields.CharField(max_length=10)
    i = fields.IntField()
    s = fields.CharField(max_length=20)
    t = fields.DatetimeField(auto_now_add=True)
    u = fields.DateField()
    k = fields.UUIDField(default=uuid.uuid4, unique=True)
    b = fields.BooleanField(default=True)
    d = fields.DecimalField(max_digits=5, decimal_places=2, default=decimal.Decimal('1.50'))
    j = fields.JSONField(default=list)
    x = fields.BinaryField()
    f = fields.FloatField(db_default=2.5)
"""


async def test_existing_rows_get_the_values_as_the_models_read_them(history, database):
    history.make(FILLED)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run("INSERT INTO item (name) VALUES ('a'), ('b')")
    defaults = ['Item.i=-5', 'Item.s=it\'s \\ "x"', 'Item.t=now', 'Item.u=2024-02-29', 'Item.x=a']
    history.make(FILLED_LATER, defaults=defaults)
    await runner.migrate()
    from tortoise.context import TortoiseContext

    config = {
        'connections': {
            'default': {'engine': 'colibris.persist.database', 'credentials': {'backend': database.backend}}
        },
        'apps': {'models': {'models': [history.models.__name__], 'default_connection': 'default'}},
    }
    async with TortoiseContext() as context:
        await context.init(config=config)
        items = await history.models.Item.all()
        await context.close_connections()
    assert len({item.k for item in items}) == 2
    for item in items:
        assert (item.i, item.s, item.u.isoformat(), item.x) == (-5, 'it\'s \\ "x"', '2024-02-29', b'a')
        assert (item.b, str(item.d), item.j, item.f) == (True, '1.50', [], 2.5)
        assert item.t.tzinfo is not None
        assert abs((item.t - item.t.now(item.t.tzinfo)).total_seconds()) < 60


SCHEMAS = """
class Shop(Model):
    class Meta:
        schema = 'trade'
class Item(Model):
    shop = fields.ForeignKeyField('models.Shop', related_name='items')
    name = fields.CharField(max_length=10, unique=True)
    tags = fields.ManyToManyField('models.Shop', related_name='tagged')
    class Meta:
        schema = 'trade'
"""


@pytest.mark.parametrize('database', ['sqlite', 'postgresql'], indirect=True)
async def test_tables_live_in_their_schema(history, database):
    history.make(SCHEMAS)
    runner = database.runner(history.folder)
    await runner.migrate()
    prefix = '"trade".' if database.backend.dialect == 'postgres' else ''
    await database.run(
        f'INSERT INTO {prefix}shop (id) VALUES (1)', f"INSERT INTO {prefix}item (shop_id, name) VALUES (1, 'x')"
    )
    history.make(SCHEMAS.replace('max_length=10, unique', 'max_length=20, db_index'), 'longer')
    history.make(
        SCHEMAS.replace('max_length=10, unique', 'max_length=20, db_index').replace('class Item', 'class Thing'),
        renames=['Item:Thing'],
    )
    await runner.migrate()
    assert (await database.rows(f'SELECT name FROM {prefix}thing'))[0]['name'] == 'x'
    await runner.downgrade('zero')


INDEXES = """
from colibris.persist import fields as ours
from tortoise.contrib.postgres.indexes import GinIndex
from tortoise.contrib.mysql.indexes import FullTextIndex
from tortoise.functions import Lower
class Item(Model):
    name = fields.CharField(max_length=10)
    data = fields.JSONField()
    class Meta:
        indexes = [
            GinIndex(fields=['data'], name='by_data'),
            FullTextIndex(fields=['name'], name='by_words'),
            PartialIndex(fields=['name'], condition={'id': 1}, name='by_part'),
        ]
"""


async def test_indexes_of_one_database_are_left_out_on_the_others(history, database):
    history.make(INDEXES)
    runner = database.runner(history.folder)
    await runner.migrate()
    found = str(await database.schema())
    dialect = database.backend.dialect
    assert ('by_data' in found) == (dialect == 'postgres')
    assert ('by_words' in found) == (dialect == 'mysql')
    assert 'by_part' in found
    await runner.downgrade()
