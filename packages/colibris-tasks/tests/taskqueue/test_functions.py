"""Which functions may be tasks, and how they are found."""

import functools
import os
import sys
from types import ModuleType

import pytest

from colibris.taskqueue import task
from colibris.taskqueue.errors import FunctionError, NotAllowed, NotFound
from colibris.taskqueue.functions import Functions, options_of


def make_module(name, source, monkeypatch):
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(source, module.__dict__)
    return module


SOURCE = """
import os
from functools import wraps
from os import getcwd

def plain():
    return 'plain'

async def later():
    return 'later'

class Holder:
    def method(self):
        pass

def decorate(function):
    @wraps(function)
    def wrapper():
        return function()
    return wrapper

@decorate
def decorated():
    return 'decorated'

def outer():
    def inner():
        pass
    return inner

unnamed = lambda: None
"""


@pytest.fixture
def jobs(monkeypatch):
    monkeypatch.setitem(sys.modules, 'jobpackage', ModuleType('jobpackage'))
    return make_module('jobpackage.jobs', SOURCE, monkeypatch)


@pytest.fixture
def functions():
    return Functions('jobpackage')


@pytest.mark.parametrize('name', ['plain', 'later', 'decorated'])
def test_functions_of_modules_are_found_by_their_names(jobs, functions, name):
    function = getattr(jobs, name)
    assert functions.name_of(function) == f'jobpackage.jobs:{name}'
    assert functions.find(f'jobpackage.jobs:{name}') is function


@pytest.mark.parametrize(
    ('get', 'reason'),
    [
        (lambda jobs: jobs.unnamed, 'a lambda has no name'),
        (lambda jobs: jobs.outer(), 'within another function'),
        (lambda jobs: jobs.Holder.method, 'Holder.method cannot be a task: it is a method of a class'),
        (lambda jobs: jobs.Holder().method, 'Holder.method cannot be a task: it is a method, not'),
        (lambda jobs: jobs.Holder, 'Holder cannot be a task: it is a class'),
        (lambda jobs: functools.partial(jobs.plain), 'an object of type partial, not a function'),
        (lambda jobs: print, 'print cannot be a task: it is written in C'),
        (lambda jobs: 'text', "'text' cannot be a task: it is no function but of type str"),
        (lambda jobs: jobs.later(), 'later cannot be a task: it was called already'),
    ],
)
def test_what_cannot_be_found_by_a_name_is_refused(jobs, functions, get, reason):
    with pytest.raises(FunctionError) as caught:
        functions.name_of(get(jobs))
    assert reason in str(caught.value)


def test_a_function_of_the_main_program_is_refused(functions):
    def function():
        pass

    function.__module__, function.__qualname__ = '__main__', 'function'
    with pytest.raises(NotAllowed, match='the program that was started'):
        functions.name_of(function)


def test_a_function_that_something_else_hides_is_refused(jobs, functions):
    hidden = jobs.plain
    jobs.plain = lambda: None
    with pytest.raises(FunctionError, match='something else under that name'):
        functions.name_of(hidden)


@pytest.mark.parametrize('name', ['os:getcwd', 'os.path:join', 'jobpackages.jobs:plain', 'builtins:eval', 'x:y'])
def test_modules_outside_of_the_project_are_not_even_imported(jobs, functions, name, monkeypatch):
    monkeypatch.setattr('colibris.taskqueue.functions.import_module', pytest.fail)
    with pytest.raises(NotAllowed, match='may not be run'):
        functions.find(name)


@pytest.mark.parametrize('name', ['getcwd', 'wraps'])
def test_what_a_module_of_the_project_has_imported_is_not_run(jobs, functions, name):
    with pytest.raises(NotAllowed):
        functions.find(f'jobpackage.jobs:{name}')


@pytest.mark.parametrize(
    'name',
    [
        'jobpackage.jobs:os.system',
        'jobpackage.jobs:Holder.method',
        'jobpackage.jobs:',
        'plain',
        'jobpackage..jobs:plain',
        '.jobs:plain',
        'jobpackage.jobs:plain:x',
        'jobpackage.jobs:plain()',
    ],
)
def test_names_are_one_module_and_one_attribute(jobs, functions, name):
    with pytest.raises(NotFound, match='no name of a function'):
        functions.find(name)


def test_classes_are_not_run(jobs, functions):
    with pytest.raises(NotAllowed, match='no function but type'):
        functions.find('jobpackage.jobs:Holder')


@pytest.mark.parametrize('name', ['jobpackage.jobs:gone', 'jobpackage.gone:plain'])
def test_what_is_gone_is_told(jobs, functions, name):
    with pytest.raises(NotFound, match='there is no'):
        functions.find(name)


def test_further_modules_can_be_named():
    assert Functions('shop', ['os']).find('os:getenv') is os.getenv
    with pytest.raises(NotAllowed):
        Functions('shop', ['osx']).find('os:getenv')


def test_a_named_function_is_found_wherever_it_lies(jobs, functions):
    def moved():
        return 'moved'

    moved.__module__, moved.__qualname__ = 'jobpackage.new', 'moved'
    task(name='jobs.moved')(moved)
    assert functions.find('jobs.moved@jobpackage.old') is moved
    assert functions.name_of(moved) == 'jobs.moved@jobpackage.new'


def test_two_functions_of_one_name_are_refused(jobs):
    source = 'from colibris.taskqueue import task\n@task(name="jobs.twice")\ndef {0}(): pass\n'
    exec(source.format('first'), {'__name__': 'jobpackage.jobs'})
    with pytest.raises(FunctionError, match='two tasks are named'):
        exec(source.format('second'), {'__name__': 'jobpackage.jobs'})


def test_a_named_function_outside_of_the_project_is_not_run(functions):
    exec('from colibris.taskqueue import task\n@task(name="foreign")\ndef f(): pass', {'__name__': 'elsewhere'})
    with pytest.raises(NotAllowed):
        functions.find('foreign@jobpackage.jobs')


def test_a_name_that_nothing_declares_is_told(functions):
    with pytest.raises(NotFound, match='no task named'):
        functions.find('nothing@jobpackage.jobs')


def test_options_are_kept_with_the_function(jobs):
    declared = task(queue='mail', retries=7, time_limit=None)(jobs.plain)
    assert declared is jobs.plain
    options = options_of(declared)
    assert (options.queue, options.retries, options.time_limit, options.limited) == ('mail', 7, None, True)
    assert declared() == 'plain'


def test_task_works_without_parentheses(jobs):
    assert task(jobs.plain) is jobs.plain
    assert not options_of(jobs.plain).limited


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'queue': 5}, 'queue'),
        ({'retries': -1}, 'retries'),
        ({'retries': True}, 'retries'),
        ({'time_limit': 0}, 'time_limit'),
        ({'time_limit': 'x'}, 'time_limit'),
    ],
)
def test_wrong_options_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        task(**options)


def test_a_wrong_name_is_refused(jobs):
    for name in ('a name', '', 5):
        with pytest.raises(FunctionError, match='no name of a task'):
            task(name=name)(jobs.plain)
