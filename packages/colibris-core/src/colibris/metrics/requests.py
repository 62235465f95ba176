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
        #: Where the count, the sum of durations and the buckets are, by the route itself, method and status.
        self._places: dict[tuple[object, str, int], tuple[int, int, list[int]]] = {}

    def observe(self, request: web.Request, status: int, seconds: float) -> None:
        """Count a request that is answered."""
        match_info = request._match_info
        route = None if match_info is None else match_info._route
        places = self._places.get((route, request._method, status)) or self._new_places(request, route, status)
        count, total, buckets = places
        values = self._values
        values[count] += 1.0
        values[total] += seconds
        values[buckets[bisect_left(BUCKETS, seconds)]] += 1.0

    def _new_places(self, request: web.Request, route: object, status: int) -> tuple[int, int, list[int]]:
        method, template = request.method, route_of(request)
        places = (self._new_count(method, template, status), *self._new_duration(method, template))
        if method in METH_ALL and template is not None:  # there are as many others as clients think of
            self._places[route, method, status] = places
        return places

    def _new_count(self, method: str, route: str | None, status: int) -> int:
        labels = (*_labels(method, route), ('status', str(status)))
        series = Series(REQUESTS, Kind.COUNTER, 'Requests that were answered.', labels)
        return self._numbers.place(series)

    def _new_duration(self, method: str, route: str | None) -> tuple[int, list[int]]:
        labels = _labels(method, route)
        total = self._numbers.place(Series(f'{DURATION}:sum', Kind.COUNTER, '', labels))
        bounds = [*map(str, BUCKETS), '+Inf']
        places = [
            self._numbers.place(Series(f'{DURATION}:bucket', Kind.COUNTER, '', (*labels, ('le', bound))))
            for bound in bounds
        ]
        return total, places


def _labels(method: str, route: str | None) -> tuple[tuple[str, str], ...]:
    return ('method', method if method in METH_ALL else 'OTHER'), ('route', route or 'none')
