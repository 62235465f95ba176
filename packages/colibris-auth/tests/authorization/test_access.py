"""Object rules of model views: rows that an account may not see do not exist for it. On each database."""

import sys

import pytest

from colibris.authentication import create_api_key
from colibris.authentication.apikey import APIKeyBackend
from colibris.conf import ImproperlyConfigured
from colibris.conf.known import MIDDLEWARE

AUTHENTICATION = {'backend': 'apikey', 'model': 'shop.models.User', 'key_field': 'secret'}

MODELS = """
    from colibris.persist import Model, fields

    class User(Model):
        id = fields.IntField(primary_key=True)
        username = fields.CharField(max_length=64, unique=True)
        secret = fields.CharField(max_length=128, null=True)

    class Folder(Model):
        id = fields.IntField(primary_key=True)
        name = fields.CharField(max_length=64)
        owner = fields.ForeignKeyField('models.User', related_name='folders')
        readers = fields.ManyToManyField('models.User', related_name='read_folders')

    class Tag(Model):
        id = fields.IntField(primary_key=True)
        name = fields.CharField(max_length=64)
        owner = fields.ForeignKeyField('models.User', null=True, related_name='tags')

    class Colour(Model):
        id = fields.IntField(primary_key=True)

    class Note(Model):
        id = fields.IntField(primary_key=True)
        title = fields.CharField(max_length=64)
        owner = fields.ForeignKeyField('models.User', related_name='notes')
        folder = fields.ForeignKeyField('models.Folder', null=True, related_name='notes')
        colour = fields.ForeignKeyField('models.Colour', null=True, related_name='notes')
        tags = fields.ManyToManyField('models.Tag', related_name='notes')
"""
VIEWS = """
    from colibris.persist import Q
    from colibris.schemas import ModelFilter, ModelSchema
    from colibris.security import ACCOUNT
    from colibris.views import ListCreateModelView, ListModelView, RetrieveUpdateDestroyModelView

    from shop.models import Folder, Note, Tag

    class NoteSchema(ModelSchema):
        class Meta:
            model = Note
            fields = ('id', 'title', 'folder', 'colour', 'tags')

    class FolderSchema(ModelSchema):
        class Meta:
            model = Folder
            fields = ('id', 'name')

    class TagSchema(ModelSchema):
        class Meta:
            model = Tag
            fields = ('id', 'name')

    class NoteFilter(ModelFilter):
        class Meta:
            model = Note
            fields = {'title': ('eq',)}
            search = ('title',)
            ordering = ('title',)

    class Own:
        authentication_required = True

        def access(self, account):
            return Q(owner=account)

    class NotesView(Own, ListCreateModelView):
        model = Note
        body_schema_class = NoteSchema
        filter_class = NoteFilter

        async def perform_create(self, data):
            return await super().perform_create({**data, 'owner': self.request[ACCOUNT]})

    class NoteView(Own, RetrieveUpdateDestroyModelView):
        model = Note
        body_schema_class = NoteSchema

    class TitledNoteView(Own, RetrieveUpdateDestroyModelView):
        model = Note
        body_schema_class = NoteSchema

        async def get_object(self):
            return await Note.get(title=self.request.match_info['id'])

    class QueriedNoteView(Own, RetrieveUpdateDestroyModelView):
        model = Note
        body_schema_class = NoteSchema

        async def get_query(self):
            return Note.exclude(title='Secret')

    class FoldersView(ListModelView):
        model = Folder
        body_schema_class = FolderSchema

        @classmethod
        def access(cls, account):
            return Q(owner=account) | Q(readers=account)

    class FolderView(RetrieveUpdateDestroyModelView):
        model = Folder
        body_schema_class = FolderSchema
        access = FoldersView.access

    class TagsView(ListModelView):
        model = Tag
        body_schema_class = TagSchema

        @staticmethod
        def access(account):
            return Q(owner=None) if account is None else Q(owner=None) | Q(owner=account)
"""
ROUTES = """
    from shop import views

    ROUTES = [
        ('/notes', views.NotesView),
        ('/notes/{id}', views.NoteView),
        ('/titles/{id}', views.TitledNoteView),
        ('/queried/{id}', views.QueriedNoteView),
        ('/folders', views.FoldersView),
        ('/folders/{id}', views.FolderView),
        ('/tags', views.TagsView),
    ]
"""


