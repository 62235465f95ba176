"""Applying migrations, and what happens when one fails."""

import time

import pytest

from colibris.persist.migrations import InvalidMigration, MigrationError, MigrationFailed, maker
from colibris.persist.migrations.runner import Runner

ITEM = """
class Item(Model):
    name = fields.CharField(max_length=10)
"""
OWNED = """
class Owner(Model):
    name = fields.CharField(max_length=10)
class Item(Model):
    owner = fields.ForeignKeyField('models.Owner', related_name='items')
    name = fields.CharField(max_length=10)
"""


def write(history, name: str, upgrade: str = '', downgrade: str = '', *, head: str = '') -> None:
    """Write a migration of one's own; *upgrade* and *downgrade* are the code of these functions."""
    path = maker.make_empty(history.folder, name).path
    text = path.read_text()
    for step, code in (('upgrade', upgrade), ('downgrade', downgrade)):
        begin = f'async def {step}(db: BaseDBAsyncClient) -> str:\n'
        if code:
            text = text.replace(f"{begin}    return ''\n", f'{begin}{code}')
    path.write_text(text.replace('from tortoise import', f'{head}\nfrom tortoise import'))


async def test_what_is_pending_is_applied_once_and_reported(history, database):
    history.make(ITEM)
    history.make(ITEM.replace('10', '20'), 'longer')
    told = []
    runner = database.runner(history.folder, report=lambda direction, item, _: told.append((direction, item.name)))
    assert [(item.name, item.applied) for item in await runner.status()] == [
        ('0001_initial', False),
        ('0002_longer', False),
    ]
    assert await runner.migrate('1') == ['0001_initial']
    assert [(item.name, item.applied) for item in await runner.status()] == [
        ('0001_initial', True),
        ('0002_longer', False),
    ]
    assert await runner.migrate() == ['0002_longer']
    assert await runner.migrate() == []
    assert told == [('upgrade', '0001_initial'), ('upgrade', '0002_longer')]


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
@pytest.mark.parametrize('wanted', ['0001_initial', '0001_initial.py', 'initial', '1', '0001'])
async def test_a_migration_is_named_in_several_ways(history, database, wanted):
    history.make(ITEM)
    history.make(ITEM.replace('10', '20'), 'longer')
    runner = database.runner(history.folder)
    await runner.migrate()
    assert await runner.migrate(wanted) == ['0002_longer']
    assert await runner.downgrade(wanted) == []
    assert await runner.downgrade('zero') == ['0001_initial']
    with pytest.raises(MigrationError, match="there is no migration 'x'; there are: 0001_initial, 0002_longer"):
        await runner.migrate('x')


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_a_file_that_is_applied_but_missing_is_an_error(history, database):
    history.make(ITEM)
    history.make(ITEM.replace('10', '20'), 'longer')
    runner = database.runner(history.folder)
    await runner.migrate()
    (history.folder.path / '0002_longer.py').unlink()
    for step in (runner.migrate, runner.downgrade):
        with pytest.raises(MigrationError, match=r'does not have: 0002_longer\.py\. Get these files back'):
            await step()
    assert [(item.name, item.missing) for item in await runner.status()] == [
        ('0001_initial', False),
        ('0002_longer', True),
    ]


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_a_file_before_one_that_is_applied_is_an_error(history, database):
    history.make(ITEM)
    history.make(ITEM.replace('10', '20'), 'longer')
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run("DELETE FROM aerich WHERE version = '0001_initial.py'")
    with pytest.raises(MigrationError, match=r'0001_initial\.py is not applied, but 0002_longer\.py'):
        await runner.migrate()


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_a_file_that_is_no_python_is_an_error(history, database):
    history.make(ITEM)
    (history.folder.path / '0002_bad.py').write_text('x = ')
    with pytest.raises(InvalidMigration, match=r'0002_bad\.py: line 1 is not Python'):
        await database.runner(history.folder).migrate()
    (history.folder.path / '0002_bad.py').write_text('x = 1')
    with pytest.raises(InvalidMigration, match=r'0002_bad\.py: it has no function upgrade\(db\)'):
        await database.runner(history.folder).migrate()


