"""The backend: its option, as the setting gives it."""

from pathlib import Path

import pytest

from colibris.taskqueue.embedded import EmbeddedBackend


@pytest.mark.parametrize('path', ['queue.db', Path('queue.db')])
async def test_a_relative_path_starts_at_the_project(context, tmp_path, path):
    backend = EmbeddedBackend(path=path)
    backend.bind(context)
    await backend.open()
    await backend.close()
    assert (tmp_path / 'queue.db').exists()


async def test_the_file_has_a_name_of_its_own_unless_it_is_given_one(context, tmp_path):
    backend = EmbeddedBackend()
    backend.bind(context)
    await backend.open()
    await backend.close()
    assert (tmp_path / 'tasks.db').exists()


@pytest.mark.parametrize('path', ['', None, 5, b'queue.db'])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match='path must be the path of a file, not'):
        EmbeddedBackend(path=path)