class Shop:
    """A client of the service, the rows that there are, and who asks."""

    def __init__(self, client):
        self.client = client

    async def fill(self):
        from shop.models import Folder, Note, Tag, User

        self.ann = await User.create(username='ann')
        self.bob = await User.create(username='bob')
        self.keys = {user: await create_api_key(user) for user in (self.ann, self.bob)}
        self.folders = {
            'mine': await Folder.create(name='mine', owner=self.ann),
            'theirs': await Folder.create(name='theirs', owner=self.bob),
            'shared': await Folder.create(name='shared', owner=self.bob),
        }
        await self.folders['mine'].readers.add(self.ann, self.bob)
        await self.folders['shared'].readers.add(self.ann, self.bob)
        self.tags = {
            'mine': await Tag.create(name='mine', owner=self.ann),
            'theirs': await Tag.create(name='theirs', owner=self.bob),
            'free': await Tag.create(name='free'),
        }
        self.mine = await Note.create(title='Milk', owner=self.ann)
        self.theirs = await Note.create(title='Bread', owner=self.bob)

    async def ask(self, method, path, status, *, user=None, **options):
        headers = {} if user is None else {'X-API-Key': self.keys[user]}
        async with self.client.request(method, path, headers=headers, **options) as response:
            assert response.status == status, f'{method} {path}: {response.status} {await response.text()}'
            return await response.json() if response.status != 204 else None


@pytest.fixture
async def shop(serve, database):
    shop = Shop(await serve(database, AUTHENTICATION=AUTHENTICATION, models=MODELS, views=VIEWS, routes=ROUTES))
    await shop.fill()
    return shop


async def test_lists_show_and_count_what_may_be_seen(shop):
    for path in ('/notes', '/notes?search=r', '/notes?title=Bread', '/notes?order=-title&page_size=1'):
        listed = await shop.ask('GET', path, 200, user=shop.ann)
        titles = [note['title'] for note in listed['results']]
        assert 'Bread' not in titles
        assert listed['count'] == len(titles) == (0 if 'r' in path.partition('search=')[2] or 'Bread' in path else 1)


@pytest.mark.parametrize('path', ['/notes/{0.id}', '/titles/{0.title}', '/queried/{0.id}'])
async def test_what_is_hidden_is_not_found(shop, path):
    from shop.models import Note

    hidden, shown = path.format(shop.theirs), path.format(shop.mine)
    missing = await shop.ask('GET', '/notes/999999', 404, user=shop.ann)
    for method, body in (('GET', None), ('PATCH', {'title': 'x'}), ('PUT', {'title': 'x'}), ('DELETE', None)):
        assert await shop.ask(method, hidden, 404, user=shop.ann, json=body) == missing
    assert (await Note.get(id=shop.theirs.id)).title == 'Bread'
    assert (await shop.ask('GET', shown, 200, user=shop.ann))['title'] == 'Milk'
    await shop.ask('DELETE', shown, 204, user=shop.ann)
    assert await Note.all().count() == 1


async def test_whoever_has_no_account_is_refused_first(shop):
    await shop.ask('GET', f'/notes/{shop.mine.id}', 401)
    await shop.ask('GET', '/notes/999999', 401)


@pytest.mark.parametrize('method', ['POST', 'PUT', 'PATCH'])
async def test_a_body_cannot_refer_to_what_is_hidden(shop, method):
    from shop.models import Note

    path = '/notes' if method == 'POST' else f'/notes/{shop.mine.id}'

    async def send(status, **fields):
        return await shop.ask(method, path, status, user=shop.ann, json={'title': 'Milk', **fields})

    hidden = await send(400, folder=shop.folders['theirs'].id)
    missing = await send(400, folder=999999)
    assert hidden == missing
    assert hidden['details'].keys() == {'folder'}
    for tag in (shop.tags['theirs'].id, 999999):
        refused = await send(400, tags=[shop.tags['mine'].id, tag])
        assert refused['details'] == {'tags': [f'There is no tag {tag}.']}
    assert (await send(400, colour=999999))['details'].keys() == {'colour'}
    assert await Note.all().count() == 2

    good = 201 if method == 'POST' else 200
    assert (await send(good, folder=shop.folders['mine'].id))['folder'] == shop.folders['mine'].id
    assert (await send(good, folder=shop.folders['shared'].id))['folder'] == shop.folders['shared'].id
    tags = [shop.tags['mine'].id, shop.tags['free'].id]
    assert (await send(good, tags=tags))['tags'] == tags
    await send(good, folder=None)


