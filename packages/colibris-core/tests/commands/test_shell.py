import os
import pty
import select
import signal
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
print(await persist.connectivity_check())
"""
    result = project_folder.run('shell', '-c', code)
    assert result.stdout == 'Item shop.models\nTrue\n', result.stderr


class Terminal:
    """A command on a terminal."""

    def __init__(self, command, cwd):
        self._master, slave = pty.openpty()
        environment = {**os.environ, 'TERM': 'dumb'}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment)
        os.close(slave)

    def read_until(self, marker='>>> '):
        output, end = '', time.monotonic() + 20
        while marker not in output:
            assert time.monotonic() < end, output
            if select.select([self._master], [], [], 0.2)[0]:
                output += os.read(self._master, 10000).decode()
        return output

    def type(self, text):
        os.write(self._master, text.encode())

    def ask(self, text):
        """Type a line; return what is printed until the next prompt."""
        self.type(f'{text}\n')
        return self.read_until()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(project_folder):
    opened = Terminal(project_folder.command('shell', '--plain'), project_folder.root)
    opened.read_until()
    yield opened
    opened.close()


def test_the_prompt_awaits(terminal):
    terminal.ask('import asyncio')
    terminal.ask('x = await asyncio.sleep(0, "slept")')
    assert "'slept'" in terminal.ask('x')
    assert '8888' in terminal.ask('settings.PORT')


def test_the_prompt_goes_on_after_an_error_which_is_shown_without_its_own_frames(terminal):
    answer = terminal.ask('1 / 0')
    assert 'ZeroDivisionError' in answer
    assert 'colibris/commands' not in answer
    assert '2' in terminal.ask('1 + 1')


def test_background_tasks_run_while_the_prompt_waits(terminal):
    terminal.ask('import asyncio')
    terminal.ask('task = asyncio.create_task(asyncio.sleep(0.3, "done"))')
    time.sleep(1)
    assert "'done'" in terminal.ask('task.result()')


def test_ctrl_c_cancels_what_is_awaited(terminal):
    terminal.ask('import asyncio')
    terminal.type('await asyncio.sleep(60)\n')
    time.sleep(0.5)
    terminal.process.send_signal(signal.SIGINT)
    assert 'KeyboardInterrupt' in terminal.read_until()
    assert '2' in terminal.ask('1 + 1')


def test_ctrl_d_ends_the_shell(terminal):
    terminal.type('\x04')
    assert terminal.process.wait(10) == 0


def test_exit_ends_the_shell(terminal):
    terminal.type('exit()\n')
    assert terminal.process.wait(10) == 0


def test_ipython_is_used_where_it_is_installed_and_awaits_in_the_same_loop(project_folder):
    pytest.importorskip('IPython')
    project_folder.write('shop/models.py', MODULES)
    project_folder.write('shop/settings.py', "DATABASE = {'backend': 'sqlite', 'name': ':memory:'}\n")
    opened = Terminal(project_folder.command('shell'), project_folder.root)
    try:
        opened.read_until('In [1]: ')
        opened.type('await persist.connectivity_check()\n')
        assert 'True' in opened.read_until('In [2]: ')
    finally:
        opened.close()
