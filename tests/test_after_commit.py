"""Emails in a project with a database: they wait for the commit, in the service and in its tests."""

from pathlib import Path

from demo import CURRENT, make_demo
from workspace import run

SENDING = """
import asyncio
from pathlib import Path
from colibris import email, persist

sent = lambda: len(list(Path('mails').glob('*.eml')))
message = email.EmailMessage('Subject', 'body', to=['someone@example.com'])

async with persist.transaction():
    async with persist.transaction():
        email.send(message)
    await asyncio.sleep(0.3)
    assert sent() == 0, 'within the transaction'

await asyncio.sleep(0.3)
assert sent() == 1, 'after the commit'

try:
    async with persist.transaction():
        email.send(message)
        raise LookupError
except LookupError:
    pass

async with persist.transaction():
    try:
        async with persist.transaction():
            email.send(message)
            raise LookupError
    except LookupError:
        pass

await asyncio.sleep(0.3)
assert sent() == 1, 'after a rollback'
email.send(message)
print('as it should be')
"""

TESTS = """
import pytest
from colibris import cache, email, persist

message = email.EmailMessage('Subject', 'body', to=['someone@example.com'])


async def test_a_commit_sends(mailbox):
    async with persist.transaction():
        email.send(message)
        assert mailbox == []
    assert len(mailbox) == 1


async def test_a_rollback_does_not(mailbox):
    with pytest.raises(LookupError):
        async with persist.transaction():
            email.send(message)
            raise LookupError
    assert mailbox == []


@pytest.mark.parametrize('number', [1, 2])
async def test_each_test_finds_the_cache_empty(number):
    assert await cache.add('key', number)
"""


def test_emails_wait_for_the_commit(tmp_path: Path) -> None:
    folder = make_demo(tmp_path)
    with (folder / 'demo' / 'settings.py').open('a') as file:
        file.write("\nEMAIL |= {'backend': 'file', 'path': 'mails'}\n")
    options = {'cwd': folder, 'env': CURRENT.variables}
    assert 'as it should be' in run(folder / 'demo' / 'manage.py', 'shell', input=SENDING, **options).stdout
    assert len(list((folder / 'mails').glob('*.eml'))) == 2  # the last one when the shell ended


def test_the_tests_of_a_project_see_what_is_sent(tmp_path: Path) -> None:
    folder = make_demo(tmp_path)
    (folder / 'demo' / 'tests' / 'test_sending.py').write_text(TESTS)
    for variables in ({}, {'EMAIL_BACKEND': 'smtp', 'EMAIL_PORT': '1'}):
        options = {'cwd': folder, 'env': CURRENT.variables | variables}
        output = run(folder / 'demo' / 'manage.py', 'test', '-q', '-n', '2', **options).stdout
        assert 'passed' in output
