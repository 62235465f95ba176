"""What is asked of every peer: five kinds of work, and what has to be refused."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: The account whose token is sent, and the row that it asks for.
ACCOUNT = 42
USERS = 10_000

ORDER: Mapping[str, Any] = {
    'customer': {'email': 'ada.lovelace@example.com', 'name': 'Ada Lovelace'},
    'items': [
        {'sku': f'SKU-000{number}-ABCDEF', 'quantity': number + 1, 'unit_price': f'{number * 7 + 3}.99'}
        for number in range(5)
    ],
    'created_at': '2026-01-15T10:30:00+00:00',
    'tags': ['new', 'priority', 'gift'],
}
NEW_USER: Mapping[str, Any] = {
    'name': 'Grace Hopper',
    'email': 'grace.hopper@example.com',
    'role': 'admin',
    'is_active': True,
    'score': 12.5,
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request. *made* names the fields of the answer that differ from one request to the next."""

    name: str
    title: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    with_token: bool = False
    statuses: tuple[int, ...] = (200,)
    made: tuple[str, ...] = ()


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload('W1', 'hello, as JSON', 'GET', '/hello'),
        Workload('W2', 'a nested order, checked and echoed', 'POST', '/orders', ORDER, statuses=(200, 201)),
        Workload('W3', 'a page of 25 rows, with the count', 'GET', '/users?page=1&page_size=25'),
        Workload('W4', 'a token, and the row of its account', 'GET', f'/users/{ACCOUNT}', with_token=True),
        Workload('W5', 'a row made', 'POST', '/users', NEW_USER, statuses=(201,), made=('id', 'created_at')),
    )
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that has to be refused. *token*: none, a good one, or one whose signature is wrong."""

    workload: str
    title: str
    statuses: tuple[int, ...]
    path: str
    body: Mapping[str, Any] | None = None
    token: str | None = None

    @property
    def method(self) -> str:
        return WORKLOADS[self.workload].method


def _order(change: Callable[[Any], object]) -> Mapping[str, Any]:
    order = copy.deepcopy(dict(ORDER))
    change(order)
    return order


_INVALID = (400, 422)
REFUSALS = (
    Refusal('W2', 'quantity 0', _INVALID, '/orders', _order(lambda o: o['items'][3].update(quantity=0))),
    Refusal('W2', 'bad email', _INVALID, '/orders', _order(lambda o: o['customer'].update(email='nope'))),
    Refusal('W2', 'long sku', _INVALID, '/orders', _order(lambda o: o['items'][0].update(sku='x' * 33))),
    Refusal('W2', 'no tags', _INVALID, '/orders', _order(lambda o: o.pop('tags'))),
    Refusal('W4', 'no token', (401,), f'/users/{ACCOUNT}'),
    Refusal('W4', 'wrong signature', (401,), f'/users/{ACCOUNT}', token='wrong'),
    Refusal('W4', "another's row", (403, 404), f'/users/{ACCOUNT + 1}', token='good'),  # hidden or forbidden
    Refusal('W5', 'fields missing', _INVALID, '/users', {'name': 'x'}),
)
