"""The whole document: paths, parameters, bodies, answers, names."""

from importlib import metadata

import marshmallow
import pytest
from aiohttp import web
from openapi_spec_validator import validate

from colibris import api, routes, security
from colibris.app import create_app
from colibris.conf import settings
from colibris.endpoints import Description, endpoints
from colibris.openapi.document import DocumentError, build_document
from colibris.openapi.info import describe_project
from colibris.schemas import Schema, fields
from colibris.views import APIView

VIEWS = """
    from colibris import api
    from colibris.endpoints import Description
    from colibris.schemas import Schema, fields, validate
    from colibris.views import APIView, View

    class ItemSchema(Schema):
        id = fields.Integer(dump_only=True)
        name = fields.String(required=True, validate=validate.Length(max=30))
        price = fields.Decimal(as_string=True, allow_none=True)

    class QuerySchema(Schema):
        size = fields.Integer(required=True, metadata={'description': 'How large.'})
        tag = fields.List(fields.String())
        page = fields.Integer(load_default=1, allow_none=True)

    class ItemsView(APIView):
        \"\"\"Things to sell.\"\"\"

        body_schema_class = ItemSchema
        query_schema_class = QuerySchema

        @classmethod
        def describe(cls, method):
            if method == 'GET':
                return Description(is_list=True)
            return Description(status=201, errors=(api.Duplicate,))

        async def get(self):
            '''List what is sold.

            The *newest* come first.
            '''

        async def post(self):
            pass

    class ItemView(APIView):
        body_schema_class = ItemSchema
        tags = ('stock',)

        @classmethod
        def get_body_schema(cls, method):
            return ItemSchema(partial=True) if method == 'PATCH' else super().get_body_schema(method)

        @classmethod
        def describe(cls, method):
            return Description(status=204 if method == 'DELETE' else 200, errors=(api.NotFound,))

        async def get(self): ...
        async def put(self): ...
        async def patch(self): ...
        async def delete(self): ...

    class ImportView(APIView):
        summary = 'Import items'
        description = 'From a file.'
        responses = {202: 'It has begun.', 409: api.Conflict, 200: ItemSchema(many=True), 503: 'Busy.'}

        class FileSchema(Schema):
            file = fields.File(required=True)

        body_schema_class = FileSchema

        async def post(self): ...

    class SecretView(View):
        hidden = True

        async def get(self): ...

    async def hello(request):
        '''Say hello.'''
"""

ROUTES = """
    from aiohttp import web
    from shop import views
    ROUTES = [
        ('/items', views.ItemsView),
        (r'/items/{id:\\d+}', views.ItemView),
        ('/items/import', views.ImportView),
        ('/secret', views.SecretView),
        ('/api/v1/hello/{name}', views.hello),
        web.post('/api/v1/hello/{name}', views.hello),
    ]
"""


@pytest.fixture
def document(project):
    project(views=VIEWS, routes=ROUTES)
    return build_document(endpoints(create_app()))


def test_the_document_is_valid(document):
    validate(document)
    assert document['openapi'].startswith('3.1')


def test_every_route_of_the_project_is_in_it_but_those_that_hide(document):
    methods = {path: set(operations) for path, operations in document['paths'].items()}
    assert methods == {
        '/api/v1/hello/{name}': {'get', 'post'},
        '/health': {'get'},
        '/health/live': {'get'},
        '/health/ready': {'get'},
        '/items': {'get', 'post'},
        '/items/import': {'post'},
        '/items/{id}': {'get', 'put', 'patch', 'delete'},
    }


def test_operation_ids_are_made_of_path_and_action(document):
    ids = [operation['operationId'] for path in document['paths'].values() for operation in path.values()]
    assert sorted(ids) == [
        'api_v1_hello_create',
        'api_v1_hello_retrieve',
        'health_live_retrieve',
        'health_ready_retrieve',
        'health_retrieve',
        'items_create',
        'items_destroy',
        'items_import_create',
        'items_list',
        'items_partial_update',
        'items_retrieve',
        'items_update',
    ]


def test_query_parameters_come_from_the_query_schema(document):
    assert document['paths']['/items']['get']['parameters'] == [
        {'in': 'query', 'name': 'size', 'description': 'How large.', 'required': True, 'schema': {'type': 'integer'}},
        {
            'in': 'query',
            'name': 'tag',
            'style': 'form',
            'explode': True,
            'schema': {'type': 'array', 'items': {'type': 'string', 'not': {'type': 'string', 'pattern': r'\u0000'}}},
        },
        {'in': 'query', 'name': 'page', 'schema': {'type': 'integer', 'default': 1}},
    ]


def test_query_parameters_of_a_post_may_be_left_out(document):
    assert 'required' not in document['paths']['/items']['post']['parameters'][0]


def test_path_parameters_are_typed_by_their_pattern(document):
    parameter = document['paths']['/items/{id}']['get']['parameters'][0]
    assert parameter == {'in': 'path', 'name': 'id', 'required': True, 'schema': {'type': 'integer', 'minimum': 0}}


