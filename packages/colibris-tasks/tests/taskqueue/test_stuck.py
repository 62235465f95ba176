"""The end of a process in which nothing goes on."""

import subprocess
import sys

PROGRAM = """
import ctypes, time
from colibris.taskqueue.stuck import ending_when_stuck
with ending_when_stuck(1.0):
    {}
print('went on')
"""


def run(code):
    return subprocess.run([sys.executable, '-c', PROGRAM.format(code)], capture_output=True, text=True, timeout=30)


def test_c_code_that_keeps_the_lock_ends_the_process_with_tracebacks():
    found = run('ctypes.PyDLL(None).usleep(60_000_000)')
    assert found.returncode != 0
    assert 'went on' not in found.stdout
    assert 'line 5 in <module>' in found.stderr


def test_work_that_lets_others_run_may_take_longer():
    found = run('time.sleep(2.5)')
    assert (found.returncode, found.stdout) == (0, 'went on\n'), found.stderr


def test_nothing_is_ended_after_the_block():
    found = run('pass\nctypes.PyDLL(None).usleep(2_500_000)')
    assert (found.returncode, found.stdout) == (0, 'went on\n'), found.stderr