async def test_several_relations_that_let_see_a_row_show_it_once(shop):
    listed = await shop.ask('GET', '/folders', 200, user=shop.ann)
    assert ([each['name'] for each in listed['results']], listed['count']) == (['mine', 'shared'], 2)

    await shop.ask('PATCH', f'/folders/{shop.folders["mine"].id}', 200, user=shop.ann, json={'name': 'still mine'})
    await shop.ask('PATCH', f'/folders/{shop.folders["theirs"].id}', 404, user=shop.ann, json={'name': 'x'})
    assert await shop.ask('DELETE', f'/folders/{shop.folders["theirs"].id}', 404, user=shop.ann)


async def test_a_rule_may_be_for_whom_has_no_account_too(shop):
    for user, names in ((None, ['free']), (shop.ann, ['mine', 'free']), (shop.bob, ['theirs', 'free'])):
        listed = await shop.ask('GET', '/tags', 200, user=user)
        assert [each['name'] for each in listed['results']] == names


async def test_a_rule_takes_no_query_of_its_own(shop, statements):
    statements.clear()
    await shop.ask('GET', f'/notes/{shop.mine.id}', 200, user=shop.ann)
    assert len([text for text in statements if 'tag' not in text]) == 2


@pytest.mark.parametrize(
    ('rule', 'own', 'queries'),
    [
        ('Q(id=account.id)', 200, 1),  # the account is fetched already, and is all that the rule shows
        ('Q(pk=account.id)', 200, 1),
        ('Q(id=account.id, username="ann")', 200, 2),
        ('Q(id=account.id, username="bob")', 404, 2),
        ('Q(id=account.id) & Q(username="bob")', 404, 2),
        ('Q(id=account.id) | Q(username="bob")', 200, 2),
        ('~Q(id=account.id)', 404, 2),
        ('Q(id=account.id + 1)', 404, 2),
        ('Q(id__gt=account.id)', 404, 2),
    ],
)
async def test_the_own_account_is_shown_if_the_rule_shows_it(serve, sqlite, statements, rule, own, queries):
    shop = await serve_users(serve, sqlite, rule)
    statements.clear()
    await shop.ask('GET', f'/users/{shop.ann.id}', own, user=shop.ann)
    assert len(statements) == queries


async def serve_users(serve, sqlite, rule='Q(id=account.id)', *, view='', models=MODELS, **settings):
    """Serve the accounts themselves, by a *rule*; *view* are further lines of the view."""
    views = f"""{VIEWS}
    from colibris.views import RetrieveModelView

    class UserSchema(ModelSchema):
        class Meta:
            model = User
            fields = tuple(User._meta.fields_db_projection)

    class UserView(RetrieveModelView):
        model = User
        body_schema_class = UserSchema
        authentication_required = True
        {view}

        def access(self, account):
            return {rule}
    """.replace('import Folder, Note, Tag', 'import Folder, Note, Tag, User')
    routes = ROUTES.replace('ROUTES = [', "ROUTES = [\n        ('/users/{id}', views.UserView),")
    settings = {'AUTHENTICATION': AUTHENTICATION, **settings}
    shop = Shop(await serve(sqlite, models=models, views=views, routes=routes, **settings))
    await shop.fill()
    return shop


async def test_the_own_account_is_found_by_another_column_too(serve, sqlite, statements):
    shop = await serve_users(serve, sqlite, view="lookup_field = 'username'")
    statements.clear()
    assert (await shop.ask('GET', '/users/ann', 200, user=shop.ann))['username'] == 'ann'
    assert len(statements) == 1
    await shop.ask('GET', '/users/ANN', 404, user=shop.ann)


@pytest.mark.parametrize(
    'change',
    [
        'setattr(account, "username", "not saved")',
        'setattr(account, "username", Q())',
        'vars(account).pop("username", 1)',
        'vars(account).update(more=1)',
        'setattr(account, "pk", account.pk + 0.0)',
    ],
)
async def test_an_account_that_was_changed_but_not_saved_is_asked_for(serve, sqlite, statements, change):
    shop = await serve_users(serve, sqlite, f'Q(id=int(account.id)) if {change} else Q(id=int(account.id))')
    statements.clear()
    assert (await shop.ask('GET', f'/users/{shop.ann.id}', 200, user=shop.ann))['username'] == 'ann'
    assert len(statements) == 2


