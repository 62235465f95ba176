"""What subsystems and plug-ins use."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from colibris import tracing


def test_while_it_is_off_nothing_happens():
    assert not tracing.is_on()
    with tracing.span('work', kind='client', attributes={'a': 1}) as span:
        span.set_attribute('b', 2)
    assert tracing.carrier() == {}
    with tracing.continued({'traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'}):
        assert tracing.carrier() == {}
    with pytest.raises(RuntimeError, match='tracing is off'):
        tracing.provider()


async def test_spans_lie_in_one_another(spans):
    with tracing.span('outer', kind='consumer') as outer:
        outer.set_attribute('a', 1)
        with tracing.span('inner', attributes={'b': 2}):
            pass
    inner, outer = spans()
    assert (outer.name, outer.kind, dict(outer.attributes)) == ('outer', SpanKind.CONSUMER, {'a': 1})
    assert (inner.kind, inner.parent.span_id) == (SpanKind.INTERNAL, outer.context.span_id)


async def test_an_exception_is_told_without_its_message(spans):
    with pytest.raises(LookupError):
        with tracing.span('work'):
            raise LookupError('hunter2')
    [span] = spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, 'LookupError')
    assert 'hunter2' not in span.to_json()


async def test_a_trace_is_continued_by_what_was_carried(spans):
    with tracing.span('first'):
        carried = tracing.carrier()
    with tracing.span('in between'), tracing.continued(carried), tracing.span('second'):
        pass
    first, second, between = spans()
    assert second.parent.span_id == first.context.span_id
    assert between.context.trace_id != first.context.trace_id


@pytest.mark.parametrize('carried', [{}, {'traceparent': 'nonsense'}, {'other': ''}])
async def test_what_carries_nothing_begins_a_new_trace(spans, carried):
    with tracing.span('outer'), tracing.continued(carried), tracing.span('inner'):
        pass
    inner, outer = spans()
    assert inner.parent is None
    assert inner.context.trace_id != outer.context.trace_id


async def test_other_instrumentation_is_given_a_provider_whose_spans_hold_no_secrets(spans):
    tracer = tracing.provider().get_tracer('other')
    with tracing.span('request'), pytest.raises(ValueError, match='hunter2'):
        with tracer.start_as_current_span('GET', attributes={'http.url': 'http://x/?hunter2', 'http.method': 'GET'}):
            raise ValueError('hunter2')
    with tracing.span('request'):
        tracer.start_span('more', attributes={'url.query': 'hunter2'}).end()
    assert [span.name for span in spans()] == ['GET', 'request', 'more', 'request']
    for span in spans():
        assert 'hunter2' not in span.to_json()
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_what_is_done_for_nobody_is_not_traced(spans):
    with tracing.provider().get_tracer('other').start_as_current_span('SELECT'):
        pass
    assert spans() == ()
