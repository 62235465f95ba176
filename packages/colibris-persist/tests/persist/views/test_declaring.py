"""What is wrong with the declaration of a view is told at start-up: what, where, and what to do."""

import pytest

from colibris.persist.pagination import PageNumberPagination
from colibris.schemas import ModelFilter, ModelSchema, Schema, fields
from colibris.views import (
    CreateMixin,
    ListCreateModelView,
    ListMixin,
    ModelView,
    RetrieveMixin,
    RetrieveUpdateDestroyModelView,
)


@pytest.fixture(scope='session')
def database(tmp_path_factory):
    return {'backend': 'sqlite', 'name': str(tmp_path_factory.mktemp('declared') / 'books.db')}


@pytest.fixture
def models(bookshop):
    import bookshop.models

    return bookshop.models


@pytest.fixture
def schemas(models):
    import bookshop.schemas

    return bookshop.schemas


def refused(view, path='/books', methods=None):
    def compile_all():
        for method in methods or view.http_methods():
            view.compile(method, path)

    with pytest.raises(TypeError) as caught:
        compile_all()
    return str(caught.value)


def view(base=ListCreateModelView, **attributes):
    return type('TheView', (base,) if isinstance(base, type) else base, attributes)


def test_a_view_without_a_model(schemas):
    assert 'TheView needs a model: set model' in refused(view(body_schema_class=schemas.BookSchema))


def test_a_count_that_is_none(models, schemas):
    said = refused(view(model=models.Book, body_schema_class=schemas.BookSchema, count='roughly'))
    assert said == "TheView: count must be 'exact', 'estimated' or None, not 'roughly'"


def test_a_view_that_creates_without_a_schema(models, schemas):
    said = refused(view(model=models.Book, response_schema_class=schemas.BookSchema))
    assert said == 'TheView answers POST and needs the schema of its bodies: set body_schema_class'


def test_a_view_that_shows_without_a_schema(models):
    assert 'set response_schema_class or body_schema_class' in refused(view(model=models.Book))


def test_a_view_that_both_lists_and_retrieves():
    with pytest.raises(TypeError, match='cannot both list and retrieve by GET: make two views'):
        view((ModelView, ListMixin, RetrieveMixin))


def test_a_path_without_a_place_for_the_row(models, schemas):
    detail = view(RetrieveUpdateDestroyModelView, model=models.Book, body_schema_class=schemas.BookSchema)
    assert "'/books' has no {id} to tell which" in refused(detail)
    assert 'no {id} to tell which' in refused(detail, '/books/{pk}')
    for method in detail.http_methods():
        detail.compile(method, r'/books/{id:\d+}')


@pytest.mark.parametrize(('field', 'said'), [('titel', "no column 'titel'"), ('title', 'is not unique')])
def test_a_row_that_cannot_be_identified(models, schemas, field, said):
    detail = view(
        RetrieveUpdateDestroyModelView, model=models.Book, body_schema_class=schemas.BookSchema, lookup_field=field
    )
    assert said in refused(detail, '/books/{id}')


def test_a_list_that_is_not_paginated(models, schemas):
    said = refused(view(model=models.Book, body_schema_class=schemas.BookSchema, pagination_class=None))
    assert 'a list is always paginated' in said


def test_pages_larger_than_their_cap(models, schemas):
    class Pages(PageNumberPagination):
        page_size = 200

    said = refused(view(model=models.Book, body_schema_class=schemas.BookSchema, pagination_class=Pages))
    assert 'page_size (200) must be between 1 and max_page_size (100)' in said


def test_two_parameters_of_one_name(models, schemas):
    class Query(Schema):
        page = fields.Integer()

    said = refused(view(model=models.Book, body_schema_class=schemas.BookSchema, query_schema_class=Query))
    assert (
        said == "TheView: Query and PageNumberPagination both have a query parameter 'page'; call one of them otherwise"
    )


def test_a_schema_that_leaves_out_what_each_row_needs(models):
    class Short(ModelSchema):
        class Meta:
            model = models.Book
            fields = ('title',)

    said = refused(view(model=models.Book, body_schema_class=Short))
    assert "cannot create a Book: 'author_id' has no default, and Short does not load it" in said

    class Hooked(ListCreateModelView):
        model = models.Book
        body_schema_class = Short

        async def perform_create(self, data):
            return await super().perform_create({**data, 'author_id': 1})

    Hooked.compile('POST', '/books')


def test_a_schema_that_loads_what_no_column_keeps(models, schemas):
    class Extra(schemas.AuthorSchema):
        colour = fields.String()

        class Meta(schemas.AuthorSchema.Meta):
            pass

    assert "would not know where to keep 'colour' of Extra" in refused(
        view(model=models.Author, body_schema_class=Extra)
    )


def test_a_schema_that_loads_nested_objects(models, schemas):
    class Nested(ModelSchema):
        country = fields.Nested(schemas.CountrySchema)

        class Meta:
            model = models.Author
            fields = ('name', 'country')
            read_write = ('country',)

    assert "would not know where to keep 'country'" in refused(view(model=models.Author, body_schema_class=Nested))


