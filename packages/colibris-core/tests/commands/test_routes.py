import json

import pytest

VIEWS = """
    from colibris.schemas import Schema, fields
    from colibris.views import APIView

    class ItemSchema(Schema):
        name = fields.String(required=True)

    class FilterSchema(Schema):
        name = fields.String()

    class ItemsView(APIView):
        body_schema_class = ItemSchema
        query_schema_class = FilterSchema

        async def get(self):
            return []

        async def post(self):
            return await self.get_validated_body()

    class SecretView(APIView):
        permissions = ('admin', 'owner')

        async def get(self):
            return {}

    class AccountView(APIView):
        authentication_required = True

        async def get(self):
            return {}

    def index(request):
        return {}
"""

ROUTES = """
    from shop import views

    ROUTES = [
        ('/', views.index),
        ('/items', views.ItemsView),
        ('/secret', views.SecretView),
        ('/account', views.AccountView),
    ]
"""


@pytest.fixture
def shop(project_folder):
    project_folder.write('shop/views.py', VIEWS)
    project_folder.write('shop/routes.py', ROUTES)
    return project_folder


def test_the_table_tells_method_path_view_schemas_and_needs(shop):
    result = shop.run('routes')
    assert result.returncode == 0, result.stderr
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in result.stdout.splitlines()}
    assert rows['METHOD', 'PATH'] == ['VIEW', 'BODY', 'QUERY', 'RESPONSE', 'NEEDS']
    assert rows['GET', '/'] == ['shop.views.index', '-', '-', '-', '-']
    assert rows['POST', '/items'][:2] == ['shop.views.ItemsView', 'ItemSchema']
    assert rows['GET', '/items'][2] == 'FilterSchema'
    assert rows['GET', '/secret'][-2:] == ['admin,', 'owner']
    assert rows['GET', '/account'][-2:] == ['an', 'account']


def test_json_holds_the_same_for_programs(shop):
    routes = {(route['method'], route['path']): route for route in json.loads(shop.run('routes', '--json').stdout)}
    post = routes['POST', '/items']
    assert post['view'] == 'shop.views.ItemsView'
    assert (post['body'], post['query']) == ('ItemSchema', None) or post['query'] == 'FilterSchema'
    assert post['authentication_required'] is False
    assert routes['GET', '/secret']['permissions'] == ['admin', 'owner']
    assert routes['GET', '/account']['authentication_required'] is True
    assert ('GET', '/health') in routes


def test_lists_and_partial_functions_are_shown_as_what_they_are(shop):
    shop.write(
        'shop/views.py',
        VIEWS
        + """
    class ManyView(APIView):
        @classmethod
        def get_response_schema(cls, method):
            return ItemSchema(many=True)

        def get(self):
            return []
""",
    )
    shop.write(
        'shop/routes.py',
        """
        import functools
        from shop import views
        ROUTES = [('/many', views.ManyView), ('/partial', functools.partial(views.index))]
        """,
    )
    routes = {route['path']: route for route in json.loads(shop.run('routes', '--json').stdout)}
    assert routes['/many']['response'] == 'list of ItemSchema'
    assert routes['/partial']['view'] == 'shop.views.index'
