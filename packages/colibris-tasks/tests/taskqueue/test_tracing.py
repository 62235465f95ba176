"""Tasks work for the request that sent them: in logs, and in traces."""

import json
import logging

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from colibris import taskqueue, tracing
from colibris.logs import JSONFormatter, current_request_id
from colibris.logs.context import working_for
from colibris.taskqueue import testing
from colibris.tracing.testing import recorded


@pytest.fixture
async def spans():
    async with recorded() as exporter:
        yield exporter.get_finished_spans


@pytest.fixture
def lines():
    """What is logged, as JSON."""
    found = []

    class Handler(logging.Handler):
        def emit(self, record):
            found.append(json.loads(JSONFormatter().format(record)))

    handler = Handler()
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


def by_name(spans):
    return {span.name: span for span in spans()}


@pytest.mark.parametrize('function', [testing.add, testing.add_later])
async def test_a_task_continues_the_trace_of_who_sends_it(spans, opened, function):
    with tracing.span('request'):
        await taskqueue.enqueue(function, 1)
    found = by_name(spans)
    name = f'colibris.taskqueue.testing.jobs:{function.__name__}'
    request, sent, run = found['request'], found[f'enqueue {name}'], found[f'run {name}']
    assert (sent.kind, sent.parent.span_id) == (SpanKind.PRODUCER, request.context.span_id)
    assert (run.kind, run.parent.span_id) == (SpanKind.CONSUMER, sent.context.span_id)


@pytest.mark.parametrize('function', [testing.tell_request, testing.tell_request_later])
async def test_what_is_waited_for_is_a_span_around_the_run(spans, opened, function):
    with working_for('r1'):
        assert await taskqueue.execute(function) == 'r1'
    run, sent = spans()
    assert sent.name.startswith('execute ')
    assert run.parent.span_id == sent.context.span_id
    assert sent.start_time <= run.start_time <= run.end_time <= sent.end_time


async def test_each_try_is_a_span_that_tells_no_message(spans, opened):
    await taskqueue.enqueue(testing.fail, 'hunter2', retries=1)
    runs = [span for span in spans() if span.kind is SpanKind.CONSUMER]
    assert [span.attributes['task.attempt'] for span in runs] == [0, 1]
    assert {span.status.status_code for span in runs} == {StatusCode.ERROR}
    assert len({span.context.trace_id for span in runs}) == 1
    for span in spans():
        assert 'hunter2' not in span.to_json()


async def test_each_line_of_a_task_tells_its_request_and_trace(spans, opened, lines):
    with working_for('r1'):
        await taskqueue.enqueue(testing.fail, 'no good', retries=1)
    await taskqueue.enqueue(testing.fail, 'no good', retries=0)
    trace_id = f'{spans()[0].context.trace_id:032x}'
    told = [(line.get('request_id'), line.get('trace_id') == trace_id) for line in lines if 'failed' in line['message']]
    assert told == [('r1', True), ('r1', True), (None, False)]


async def test_without_tracing_a_task_has_the_request_alone(opened):
    with working_for('r1'):
        assert await taskqueue.execute(testing.tell_request) == 'r1'
    [message] = opened.sent
    assert (message.request_id, message.trace) == ('r1', {})
    assert current_request_id() is None
