"""The commands for accounts, as they are run in a project."""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

MODELS = """
    import enum

    from colibris.persist import Model, fields

    class Role(enum.StrEnum):
        VIEWER = 'viewer'
        ADMIN = 'admin'

    class User(Model):
        id = fields.IntField(primary_key=True)
        username = fields.CharField(max_length=10, unique=True)
        password = fields.CharField(max_length=128, null=True)
        secret = fields.CharField(max_length=128, null=True)
        role = fields.CharEnumField(Role, default=Role.VIEWER)
        team = fields.CharField(max_length=10)

        class Meta:
            table = 'users'
"""
KEYS = {'backend': 'apikey', 'model': 'shop.models.User'}
TOKENS = {'backend': 'jwt', 'model': 'shop.models.User', 'identity_field': 'username', 'secret_field': 'password'}


@pytest.fixture
def make(tmp_path):
    """Make a project with a setting AUTHENTICATION; returns a function that runs a command of it."""

    def make(authentication, *, migrated=True):
        settings = f"""
            SECRET_KEY = {'x' * 32!r}
            DATABASE = {{'backend': 'sqlite', 'name': 'shop.db'}}
            AUTHENTICATION = {authentication!r}
            AUTHORIZATION = {{'backend': 'role', 'role_field': 'role', 'order': ['viewer', 'admin']}}
        """
        (tmp_path / 'pyproject.toml').write_text('[tool.colibris]\npackage = "shop"\n')
        for name, text in (('__init__', ''), ('models', MODELS), ('settings', settings)):
            file = tmp_path / 'shop' / f'{name}.py'
            file.parent.mkdir(exist_ok=True)
            file.write_text(dedent(text))
        if authentication is None:
            (tmp_path / 'shop' / 'settings.py').write_text(f'SECRET_KEY = {"x" * 32!r}\n')
        elif migrated:
            run('makemigrations', 'initial')
            run('migrate')
        return run

    def run(*arguments, fails=False, stdin=''):
        done = subprocess.run(
            [Path(sys.executable).parent / 'colibris', *arguments],
            cwd=tmp_path,
            env={'PATH': os.environ['PATH']},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,  # without a terminal to ask for passwords
        )
        assert (done.returncode == 1) == fails, done.stdout + done.stderr
        return done.stderr.strip() if fails else done.stdout

    return make


def rows(tmp_path, query):
    with sqlite3.connect(tmp_path / 'shop.db') as connection:
        return connection.execute(query).fetchall()


def test_an_account_is_made_and_its_key_printed_once(make, tmp_path):
    run = make(KEYS)

    key = run('createaccount', 'ann', '--role', 'admin', '--set', 'team=red')
    assert re.fullmatch(r'key_[\w-]{43}\n', key)
    assert rows(tmp_path, 'SELECT username, role, team FROM users') == [('ann', 'admin', 'red')]
    ((stored,),) = rows(tmp_path, 'SELECT key FROM colibris_api_keys')
    assert stored.startswith('sha256$')
    assert key.strip() not in stored
    assert "is 'ann' already" in run('createaccount', 'ann', '--set', 'team=red', fails=True)
    assert run('createaccount', 'ann', '--exist-ok') == ''
    assert len(rows(tmp_path, 'SELECT key FROM colibris_api_keys')) == 1


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (('ann',), 'a User needs more: --set team=VALUE'),
        (('ann', '--role', 'boss'), 'the roles are viewer, admin'),
        (('ann', '--set', 'team'), '--set takes FIELD=VALUE'),
        (('ann', '--set', 'colour=red'), "User has no column 'colour'"),
        (('ann', '--set', 'team=much too long'), 'team: Longer than maximum length 10.'),
        (('much too long',), 'username: Longer than maximum length 10.'),
    ],
)
def test_a_mistake_is_named_and_nothing_is_made(make, tmp_path, arguments, said):
    run = make(KEYS)

    assert said in run('createaccount', *arguments, fails=True)
    assert rows(tmp_path, 'SELECT count(*) FROM users') == [(0,)]


def test_a_further_key_is_made_for_whom_there_is(make, tmp_path):
    run = make(KEYS)
    run('createaccount', 'ann', '--set', 'team=red')

    assert run('createapikey', 'ann', '--label', 'ci', '--scope', 'viewer', '--days', '7').startswith('key_')
    ((label, scopes, expires),) = rows(
        tmp_path, "SELECT name, scopes, expires_at FROM colibris_api_keys WHERE name != ''"
    )
    assert (label, scopes) == ('ci', '["viewer"]')
    assert expires is not None
    for name in ('bob', 'Ann'):
        assert f'there is no User whose username is {name!r}' in run('createapikey', name, fails=True)


def test_a_key_in_a_field_is_replaced(make, tmp_path):
    run = make({**KEYS, 'key_field': 'secret'})
    run('createaccount', 'ann', '--set', 'team=red')
    before = rows(tmp_path, 'SELECT secret FROM users')

    run('createapikey', 'ann')
    assert rows(tmp_path, 'SELECT secret FROM users') != before
    assert 'has no name, scopes or expiry' in run('createapikey', 'ann', '--days', '7', fails=True)


def test_a_password_is_asked_for_where_accounts_have_one(make, tmp_path):
    run = make(TOKENS)

    printed = run('createaccount', 'ann', '--set', 'team=red', stdin='beep beep\nbeep beep\n')
    assert 'beep' not in printed
    ((stored,),) = rows(tmp_path, 'SELECT password FROM users')
    assert stored.startswith('$argon2id$')
    assert 'apikey' in run('createapikey', 'ann', fails=True)


def test_without_tables_it_is_told_to_migrate(make):
    run = make(KEYS, migrated=False)

    assert 'Run "migrate" first?' in run('createaccount', 'ann', fails=True)


def test_without_accounts_there_is_nothing_to_make(make):
    assert 'AUTHENTICATION is not set' in make(None)('createaccount', 'ann', fails=True)
