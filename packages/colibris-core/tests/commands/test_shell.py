import os
import pty
import select
import subprocess
import time

import pytest

MODULES = """
    from colibris import persist

    class Item(persist.Model):
        id = persist.fields.IntField(primary_key=True)
        name = persist.fields.CharField(max_length=20)
"""


def test_code_is_run_with_settings_and_await(project_folder):
    code = 'import asyncio; await asyncio.sleep(0); print(settings.PORT)'
    result = project_folder.run('shell', '-c', code)
    assert (result.returncode, result.stdout) == (0, '8888\n'), result.stderr


def test_code_is_read_from_standard_input(project_folder):
    source = 'import asyncio\nasync def f():\n    return 7\n\nfor _ in range(2):\n    print(await f())\n'
    result = project_folder.run('shell', stdin=source)
    assert (result.returncode, result.stdout) == (0, '7\n7\n'), result.stderr


def test_functions_see_the_names_that_the_code_defines(project_folder):
    result = project_folder.run('shell', '-c', 'x = 1\ndef f():\n    return x\nprint(f())')
    assert result.stdout == '1\n'


@pytest.mark.parametrize(('code', 'error'), [('1 / 0', 'ZeroDivisionError'), ('x = (', 'SyntaxError')])
def test_an_error_is_shown_with_its_own_traceback_only(project_folder, code, error):
    result = project_folder.run('shell', '-c', code)
    assert result.returncode == 1
    assert error in result.stderr
    assert 'colibris/commands' not in result.stderr


def test_the_exit_code_of_the_code_is_passed_on(project_folder):
    assert project_folder.run('shell', '-c', 'raise SystemExit(3)').returncode == 3


def test_models_are_loaded_and_the_database_is_open(project_folder):
    pytest.importorskip('colibris.persist.models')
    project_folder.write('shop/models.py', MODULES)
    project_folder.write('shop/settings.py', "DATABASE = {'backend': 'sqlite', 'name': ':memory:'}\n")
    code = """
print(Item.__name__, models.__name__)
await Item.raw('select 1 as id') if False else None
print(await persist.connectivity_check())
"""
    result = project_folder.run('shell', '-c', code)
    assert result.stdout == 'Item shop.models\nTrue\n', result.stderr


def interact(command, cwd, inputs):
    """Run *command* on a terminal; type each input after the prompt has appeared; return all output."""
    master, slave = pty.openpty()
    environment = {**os.environ, 'TERM': 'dumb'}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment)
    os.close(slave)
    output = b''

    def read_until(marker: bytes) -> None:
        nonlocal output
        start, end = len(output), time.monotonic() + 20
        while marker not in output[start:]:
            assert time.monotonic() < end, output
            if select.select([master], [], [], 0.2)[0]:
                try:
                    output += os.read(master, 10000)
                except OSError:
                    return

    read_until(b'>>> ')
    for text in inputs:
        os.write(master, text)
        read_until(b'>>> ')
    os.write(master, b'\x04')
    try:
        process.wait(10)
    finally:
        process.kill()
        os.close(master)
    return output.decode(), process.returncode


def test_the_prompt_awaits_and_goes_on_after_errors_and_ctrl_c(project_folder):
    output, code = interact(
        project_folder.command('shell', '--plain'),
        project_folder.root,
        [
            b'import asyncio\n',
            b'x = await asyncio.sleep(0, "slept")\n',
            b'x\n',
            b'1 / 0\n',
            b'settings.PORT\n',
        ],
    )
    assert "'slept'" in output
    assert 'ZeroDivisionError' in output
    assert '8888' in output
    assert code == 0
