"""As many routes as the environment says; every other one has a placeholder."""

import os

from growing import views

_COUNT = int(os.environ['BENCHMARK_ROUTES'])

ROUTES = [
    ('/hello', views.HelloView),
    ('/users', views.UsersView),
    *((f'/fixed-{number}', views.HelloView) for number in range(_COUNT // 2)),
    *((f'/items-{number}/{{id}}', views.HelloView) for number in range(_COUNT // 2)),
]