async def test_a_data_migration_runs_python_and_what_it_returns(history, database):
    history.make(ITEM)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run("INSERT INTO item (name) VALUES ('ann'), ('bob; x')")
    upgrade = """\
    for row in await db.execute_query_dict('SELECT id, name FROM item'):
        place = {'sqlite': '?, ?', 'postgres': '$1, $2', 'mysql': '%s, %s'}[db.capabilities.dialect].split(', ')
        await db.execute_query(
            f'UPDATE item SET name = {place[0]} WHERE id = {place[1]}', [row['name'].upper(), row['id']]
        )
    return "INSERT INTO item (name) VALUES ('a;b'); -- one; two\\nINSERT INTO item (name) VALUES ('c');"
"""
    write(history, 'upper', upgrade, "    return 'DELETE FROM item WHERE id > 2'\n")
    assert await runner.migrate() == ['0002_upper']
    rows = await database.rows('SELECT name FROM item ORDER BY id')
    assert [row['name'] for row in rows] == ['ANN', 'BOB; X', 'a;b', 'c']
    await runner.downgrade()
    assert (await database.counts()) == {'item': 2}


async def test_a_failed_migration_leaves_nothing_where_the_database_can_take_it_back(history, database):
    history.make(ITEM)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run("INSERT INTO item (name) VALUES ('a')")
    write(history, 'bad', "    return 'CREATE TABLE one (id INT); CREATE TABLE two (id INT); DROP TABLE nothing'\n")
    before = await database.schema()
    with pytest.raises(MigrationFailed, match=r'0002_bad\.py: .*\n  failed: DROP TABLE nothing') as caught:
        await runner.migrate()
    assert caught.value.statement == 'DROP TABLE nothing'
    assert [item.applied for item in await runner.status()] == [True, False]
    if database.backend.dialect == 'mysql':
        assert caught.value.applied == ('CREATE TABLE one (id INT)', 'CREATE TABLE two (id INT)')
        assert 'applied: CREATE TABLE two (id INT)\nThese statements stay applied' in str(caught.value)
    else:
        assert await database.schema() == before
        assert 'Nothing of this migration was applied.' in str(caught.value)
    await database.run("INSERT INTO item (name) VALUES ('b')")


async def test_a_failed_rebuild_or_alter_leaves_the_rows(history, database):
    history.make(ITEM)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run("INSERT INTO item (name) VALUES ('a'), ('a')")
    history.make(ITEM.replace('10)', '10, unique=True)'), 'unique')
    before = await database.schema()
    with pytest.raises(MigrationFailed, match=r'(?i)unique|duplicate'):
        await runner.migrate()
    assert await database.schema() == before
    assert await database.counts() == {'item': 2}