def test_a_body_can_be_sent_as_json_or_as_a_form(document):
    body = document['paths']['/items']['post']['requestBody']
    form = {'schema': {'$ref': '#/components/schemas/ItemForm'}}
    assert body == {
        'required': True,
        'content': {
            'application/json': {'schema': {'$ref': '#/components/schemas/ItemRequest'}},
            'application/x-www-form-urlencoded': form,
            'multipart/form-data': form,
        },
    }


def test_a_form_knows_no_null(document):
    schemas = document['components']['schemas']
    assert schemas['ItemRequest']['properties']['price']['type'] == ['string', 'number', 'null']
    assert schemas['ItemForm']['properties']['price']['type'] == ['string', 'number']
    assert schemas['ItemPatchForm']['properties']['price']['type'] == ['string', 'number']


def test_a_file_comes_in_a_multipart_form(document):
    content = document['paths']['/items/import']['post']['requestBody']['content']
    assert list(content) == ['multipart/form-data']


def test_a_patch_takes_a_part(document):
    content = document['paths']['/items/{id}']['patch']['requestBody']['content']['application/json']
    assert content == {'schema': {'$ref': '#/components/schemas/ItemPatch'}}
    assert 'required' not in document['components']['schemas']['ItemPatch']


def test_a_list_answers_in_the_list_envelope(document):
    answer = document['paths']['/items']['get']['responses']['200']
    assert answer['content']['application/json']['schema'] == {'$ref': '#/components/schemas/ItemList'}
    envelope = document['components']['schemas']['ItemList']
    assert envelope['properties']['results']['items'] == {'$ref': '#/components/schemas/Item'}
    assert set(envelope['required']) == set(api.list_envelope([], count=0, page=1, page_size=1))


def test_no_content_has_no_content(document):
    assert document['paths']['/items/{id}']['delete']['responses']['204'] == {'description': 'No Content'}


def test_errors_are_those_that_view_and_schemas_bring(document):
    assert document['paths']['/items']['post']['responses'].keys() == {'201', '400', '409', '413', '415'}
    assert document['paths']['/items/{id}']['get']['responses'].keys() == {'200', '404'}
    assert document['paths']['/items']['get']['responses'].keys() == {'200', '400'}


def test_an_error_is_a_component_with_its_code_in_the_envelope(document):
    reference = document['paths']['/items']['post']['responses']['409']
    assert reference == {'$ref': '#/components/responses/Duplicate'}
    content = document['components']['responses']['Duplicate']['content']['application/json']
    assert content['schema'] == {'$ref': '#/components/schemas/Error'}
    assert content['examples']['duplicate']['value']['code'] == 'duplicate'


def test_errors_that_share_a_status_share_a_response(document):
    response = document['components']['responses']['ParseErrorOrSchemaError']
    assert list(response['content']['application/json']['examples']) == ['parse_error', 'schema_error']


def test_summary_and_description_come_from_docstrings(document):
    operation = document['paths']['/items']['get']
    assert (operation['summary'], operation['description']) == ('List what is sold', 'The *newest* come first.')
    assert document['paths']['/items']['post']['description'] == 'Things to sell.'
    assert document['paths']['/api/v1/hello/{name}']['get']['summary'] == 'Say hello'


def test_views_have_the_first_word(document):
    operation = document['paths']['/items/import']['post']
    assert (operation['summary'], operation['description']) == ('Import items', 'From a file.')
    assert document['paths']['/items/{id}']['get']['tags'] == ['stock']


def test_views_add_responses(document):
    responses = document['paths']['/items/import']['post']['responses']
    assert responses['202'] == {'description': 'It has begun.'}
    assert responses['409'] == {'$ref': '#/components/responses/Conflict'}
    items = {'type': 'array', 'items': {'$ref': '#/components/schemas/Item'}}
    assert responses['200']['content']['application/json']['schema'] == items
    assert responses['503']['content']['application/json']['schema'] == {'$ref': '#/components/schemas/Error'}


def test_tags_are_the_names_of_resources(document):
    assert [tag['name'] for tag in document['tags']] == ['health', 'hello', 'items', 'stock']
    assert document['paths']['/api/v1/hello/{name}']['get']['tags'] == ['hello']


def test_nothing_provisional_is_left(document):
    assert '~' not in api.encode_json(document).decode()


class Things(APIView):
    async def get(self): ...


class PlainView(web.View):
    async def get(self):
        """Get it."""

    async def post(self): ...


def made(project, *routes, **modules):
    """Build the document of a project that has *routes*, besides its health."""
    project(**modules)
    app = create_app()
    app.router.add_routes(routes)
    found = endpoints(app)
    return build_document([endpoint for endpoint in found if not endpoint.path.startswith('/health')])


def test_operation_ids_that_would_collide_name_the_parameters(project):
    document = made(project, web.get('/things', Things), web.get('/things/{id}', Things))
    ids = [path['get']['operationId'] for path in document['paths'].values()]
    assert ids == ['things_retrieve', 'things_by_id_retrieve']


