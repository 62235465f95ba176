"""The migrations of a whole project, by its commands: each runs in a process of its own."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

MANAGE = """
import sys
from pathlib import Path
sys.path[0] = str(Path(__file__).resolve().parent.parent)
from colibris.commands import manage
manage('shop')
"""

MODELS = """
from colibris.persist import Model, fields
class Item(Model):
    name = fields.CharField(max_length=10)
"""


@dataclass
class Project:
    """A project named ``shop``."""

    root: Path

    def write(self, name: str, source: str) -> None:
        path = self.root / 'shop' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run ``manage.py`` and return what it wrote; its exit code must be *code*."""
        done = subprocess.run(self.command(*arguments), cwd=self.root, **self.options, timeout=60)  # type: ignore[call-overload]
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.root / 'shop' / 'manage.py'), *arguments]

    @property
    def options(self) -> dict[str, object]:
        return {'stdin': subprocess.DEVNULL, 'capture_output': True, 'text': True}

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in (self.root / 'shop' / 'migrations').glob('0*.py'))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write('__init__.py', '')
    project.write('manage.py', MANAGE)
    project.write('settings.py', "DATABASE = {'backend': 'sqlite', 'name': 'shop.db'}\n")
    project.write('models.py', MODELS)
    return project


def test_a_project_is_migrated_there_and_back(project):
    assert project.run('makemigrations').startswith('Made shop/migrations/0001_initial.py:\n  - create table item\n')
    assert not (project.root / 'shop.db').exists()  # no database is needed
    assert project.run('makemigrations') == 'No changes: the migrations are up to date with the models.\n'
    assert project.run('migrate', '--list') == '[ ] 0001_initial\n'
    assert 'Applied 0001_initial (' in project.run('migrate')
    assert project.run('migrate') == 'Nothing to apply.\n'
    assert project.run('migrate', '--list') == '[X] 0001_initial\n'
    project.write('models.py', MODELS.replace('10', '20'))
    assert 'alter column item.name (type)' in project.run('migrate', '--check', code=1)
    project.run('makemigrations', 'longer_name')
    assert project.run('migrate', '--check').startswith('The migrations are up to date')
    assert '--list and --check do different things' in project.run('migrate', '--check', '--list', code=1)
    project.run('migrate')
    assert project.files == ['0001_initial.py', '0002_longer_name.py']
    assert 'Took back 0002_longer_name' in project.run('downgrade')
    said = project.run('migrate', '--to', 'zero')
    assert 'Took back 0001_initial' in said
    assert 'Warning: it dropped table item, with all values.' in said
    assert project.run('downgrade') == 'Nothing to take back.\n'
    assert 'Applied 0001_initial' in project.run('migrate', '--to', '1')


def test_questions_need_options_without_a_terminal(project):
    project.run('makemigrations')
    project.write('models.py', MODELS.replace('name', 'title'))
    said = project.run('makemigrations', code=1)
    assert said.startswith('Error: field Item.title is new and name is gone')
    assert '--rename Item.name:title' in said
    assert '--no-rename' in said
    assert 'rename column item.name to title' in project.run('makemigrations', '--rename', 'name:title')
    project.write('models.py', MODELS.replace('name', 'title') + '    size = fields.IntField()\n')
    assert '--default Item.size=0' in project.run('makemigrations', code=1)
    project.run('makemigrations', '--default', 'Item.size=5')
    project.write('models.py', MODELS.replace('name', 'title'))
    assert 'Warning: it drops column item.size, with all values.' in project.run('makemigrations')


def test_a_terminal_is_asked(project):
    project.run('makemigrations')
    project.write('models.py', MODELS.replace('name', 'title') + '    size = fields.IntField(default=3)\n')
    master, slave = pty.openpty()
    process = subprocess.Popen(
        project.command('makemigrations'), cwd=project.root, stdin=slave, stdout=subprocess.PIPE, text=True
    )
    os.close(slave)
    os.write(master, b'1\n\n')
    said, _ = process.communicate(timeout=60)
    os.close(master)
    assert process.returncode == 0
    assert 'The field Item.title is new. Was it called differently before' in said
    assert 'Item.size is new and must have a value' in said
    assert '- add column item.size\n  - rename column item.name to title\n' in said


@pytest.mark.parametrize(
    ('file', 'text', 'arguments', 'message'),
    [
        ('migrations/0002_bad.py', 'x =', ['migrate'], 'Error: 0002_bad.py: line 1 is not Python: invalid syntax\n'),
        ('migrations/0002_bad.py', 'x =', ['makemigrations'], 'Error: 0002_bad.py: line 1 is not Python: '),
        ('migrations/0001_more.py', '', ['migrate'], 'Error: 0001_initial.py and 0001_more.py bear the same number'),
        ('x.py', '', ['migrate', '--to', 'x'], "Error: there is no migration 'x'; there are: 0001_initial\n"),
        ('x.py', '', ['migrate', '--database', 'x'], "Error: there is no database 'x'; there are: default\n"),
        ('x.py', '', ['makemigrations', '--empty'], 'Error: --empty needs a name'),
        ('x.py', '', ['makemigrations', '--empty', 'a-b'], "Error: 'a-b' cannot be the name of a migration"),
        ('x.py', '', ['makemigrations', '--rename', 'a'], 'Error: --rename a: expected Model.old_field:new_field'),
    ],
)
def test_a_mistake_is_one_clear_line(project, file, text, arguments, message):
    project.run('makemigrations')
    project.write(file, text)
    said = project.run(*arguments, code=1)
    assert said.startswith(message)
    assert said.count('\n') == 1


