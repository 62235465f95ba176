"""Which view answers at which path."""

from service import views

ROUTES = [
    ('/hello', views.HelloView),
    ('/orders', views.OrdersView),
    ('/users', views.UsersView),
    ('/users/{id}', views.UserView),
]