def test_schemas_that_nest_one_another_without_end(models):
    class Endless(ModelSchema):
        parent = fields.Nested(lambda: Endless(), attribute='author')
        books = fields.Nested(lambda: Endless(), many=True)
        author = fields.Nested(lambda: Endless())

        class Meta:
            model = models.Book
            fields = ('title',)

    listed = view((ModelView, ListMixin), model=models.Author, response_schema_class=Endless)
    assert 'end the circle with only= or exclude=' in refused(listed)


def test_a_relation_that_is_dumped_as_a_number(models):
    class Wrong(Schema):
        author = fields.Integer()

    listed = view((ModelView, ListMixin), model=models.Book, response_schema_class=Wrong)
    assert 'Book.author is a relation: use fields.Nested' in refused(listed)


def test_a_relation_to_prefetch_that_is_none(models, schemas):
    listed = view((ModelView, ListMixin), model=models.Book, response_schema_class=schemas.TagSchema, prefetch=('x',))
    assert "prefetch names 'x', which is no relation of Book" in refused(listed)


def lister(models, schemas, made):
    return view((ModelView, ListMixin), model=models.Book, response_schema_class=schemas.BookSchema, filter_class=made)


def declared(**meta):
    own = {name: meta.pop(name) for name in list(meta) if name.startswith('own_')}
    return type('TheFilter', (ModelFilter,), {'Meta': type('Meta', (), meta), **own})


@pytest.mark.parametrize(
    ('meta', 'said'),
    [
        ({'fields': ['titel']}, "Book has no field 'titel'; did you mean 'title'"),
        ({'fields': 'title'}, 'must be a list or a dictionary'),
        ({'fields': {'title': ['equals']}}, "there is no operator 'equals'"),
        ({'fields': {'pages': ['like']}}, "'pages' cannot be filtered by 'like'; for this column there are: eq"),
        ({'fields': {'in_print': ['gt']}}, "cannot be filtered by 'gt'"),
        ({'fields': {'author': ['gt']}}, "cannot be filtered by 'gt'"),
        ({'fields': {'title': ['regexp']}}, 'which SQLite does not have'),
        ({'fields': ['author__nmae']}, "Author has no column 'nmae'"),
        ({'fields': ['author__country__name']}, 'does not lead to a column across one relation'),
        ({'fields': ['title__name']}, 'is no relation'),
        ({'ordering': ['titel']}, "Book has no field 'titel'"),
        ({'ordering': ['tags']}, 'has no order'),
        ({'search': ['pages']}, 'no text that can be searched'),
        ({'order': ['titel']}, "Book has no field 'titel'"),
        ({'field': ['title']}, "no option 'field'; did you mean 'fields'"),
        ({'own_thing': fields.Integer()}, 'needs a method filter_own_thing'),
    ],
)
def test_a_filter_that_makes_no_sense(models, schemas, meta, said):
    made = declared(model=models.Book, **meta)
    listed = view(
        (ModelView, ListMixin), model=models.Book, response_schema_class=schemas.BookSchema, filter_class=made
    )
    assert said in refused(listed)


def test_a_filter_without_a_model(models, schemas):
    listed = view((ModelView, ListMixin), model=models.Book, response_schema_class=schemas.BookSchema)
    listed.filter_class = type('TheFilter', (ModelFilter,), {})
    assert 'TheFilter: class Meta must have "model"' in refused(listed)


def test_a_filter_of_another_model(models, schemas):
    listed = view((ModelView, ListMixin), model=models.Book, response_schema_class=schemas.BookSchema)
    listed.filter_class = declared(model=models.Author, fields=['name'])
    assert 'TheFilter filters Author, not Book' in refused(listed)


def test_a_parameter_that_a_column_and_an_option_share(models, schemas):
    made = declared(model=models.Book, fields=['title'], ordering=['title'])
    made.ORDER = 'title'
    assert "two query parameters called 'title'" in refused(lister(models, schemas, made))


def test_what_a_view_tells_the_documentation(models, schemas):
    made = view(
        model=models.Book,
        body_schema_class=schemas.BookSchema,
        filter_class=declared(model=models.Book, fields=['title']),
    )
    listing = made.compile('GET', '/books').endpoint
    creating = made.compile('POST', '/books').endpoint
    assert (listing.is_list, listing.status, set(listing.query_schema.fields)) == (
        True, 200, {'title', 'page', 'page_size'},
    )  # fmt: skip
    assert (creating.is_list, creating.status, creating.query_schema) == (False, 201, None)
    assert type(creating.body_schema) is type(creating.response_schema) is schemas.BookSchema


def test_mixins_can_come_before_the_view(models, schemas):
    made = view((ListMixin, CreateMixin, ModelView), model=models.Book, body_schema_class=schemas.BookSchema)
    assert set(made.http_methods()) == {'GET', 'POST'}
    assert made.compile('GET', '/books').endpoint.is_list
