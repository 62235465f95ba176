"""Making migration files, without a database."""

import asyncio
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from colibris.persist.migrations import InvalidMigration, MigrationError, maker

ITEM = """
class Item(Model):
    name = fields.CharField(max_length=10)
"""


def test_nothing_changed_makes_no_file(history):
    assert history.make('') is None
    assert not history.folder.path.exists()
    assert history.make(ITEM).path.name == '0001_initial.py'
    assert history.make(ITEM) is None
    assert history.make(ITEM.replace('(Model)', '(Model)').replace('10)', '10, default="x")')) is None
    assert history.files == ['0001_initial.py']


def test_files_are_numbered_and_named(history):
    history.make(ITEM)
    assert history.make(ITEM.replace('10', '20')).path.name == '0002_alter_item_name.py'
    assert history.make(ITEM.replace('10', '30'), 'some_name').path.name == '0003_some_name.py'
    assert (history.folder.path / '__init__.py').exists()


def test_differences_are_told_in_words_and_need_no_answers(history):
    history.make(ITEM)
    assert history.differences(ITEM) == []
    changed = ITEM.replace('name', 'title') + '    count = fields.IntField()\n'
    assert history.differences(changed) == ['drop column item.name', 'add column item.title', 'add column item.count']
    assert history.files == ['0001_initial.py']


def test_an_unmanaged_model_has_no_table(history):
    assert history.make(ITEM + '    class Meta:\n        managed = False\n') is None


@pytest.mark.parametrize('name', ['a b', '../up', 'a/b', '', 'ünïcode', 'x' * 300])
def test_a_name_that_makes_no_file_name_is_refused(history, name):
    with pytest.raises(MigrationError, match=r'name'):
        maker.make_empty(history.folder, name)
    assert not history.folder.path.exists()


def test_two_files_of_one_number_are_an_error_that_names_both(history):
    history.make(ITEM)
    (history.folder.path / '0001_other.py').write_text('')
    with pytest.raises(MigrationError, match=r'0001_initial\.py and 0001_other\.py bear the same number'):
        history.make(ITEM.replace('10', '20'))


def test_a_folder_that_cannot_be_written_is_an_error_that_names_the_file(history):
    history.folder.path.parent.mkdir(exist_ok=True)
    history.folder.path.write_text('this is a file')
    with pytest.raises(MigrationError, match=r'migrations/0001_initial\.py cannot be written: '):
        history.make(ITEM)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('def upgrade(:', 'line 1 is not Python'),
        ('raise RuntimeError("oops")', 'it cannot be loaded: RuntimeError: oops'),
        ('MODELS_STATE = "bm9uc2Vuc2U="', 'its MODELS_STATE cannot be read'),
        ('MODELS_STATE = 5', 'it has no MODELS_STATE'),
        ('', 'it has no MODELS_STATE'),
        ('\0', 'it is not Python'),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(history, text, message):
    history.make(ITEM)
    (history.folder.path / '0002_bad.py').write_text(text)
    with pytest.raises(InvalidMigration, match=rf'^0002_bad\.py: ({message})'):
        history.make(ITEM.replace('10', '20'))


def test_a_state_of_another_tool_is_an_error(history):
    from aerich.utils import get_formatted_compressed_data

    history.make(ITEM)
    state = get_formatted_compressed_data({'models.Item': {'name': 'models.Item'}})
    (history.folder.path / '0002_foreign.py').write_text(f'MODELS_STATE = (\n{state}\n)')
    with pytest.raises(InvalidMigration, match=r'^0002_foreign\.py: its state of models\.Item was not written by'):
        history.make(ITEM)


def test_an_empty_migration_keeps_the_state(history):
    history.make(ITEM)
    made = maker.make_empty(history.folder, 'fill')
    assert made.path.name == '0002_fill.py'
    assert 'execute_query' in made.path.read_text()
    assert history.make(ITEM) is None


def test_models_that_do_not_fit_together_are_an_error(history):
    with pytest.raises(MigrationError, match=r"the models cannot be used: No model with name 'Nothing'"):
        history.make("class Item(Model):\n    other = fields.ForeignKeyField('models.Nothing')\n")


def test_a_default_that_cannot_be_described_is_an_error(history):
    source = 'import functools\nclass Item(Model):\n    n = fields.IntField(default=functools.partial(int, 5))\n'
    with pytest.raises(MigrationError, match='Item cannot be described'):
        history.make(source)


SCRIPT = """
import sys
sys.modules['asyncmy'] = sys.modules['aiomysql'] = sys.modules['asyncpg'] = None
from pathlib import Path
from colibris.persist.migrations import maker, state
from colibris.persist.migrations.files import Folder
maker.make(Folder(Path('migrations')), state.find_models(['app_models']))
"""


def test_files_are_the_same_in_each_process_and_need_no_driver(tmp_path: Path):
    models = """
    from tortoise import fields
    from tortoise.models import Model
    class Zone(Model):
        a = fields.ManyToManyField('models.Item', related_name='za')
        b = fields.ManyToManyField('models.Item', related_name='zb', through='zone_b')
    class Item(Model):
        zone = fields.ForeignKeyField('models.Zone', related_name='items')
        area = fields.ForeignKeyField('models.Zone', related_name='others')
        belt = fields.OneToOneField('models.Zone', related_name='belts')
        name = fields.CharField(max_length=5)
    """
    texts = set()
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / 'app_models.py').write_text(dedent(models))
        environment = {'PYTHONHASHSEED': str(seed), 'PATH': '/usr/bin', 'PYTHONPATH': str(folder)}
        done = subprocess.run(
            [sys.executable, '-c', SCRIPT], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
        texts.add((folder / 'migrations/0001_initial.py').read_text())
    assert len(texts) == 1
    assert "'mysql': [" in texts.pop()


def test_making_a_migration_does_not_touch_the_event_loop(history):
    async def make() -> None:
        history.make(ITEM)

    asyncio.run(make())
    assert history.files == ['0001_initial.py']
