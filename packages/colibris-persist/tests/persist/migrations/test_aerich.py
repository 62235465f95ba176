"""The files and the table that tracks them stay aerich's in form: aerich itself can apply them, and go on from them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aerich import Command
from tortoise import Tortoise
from tortoise.backends.base import executor

from colibris.persist.database import opened
from colibris.persist.migrations.files import Folder
from colibris.persist.migrations.runner import Runner

FIRST = """
class Owner(Model):
    name = fields.CharField(max_length=10)
class Item(Model):
    owner = fields.ForeignKeyField('models.Owner', related_name='items')
"""
SECOND = FIRST.replace('max_length=10', 'max_length=20, unique=True')


@pytest.fixture(params=['sqlite', 'postgresql', 'mysql'])
async def backend(request, tmp_path: Path) -> AsyncIterator[object]:
    make = request.getfixturevalue('new_backend')
    backend = make(request.param, 'aerich')
    await backend.drop()
    await backend.create()
    yield backend
    await backend.drop()


async def test_aerich_applies_the_files_takes_them_back_and_goes_on(
    history, backend, tortoise_config, tmp_path, capsys
):
    history.folder = Folder(tmp_path / 'models')
    history.make(FIRST, 'initial')
    history.make(SECOND, 'second')
    config = tortoise_config(backend, history.models)
    config['apps']['models']['models'].append('aerich.models')
    executor.EXECUTOR_CACHE.clear()  # it is kept by the name of the connection, whatever the dialect
    async with Command(config, app='models', location=str(tmp_path / '{app}')) as command:
        client = Tortoise.get_connection('default')
        last = (tmp_path / 'models' / '0002_second.py').rename(tmp_path / '0002_second.py')
        assert await command.upgrade() == ['0001_initial.py']
        await client.execute_query("INSERT INTO owner (name) VALUES ('a')")
        await client.execute_query('INSERT INTO item (owner_id) VALUES (1)')
        last.rename(tmp_path / 'models' / '0002_second.py')
        assert await command.upgrade() == ['0002_second.py']
        assert len(await client.execute_query_dict('SELECT * FROM item')) == 1
        await command.init()
        assert await command.migrate('more', no_input=True) == ''  # to aerich, nothing has changed
        assert await command.downgrade(-1, delete=False) == ['0002_second.py']
        assert len(await client.execute_query_dict('SELECT * FROM item')) == 1
        assert await command.heads() == ['0002_second.py']

    async with opened({'default': backend}):
        runner = Runner(history.folder, backend.client)
        assert await runner.migrate() == ['0002_second']
        assert len(await backend.client.execute_query_dict('SELECT * FROM item')) == 1