async def test_python_code_that_fails_is_an_error_that_names_the_file(history, database):
    history.make(ITEM)
    code = "    await db.execute_query('CREATE TABLE one (id INT)')\n    raise ValueError('oops')\n"
    write(history, 'bad', code)
    with pytest.raises(MigrationFailed, match=r'0002_bad\.py: its Python code failed: ValueError: oops'):
        await database.runner(history.folder).migrate()
    assert ('one' in await database.tables()) == (database.backend.dialect == 'mysql')


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_a_rebuild_keeps_what_refers_to_the_table_and_leaves_references_enforced(history, database):
    history.make(OWNED)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run(
        "INSERT INTO owner (name) VALUES ('a')",
        "INSERT INTO item (owner_id, name) VALUES (1, 'x'), (1, 'y')",
        'DELETE FROM item WHERE id = 2',
        'CREATE VIEW names AS SELECT name FROM owner',
        'CREATE INDEX by_hand ON owner (name)',
        'CREATE TABLE log (text TEXT)',
        "CREATE TRIGGER logged AFTER UPDATE ON owner BEGIN INSERT INTO log VALUES ('a;b'); END",
    )
    history.make(OWNED.replace('max_length=10', 'max_length=99'))
    await runner.migrate()
    assert await database.counts() == {'owner': 1, 'item': 1, 'log': 0}
    assert await database.rows('PRAGMA foreign_keys') == [{'foreign_keys': 1}]
    assert await database.rows('SELECT name FROM names') == [{'name': 'a'}]
    await database.run("UPDATE owner SET name = 'b'", "INSERT INTO item (owner_id, name) VALUES (1, 'z')")
    assert (await database.counts())['log'] == 1
    # The identifier of a row that was deleted is not given again.
    assert await database.rows('SELECT MAX(id) AS id FROM item') == [{'id': 3}]
    assert 'by_hand' in str(await database.schema())
    await database.run('DELETE FROM owner')
    assert (await database.counts())['item'] == 0


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_a_migration_that_breaks_references_is_taken_back(history, database):
    history.make(OWNED)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run("INSERT INTO owner (name) VALUES ('a')", "INSERT INTO item (owner_id, name) VALUES (1, 'x')")
    other = OWNED.replace("'models.Owner'", "'models.Other'") + '\nclass Other(Model):\n    pass\n'
    history.make(other, 'other')
    message = r'1 row\(s\) of item would refer to rows of other that do not exist; nothing was changed'
    with pytest.raises(MigrationFailed, match=message):
        await runner.migrate()
    assert await database.counts() == {'owner': 1, 'item': 1}
    assert await database.rows('PRAGMA foreign_keys') == [{'foreign_keys': 1}]


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_references_that_lead_nowhere_already_do_not_block(history, database):
    history.make(OWNED)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run(
        'PRAGMA foreign_keys = OFF', "INSERT INTO item (owner_id, name) VALUES (7, 'x')", 'PRAGMA foreign_keys = ON'
    )
    history.make(OWNED.replace('max_length=10', 'max_length=99'))
    await runner.migrate()
    assert await database.counts() == {'owner': 0, 'item': 1}


@pytest.mark.parametrize('database', ['sqlite'], indirect=True)
async def test_a_data_migration_keeps_references_enforced(history, database):
    history.make(OWNED)
    runner = database.runner(history.folder)
    await runner.migrate()
    await database.run("INSERT INTO owner (name) VALUES ('a')", "INSERT INTO item (owner_id, name) VALUES (1, 'x')")
    write(history, 'gone', "    await db.execute_script('DELETE FROM owner;')\n    return ''\n")
    await runner.migrate()
    assert await database.counts() == {'owner': 0, 'item': 0}


async def test_a_file_may_run_without_a_transaction(history, database):
    history.make(ITEM)
    write(
        history,
        'alone',
        "    return 'CREATE TABLE one (id INT); DROP TABLE nothing'\n",
        head='RUN_IN_TRANSACTION = False',
    )
    with pytest.raises(MigrationFailed, match='These statements stay applied'):
        await database.runner(history.folder).migrate()
    assert 'one' in await database.tables()


async def test_migrations_do_not_run_within_a_transaction(history, database):
    history.make(ITEM)
    async with database.client._in_transaction() as db:
        with pytest.raises(MigrationError, match='cannot run within a transaction'):
            Runner(history.folder, db)


async def test_twenty_files_are_applied_in_well_under_a_second(history, database):
    source = ITEM
    for number in range(20):
        source += f'    field_{number} = fields.IntField(null=True)\n'
        history.make(source, f'step_{number}')
    runner = database.runner(history.folder)
    started = time.monotonic()
    assert len(await runner.migrate()) == 20
    assert time.monotonic() - started < 2  # 0.2 s on an idle machine
