from bookshop import filters, models, schemas
from colibris.persist import on_commit
from colibris.persist.views import PageNumberPagination
from colibris.schemas import Schema, fields
from colibris.views import (
    CreateMixin,
    ListCreateModelView,
    ListMixin,
    ModelView,
    RetrieveUpdateDestroyModelView,
)


class ShelvesView(ListCreateModelView):
    model = models.Shelf
    body_schema_class = schemas.ShelfSchema


class ShelfView(RetrieveUpdateDestroyModelView):
    model = models.Shelf
    body_schema_class = schemas.ShelfSchema
    url_identifier = 'letter'


class ShelvesByDateView(ListCreateModelView):
    model = models.Shelf
    body_schema_class = schemas.ShelfSchema


class ShelfByDateView(RetrieveUpdateDestroyModelView):
    model = models.Shelf
    body_schema_class = schemas.ShelfSchema
    lookup_field = 'built'
    url_identifier = 'built'


class CountriesView(ListCreateModelView):
    model = models.Country
    body_schema_class = schemas.CountrySchema


class CountryView(RetrieveUpdateDestroyModelView):
    model = models.Country
    body_schema_class = schemas.CountrySchema
    url_identifier = 'code'
    lookup_field = 'code'


class TagsView(ListCreateModelView):
    model = models.Tag
    body_schema_class = schemas.PlainTagSchema


class TagView(RetrieveUpdateDestroyModelView):
    model = models.Tag
    body_schema_class = schemas.PlainTagSchema
    lookup_field = 'name'
    url_identifier = 'name'


class AuthorsView(ListCreateModelView):
    model = models.Author
    body_schema_class = schemas.AuthorSchema
    filter_class = filters.AuthorFilter


class AuthorView(RetrieveUpdateDestroyModelView):
    model = models.Author
    body_schema_class = schemas.AuthorSchema


class LanguageSchema(Schema):
    language = fields.String()


class BooksView(ModelView, ListMixin, CreateMixin):
    model = models.Book
    body_schema_class = schemas.BookSchema
    query_schema_class = LanguageSchema
    filter_class = filters.BookFilter


class BookView(RetrieveUpdateDestroyModelView):
    model = models.Book
    body_schema_class = schemas.BookSchema


class PlainBooksView(ListCreateModelView):
    model = models.Book
    body_schema_class = schemas.PlainBookSchema


class PlainBookView(RetrieveUpdateDestroyModelView):
    model = models.Book
    body_schema_class = schemas.PlainBookSchema


class DeepBooksView(ListCreateModelView):
    model = models.Book
    body_schema_class = schemas.DeepBookSchema


class SmallPages(PageNumberPagination):
    page_size = 2
    max_page_size = 3


class DeepAuthorsView(ListCreateModelView):
    model = models.Author
    body_schema_class = schemas.AuthorSchema
    response_schema_class = schemas.DeepAuthorSchema
    pagination_class = SmallPages


class AccountsView(ListCreateModelView):
    model = models.Account
    body_schema_class = schemas.AccountSchema


class AccountView(RetrieveUpdateDestroyModelView):
    model = models.Account
    body_schema_class = schemas.AccountSchema


class SamplesView(ListCreateModelView):
    model = models.Sample
    body_schema_class = schemas.SampleSchema
    filter_class = filters.SampleFilter


class SampleView(RetrieveUpdateDestroyModelView):
    model = models.Sample
    body_schema_class = schemas.SampleSchema


class PrintedBooksView(ListCreateModelView):
    """Knows only the books that are in print, and may refer to authors of one country only."""

    model = models.Book
    body_schema_class = schemas.BookSchema
    committed: list[str] = []  # noqa: RUF012

    def get_query(self):
        return super().get_query().filter(in_print=True)

    async def get_related_query(self, name):
        query = super().get_related_query(name)
        return query.filter(country_id='fr') if name == 'author' else query

    async def perform_create(self, data):
        await models.Tag.create(name=data['title'][:20])
        on_commit(lambda: self.committed.append(data['title']))
        return await super().perform_create(data)


class PrintedBookView(RetrieveUpdateDestroyModelView):
    model = models.Book
    body_schema_class = schemas.BookSchema

    async def get_query(self):
        return super().get_query().filter(in_print=True)

    async def perform_update(self, obj, data):
        data['title'] = data.get('title', obj.title).upper()
        return await super().perform_update(obj, data)

    async def perform_destroy(self, obj):
        obj.in_print = False
        await obj.save()


class TaggedBooksView(ModelView, ListMixin):
    """Knows only the books that have a tag, each once."""

    model = models.Book
    response_schema_class = schemas.BookSchema
    filter_class = filters.BookFilter

    def get_query(self):
        return super().get_query().filter(tags__name__in=['long', 'sad']).distinct()


class TaggedBookView(RetrieveUpdateDestroyModelView):
    model = models.Book
    body_schema_class = schemas.BookSchema

    def get_query(self):
        return super().get_query().filter(tags__name__in=['long', 'sad'])


class UncountedBooksView(ListMixin, ModelView):
    model = models.Book
    response_schema_class = schemas.DeepBookSchema
    filter_class = filters.BookFilter
    count = None


class EstimatedBooksView(ListMixin, ModelView):
    model = models.Book
    response_schema_class = schemas.DeepBookSchema
    filter_class = filters.BookFilter
    count = 'estimated'


class ShoutingBookSchema(schemas.DeepBookSchema):
    """Needs instances: a method is given the object."""

    shout = fields.Method('get_shout')

    class Meta:
        model = models.Book
        fields = ('id', 'title', 'author', 'author_id', 'tags')

    def get_shout(self, book):
        return book.title.upper()


class ShoutingBooksView(ListMixin, ModelView):
    model = models.Book
    response_schema_class = ShoutingBookSchema
    count = None


class EstimatedShoutingBooksView(ListMixin, ModelView):
    model = models.Book
    response_schema_class = ShoutingBookSchema
    count = 'estimated'
