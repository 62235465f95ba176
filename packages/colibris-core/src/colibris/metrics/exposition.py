"""Numbers as Prometheus reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from colibris.measures import Kind
from colibris.metrics.requests import DURATION
from colibris.metrics.series import Labels, Series

__all__ = ['CONTENT_TYPE', 'render']

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render(found: Iterable[tuple[Series, float]]) -> bytes:
    """Return *found*, the numbers of one process or of several, added up, as text."""
    sums: dict[Series, float] = defaultdict(float)
    for series, value in found:
        sums[series] = max(sums[series], value) if series.kind is Kind.SHARED_GAUGE else sums[series] + value
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(sums))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, sums: dict[Series, float]) -> None:
        self._sums = sums

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for series, value in self._sums.items():
            if series.name.startswith(f'{DURATION}:'):
                continue
            family = families.get(series.name)
            if family is None:
                make = CounterMetricFamily if series.kind is Kind.COUNTER else GaugeMetricFamily
                names = [name for name, _ in series.labels]
                family = families[series.name] = make(series.name, series.help, labels=names)
            family.add_metric([value for _, value in series.labels], value)
        yield from families.values()
        yield from self._durations()

    def _durations(self) -> Iterator[Metric]:
        totals: dict[Labels, float] = {}
        buckets: dict[Labels, list[tuple[str, float]]] = defaultdict(list)
        for series, value in self._sums.items():
            if series.name == f'{DURATION}:sum':
                totals[series.labels] = value
            elif series.name == f'{DURATION}:bucket':
                buckets[series.labels[:-1]].append((series.labels[-1][1], value))
        if not totals:
            return
        family = HistogramMetricFamily(DURATION, 'How long requests took.', labels=['method', 'route'])
        for labels, total in totals.items():
            family.add_metric([value for _, value in labels], _cumulative(buckets[labels]), total)
        yield family


def _cumulative(buckets: list[tuple[str, float]]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    sum_so_far = 0.0
    for bound, value in buckets:
        sum_so_far += value
        found.append((bound, sum_so_far))
    return found
