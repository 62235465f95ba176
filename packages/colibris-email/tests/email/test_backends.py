"""The backends without a server: the contract, and what each does beside it."""

import pytest

from colibris.email.console import ConsoleBackend
from colibris.email.errors import TemporaryFailure
from colibris.email.file import FileBackend
from colibris.email.memory import MemoryBackend
from colibris.email.testing import EmailBackendSuite, sealed


class TestMemoryBackend(EmailBackendSuite):
    @pytest.fixture
    async def backend(self):
        return MemoryBackend()

    async def received(self, backend):
        return [envelope.data for envelope in backend.outbox]


class TestFileBackend(EmailBackendSuite):
    @pytest.fixture
    async def backend(self, tmp_path):
        self.folder = tmp_path / 'made' / 'mails'
        return FileBackend(path=self.folder)

    async def received(self, backend):
        return [file.read_bytes() for file in sorted(self.folder.glob('*.eml'))]


async def test_a_folder_that_is_gone_is_worth_another_try(tmp_path):
    backend = FileBackend(path=tmp_path / 'gone')
    with pytest.raises(TemporaryFailure, match='gone'):
        await backend.deliver(sealed())


async def test_the_console_shows_what_can_be_read(capsys):
    message = sealed(subject='Grüße', body='Ein Text ü', html='<p>ü</p>', bcc=['hidden@example.com'])
    await ConsoleBackend().deliver(message)
    printed = capsys.readouterr().out
    for text in ('Subject: Grüße', 'Ein Text ü', '<p>ü</p>', '(to one@example.com, hidden@example.com)'):
        assert text in printed
