"""The numbers of requests: how many, how long they took, by route and method."""

from __future__ import annotations

from bisect import bisect_left

from aiohttp import web
from aiohttp.hdrs import METH_ALL

from colibris.logs.context import route_of
from colibris.measures import Kind
from colibris.metrics.series import Numbers, Series

#: The upper bounds of the histogram of durations, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = 'colibris_http_requests'
DURATION = 'colibris_http_request_duration_seconds'


class RequestNumbers:
    """Counts requests into *numbers*; the values of labels are bounded by the routes there are."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._values = numbers.values
        self._counts: dict[tuple[str, str | None, int], int] = {}
        self._durations: dict[tuple[str, str | None], tuple[int, list[int]]] = {}

    def observe(self, request: web.Request, status: int, seconds: float) -> None:
        """Count a request that is answered."""
        method = request.method
        route = route_of(request)
        values = self._values
        count = self._counts.get((method, route, status))
        if count is None:
            count = self._new_count(method, route, status)
        values[count] += 1.0
        durations = self._durations.get((method, route))
        if durations is None:
            durations = self._new_duration(method, route)
        total, buckets = durations
        values[total] += seconds
        values[buckets[bisect_left(BUCKETS, seconds)]] += 1.0

    def _new_count(self, method: str, route: str | None, status: int) -> int:
        labels = (*_labels(method, route), ('status', str(status)))
        series = Series(REQUESTS, Kind.COUNTER, 'Requests that were answered.', labels)
        place = self._numbers.place(series)
        if method in METH_ALL:  # others are as many as clients think of
            self._counts[method, route, status] = place
        return place

    def _new_duration(self, method: str, route: str | None) -> tuple[int, list[int]]:
        labels = _labels(method, route)
        total = self._numbers.place(Series(f'{DURATION}:sum', Kind.COUNTER, '', labels))
        bounds = [*map(str, BUCKETS), '+Inf']
        places = [
            self._numbers.place(Series(f'{DURATION}:bucket', Kind.COUNTER, '', (*labels, ('le', bound))))
            for bound in bounds
        ]
        if method in METH_ALL:
            self._durations[method, route] = (total, places)
        return total, places


def _labels(method: str, route: str | None) -> tuple[tuple[str, str], ...]:
    return ('method', method if method in METH_ALL else 'OTHER'), ('route', route or 'none')