@pytest.mark.parametrize('behind', [True, False])
async def test_what_a_middleware_behind_the_guard_writes_is_shown(serve, sqlite, statements, behind):
    async def rename(request, handler):
        from shop.models import User

        await User.filter(username='ann').update(username='anna')
        return await handler(request)

    middlewares = [*MIDDLEWARE]
    middlewares.insert(middlewares.index('colibris.middleware.handle_auth') + behind, rename)
    authentication = {'backend': 'apikey', 'model': 'shop.models.User'}
    shop = await serve_users(serve, sqlite, MIDDLEWARE=middlewares, AUTHENTICATION=authentication)
    statements.clear()
    shown = await shop.ask('GET', f'/users/{shop.ann.id}', 200, user=shop.ann)
    assert shown['username'] == 'anna'
    assert len([text for text in statements if text.startswith('SELECT')]) == 1 + behind


async def test_what_can_be_changed_in_its_place_is_asked_for(serve, sqlite, statements):
    models = MODELS.replace('secret =', 'tastes = fields.JSONField(default=dict)\n        secret =', 1)
    shop = await serve_users(serve, sqlite, 'account.tastes.update(a=1) or Q(id=account.id)', models=models)
    statements.clear()
    assert (await shop.ask('GET', f'/users/{shop.ann.id}', 200, user=shop.ann))['tastes'] == {}
    assert len(statements) == 2


async def test_an_account_that_a_backend_of_others_keeps_is_asked_for(serve, sqlite, monkeypatch):
    monkeypatch.setitem(sys.modules, 'keeping', sys.modules[__name__])
    shop = await serve_users(serve, sqlite, AUTHENTICATION={**AUTHENTICATION, 'backend': 'keeping.KeepingBackend'})
    await shop.ask('GET', f'/users/{shop.ann.id}', 200, user=shop.ann)
    await type(shop.ann).filter(id=shop.ann.id).update(username='anna')
    assert (await shop.ask('GET', f'/users/{shop.ann.id}', 200, user=shop.ann))['username'] == 'anna'


class KeepingBackend(APIKeyBackend):
    """A backend that keeps the accounts that it has seen."""

    def __init__(self, **options):
        super().__init__(**options)
        self._kept = {}

    async def authenticate(self, request):
        key = request.headers['X-API-Key']
        if key not in self._kept:
            self._kept[key] = await super().authenticate(request)
        return self._kept[key]


async def test_with_no_authentication_in_so_many_words_everything_is_seen(serve, database):
    client = await serve(
        database, AUTHENTICATION={'backend': 'null'}, DEBUG=True, models=MODELS, views=VIEWS, routes=ROUTES
    )
    from shop.models import Note, User

    await Note.create(title='Milk', owner=await User.create(username='ann'))
    async with client.get('/notes') as response:
        assert (await response.json())['count'] == 1


async def test_a_rule_without_authentication_is_an_error_at_the_start(serve, sqlite):
    with pytest.raises(ImproperlyConfigured, match=r'NotesView.access .*AUTHENTICATION is not set'):
        await serve(sqlite, models=MODELS, views=VIEWS, routes=ROUTES)


async def test_a_rule_that_has_to_be_awaited_is_an_error_at_the_start(serve, sqlite):
    views = VIEWS.replace('        def access(self, account):\n', '        async def access(self, account):\n')
    with pytest.raises(ImproperlyConfigured, match=r'NotesView.access must be a plain method'):
        await serve(sqlite, AUTHENTICATION=AUTHENTICATION, models=MODELS, views=views, routes=ROUTES)


async def test_a_rule_that_says_nothing_shows_nothing(serve, sqlite, caplog):
    views = VIEWS.replace('return Q(owner=account)\n', 'pass\n')
    shop = Shop(await serve(sqlite, AUTHENTICATION=AUTHENTICATION, models=MODELS, views=views, routes=ROUTES))
    await shop.fill()

    await shop.ask('GET', '/notes', 500, user=shop.ann)
    assert 'access must return a Q, not None' in caplog.text