def test_an_empty_migration_is_applied(project):
    project.run('makemigrations')
    said = project.run('makemigrations', '--empty', 'fill')
    assert said == 'Made shop/migrations/0002_fill.py: write its code there.\n'
    assert project.run('migrate').count('Applied') == 2


MODEL_CODE = """
from shop.models import Item
async def upgrade(db):
    await Item.create(name='first')
    assert await Item.all().count() == 1
    return "INSERT INTO item (name) VALUES ('second')"
"""


@pytest.mark.usefixtures('empty_database')
def test_code_that_uses_the_newest_models_runs_in_the_transaction(project):
    project.run('makemigrations')
    project.run('makemigrations', '--empty', 'fill')
    file = project.root / 'shop' / 'migrations' / '0002_fill.py'
    text = file.read_text()
    file.write_text(text.replace("async def upgrade(db: BaseDBAsyncClient) -> str:\n    return ''\n", MODEL_CODE))
    assert 'Applied 0002_fill' in project.run('migrate')


def test_a_database_that_cannot_be_reached_is_one_clear_line(project):
    project.write('settings.py', "DATABASE = {'backend': 'postgresql', 'name': 'x', 'port': 1}\n")
    project.run('makemigrations')
    said = project.run('migrate', code=1)
    assert 'cannot be reached' in said
    assert said.count('\n') == 1


def test_models_that_a_configured_subsystem_brings_are_included(project):
    project.write('__init__.py', '')
    (project.root / 'extra_models.py').write_text(MODELS.replace('Item', 'Token'))
    (project.root / 'extra.py').write_text(
        dedent("""
        from colibris.subsystems import Backend, Subsystem
        class Extra(Subsystem):
            name, setting, group, base, package = 'extra', 'EXTRA', 'extra', Backend, 'extra'
            def model_modules(self):
                return ('extra_models',)
        subsystem = Extra()
        """)
    )
    information = project.root / 'extra-1.0.dist-info'
    information.mkdir()
    (information / 'METADATA').write_text('Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n')
    (information / 'entry_points.txt').write_text('[colibris.subsystems]\nEXTRA = extra:subsystem\n')
    assert 'token' not in project.run('makemigrations')
    settings = (project.root / 'shop' / 'settings.py').read_text()
    project.write('settings.py', settings + "EXTRA = {'backend': 'x'}\n")
    assert '- create table token\n' in project.run('makemigrations')


def test_each_database_has_migrations_of_its_own(project):
    project.write(
        'settings.py',
        """
        DATABASE = {
            'backend': 'sqlite',
            'name': 'shop.db',
            'databases': {'log': {'backend': 'sqlite', 'name': 'log.db'}},
        }
        """,
    )
    project.write('models.py', MODELS + MODELS.replace('Item', 'Entry') + "    class Meta:\n        database = 'log'\n")
    assert 'Made shop/migrations/log/0001_initial.py:\n  - create table entry\n' in project.run('makemigrations')
    assert 'Applied 0001_initial of log (' in project.run('migrate')
    assert project.run('migrate', '--list') == '[X] 0001_initial\n[X] 0001_initial of log\n'
    assert 'Took back 0001_initial of log (' in project.run('downgrade', '--database', 'log')
    assert project.run('migrate', '--list') == '[X] 0001_initial\n[ ] 0001_initial of log\n'


@pytest.fixture(params=['sqlite', 'postgresql', 'mysql'])
def empty_database(
    request: pytest.FixtureRequest, new_backend: Callable[[str, str], object], project: Project
) -> Iterator[None]:
    """Make the project use a new, empty database of each kind."""
    backend = new_backend(request.param, 'shop')

    async def make() -> None:
        await backend.drop()
        await backend.create()

    asyncio.run(make())
    options = {'backend': request.param, 'name': backend.name}
    if request.param != 'sqlite':
        options |= {'host': backend.host, 'port': backend.port, 'username': backend.username}
        options |= {'password': backend.password} if backend.password else {}
    project.write('settings.py', f'DATABASE = {options!r}\n')
    yield
    asyncio.run(backend.drop())


@pytest.mark.usefixtures('empty_database')
def test_processes_that_migrate_at_once_do_not_collide(project):
    models = MODELS
    for number in range(2):
        models += f'    field_{number} = fields.CharField(max_length=5, null=True, unique=True)\n'
        project.write('models.py', models)
        project.run('makemigrations', f'step_{number}')
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: project.run('migrate'), range(4)))
    assert sum(text.count('Applied') for text in said) == 2
    assert project.run('migrate', '--list').count('[X]') == 2
    with ThreadPoolExecutor(2) as pool:
        said = list(
            pool.map(lambda step: project.run(*step), [('migrate', '--to', 'zero'), ('migrate', '--to', 'zero')])
        )
    assert sum(text.count('Took back') for text in said) == 2
