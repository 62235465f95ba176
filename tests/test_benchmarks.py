"""The benchmarks: that they can be run, and that what they compare and count is right. Nothing here measures."""

import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from workspace import ROOT, run

pytestmark = pytest.mark.skipif(not (ROOT / 'benchmarks').exists(), reason='there are no benchmarks')


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)


def test_each_benchmark_can_be_run_and_is_described():
    described = (ROOT / 'benchmarks' / 'README.md').read_text()
    names = importlib.import_module('benchmarks.__main__').NAMES
    assert {'peers', 'requests', 'startup', 'cache'} <= set(names)
    for name in names:
        assert f'hatch run bench {name}' in described
        done = run(sys.executable, '-m', 'benchmarks', name, '--help', cwd=ROOT)
        assert done.stdout.startswith('usage:')


def load(name):
    return importlib.import_module(f'benchmarks.peers.{name}')


class Peer:
    """Answers as a good server does, but for what *wrong* says."""

    def __init__(self, **wrong):
        self.wrong = wrong
        self.workloads = load('workloads')

    def ask(self, method, path, body=None, token=None):
        answer = load('server').Answer
        refused = self._refused(path, body, token)
        if refused is not None:
            return answer(self.wrong.get('refusal', refused), b'{}')
        workload = next(w for w in self.workloads.WORKLOADS.values() if (w.method, w.path) == (method, path))
        data = {'id': 1, 'created_at': '2026-01-01T00:00:00Z', **(body or {}), **self.wrong.get(workload.name, {})}
        return answer(workload.statuses[-1], json.dumps(data).encode())

    def _refused(self, path, body, token):
        for refusal in self.workloads.REFUSALS:
            sent = {'good': 'a.b.cd', 'wrong': 'a.b.dc', None: None}[refusal.token]
            if (refusal.path, refusal.body, sent) == (path, body, token):
                return refusal.statuses[0]
        return None


def problems(*peers):
    comparison = load('checking').Comparison()
    return [comparison.problems(peer, ('W1', 'W2', 'W3', 'W4', 'W5'), 'a.b.cd') for peer in peers]


def test_equal_answers_are_equal():
    assert problems(Peer(), Peer()) == [[], []]


def test_times_are_equal_however_they_are_written():
    assert problems(Peer(W3={'at': '2026-01-01T00:00:00Z'}), Peer(W3={'at': '2026-01-01T00:00:00+00:00'})) == [[], []]


@pytest.mark.parametrize('work', ['W1', 'W2', 'W3', 'W4'])
def test_a_different_answer_is_told(work):
    (first, second) = problems(Peer(), Peer(**{work: {'name': 'other'}}))
    assert first == []
    assert [problem.partition(':')[0] for problem in second] == [work]


def test_what_is_made_by_the_server_may_differ_but_not_be_missing():
    assert problems(Peer(), Peer(W5={'id': 7})) == [[], []]
    assert problems(Peer(W5={'id': None})) == [["W5: the answer lacks ['id']"]]


def test_what_has_to_be_refused_and_is_not_is_told():
    (found,) = problems(Peer(refusal=200))
    assert len(found) == len(load('workloads').REFUSALS)


def sample(**changes):
    values = {
        'round': 0,
        'peer': 'tuned',
        'work': 'W1',
        'per_second': 100.0,
        'cpu': 10.0,
        'database_cpu': 0.0,
        'p50': 1.0,
    }
    values |= {'p99': 2.0, 'errors': 0, 'others_on_server_core': 0.0, 'others_on_load_core': 0.0}
    return load('measuring').Sample(**{**values, 'start_seconds': 0.5, 'idle_memory': 40.0, **changes})


def test_disturbed_runs_do_not_count_where_there_are_others():
    samples = [sample(per_second=speed) for speed in (90.0, 100.0, 120.0)]
    samples.append(sample(per_second=500.0, others_on_server_core=0.5))
    (row,) = load('report').rows(samples)
    assert (row.per_second, row.runs, row.undisturbed) == (100.0, 4, 3)
    (row,) = load('report').rows([sample(others_on_server_core=0.5)])
    assert (row.per_second, row.undisturbed) == (100.0, 0)


def test_the_table_compares_with_the_one_by_hand():
    report = load('report')
    rows = report.rows([sample(), sample(peer='colibris', per_second=80.0, cpu=12.5, errors=3)])
    lines = report.table(rows, 'tuned').splitlines()
    (line,) = (line for line in lines if 'colibris' in line)
    assert line.split()[:5] == ['colibris', '80', '0.80', '12.5', '0.80']
    assert '3 ERRORS' in line


def test_the_try_that_others_disturb_least_counts(monkeypatch):
    measuring = load('measuring')
    tries = iter([sample(others_on_server_core=0.6), sample(per_second=5.0, others_on_server_core=0.3), sample()])
    options = measuring.Options(('W1',), 1, 1.0, 2, 0.0)
    taken = measuring._Run(SimpleNamespace(port=0), None, options, 0, '', 40.0)
    monkeypatch.setattr(measuring._Run, '_measure', lambda *_: next(tries))
    monkeypatch.setattr(measuring.load, 'generate', lambda *_: None)
    assert taken.best_of_tries(load('workloads').WORKLOADS['W1']).per_second == 5.0


def test_the_environments_of_the_peers_pin_every_version():
    for file in (ROOT / 'benchmarks' / 'peers').glob('requirements*.txt'):
        lines = [line for line in file.read_text().splitlines() if line and not line.startswith('#')]
        assert lines
        assert all('==' in line for line in lines), file.name


def test_our_service_is_whole():
    """No view lacks a schema, no migration is missing."""
    manage = ROOT / 'benchmarks' / 'peers' / 'project' / 'service' / 'manage.py'
    environment = {'DATABASE_BACKEND': 'sqlite', 'DATABASE_NAME': ':memory:', 'SECRET_KEY': 'x' * 50}
    assert 'No problems found.' in run(sys.executable, manage, 'check', env={**os.environ, **environment}).stdout


def test_the_readme_tells_what_was_measured():
    readme = load('readme')
    file = Path(readme.RESULTS / 'peers.json')
    if not file.exists():
        pytest.skip('nothing was measured yet')
    assert readme.shown() == readme.text(readme.results())
    assert all(file.with_name(name).exists() for name in ('peers.svg', 'peers-dark.svg', 'peers.png'))