def test_the_methods_of_a_plain_aiohttp_view_are_documented(project):
    document = made(project, web.view('/plain', PlainView))
    assert set(document['paths']['/plain']) == {'get', 'post'}
    assert document['paths']['/plain']['get']['summary'] == 'Get it'


def test_a_list_of_a_schema_that_is_called_list_gets_another_name(project):
    class PartSchema(Schema):
        name = fields.String()

    class PartListSchema(Schema):
        parts = fields.List(fields.Nested(PartSchema))

    class Parts(APIView):
        response_schema_class = PartSchema

        @classmethod
        def describe(cls, method):
            return Description(is_list=True)

        async def get(self): ...

    class PartLists(APIView):
        response_schema_class = PartListSchema

        async def get(self): ...

    document = made(
        project,
        web.get('/parts', Parts.compile('GET', '/parts')),
        web.get('/lists', PartLists.compile('GET', '/lists')),
    )
    assert list(document['components']['schemas']) == ['Error', 'PaginatedPartList', 'Part', 'PartList']
    validate(document)


def test_errors_of_one_name_do_not_hide_each_other(project):
    def conflict(code):
        return type('Taken', (api.Conflict,), {'default_code': code})

    async def first(request): ...

    async def second(request): ...

    project(app='', routes='')
    app = create_app()
    first.responses, second.responses = {409: conflict('taken')}, {409: conflict('gone')}
    routes.add_routes(app.router, [('/first', first), ('/second', second)], 'ROUTES')
    document = build_document(endpoints(app))
    told = {
        code
        for path in ('/first', '/second')
        for code in document['components']['responses'][
            document['paths'][path]['get']['responses']['409']['$ref'].rpartition('/')[2]
        ]['content']['application/json']['examples']
    }
    assert told == {'taken', 'gone'}


class KeyGuard(security.NoGuard):
    def check(self, endpoints): ...

    def security_schemes(self):
        return {'apiKey': {'type': 'apiKey', 'in': 'header', 'name': 'X-API-Key'}}


def test_the_guard_tells_how_to_authenticate(project):
    async def open_to_all(request): ...

    async def guarded(request): ...

    guarded.authentication_required = True
    guarded.permissions = ('admin',)
    project()
    app = create_app()
    routes.add_routes(app.router, [('/open', open_to_all), ('/guarded', guarded)], 'ROUTES')
    security.install(KeyGuard())
    try:
        document = build_document(endpoints(app))
    finally:
        security.install(None)
    validate(document)
    assert document['components']['securitySchemes'] == KeyGuard().security_schemes()
    assert document['paths']['/guarded']['get']['security'] == [{'apiKey': []}]
    assert {'401', '403'} <= document['paths']['/guarded']['get']['responses'].keys()
    assert 'security' not in document['paths']['/open']['get']


def test_what_cannot_be_described_is_named(project):
    class Broken(fields.Field):
        def json_schema(self, direction):
            raise ValueError('no idea')

    class BrokenSchema(Schema):
        field = Broken()

    class BrokenView(APIView):
        response_schema_class = BrokenSchema

        async def get(self): ...

    with pytest.raises(DocumentError, match=r'GET /broken \(.*BrokenView\) cannot be documented: no idea; mend'):
        made(project, web.get('/broken', BrokenView.compile('GET', '/broken')))


def test_title_and_version_come_from_the_package(project):
    info = made(project, name='shop', __init__='__version__ = "1.2.3"')['info']
    assert info == {'title': 'shop', 'version': '1.2.3'}


def test_title_and_description_come_from_the_projects_pyproject(project, tmp_path):
    text = (
        '[project]\nname = "corner-shop"\nversion = "4.5"\ndescription = "Sells."\n[tool.colibris]\npackage = "shop"\n'
    )
    (tmp_path / 'pyproject.toml').write_text(text)
    assert made(project)['info'] == {'title': 'corner-shop', 'version': '4.5', 'description': 'Sells.'}


def test_the_pyproject_of_another_package_is_not_ours(project, tmp_path):
    (tmp_path / 'pyproject.toml').write_text('[project]\nname = "x"\n[tool.colibris]\npackage = "other"\n')
    assert made(project)['info'] == {'title': 'shop', 'version': '0.0.0'}


def test_title_and_version_come_from_the_distribution_that_is_installed():
    with settings.override(PROJECT_PACKAGE_NAME='marshmallow', PROJECT_PACKAGE_DIR=marshmallow.__path__[0]):
        described = describe_project()
    assert described['title'] == 'marshmallow'
    assert described['version'] == metadata.version('marshmallow')


def test_the_health_check_says_what_it_answers_when_it_fails(document):
    assert document['paths']['/health']['get']['responses'].keys() == {'200', '500'}
    assert document['paths']['/health/live']['get']['responses'].keys() == {'200'}
    assert document['paths']['/health/ready']['get']['responses'].keys() == {'200', '503'}
