import pytest

CHECKS = """
    from colibris.checks import Level, Problem
    from colibris.conf import settings

    async def stock():
        if settings.DEBUG:
            yield_ = []
        return [Problem('the stock is empty', 'fill it', Level.WARNING)]

    def doors():
        yield Problem('a door is open')

    def failing():
        raise LookupError('no luck')
"""


def test_a_sound_project_is_told_what_was_checked(project_folder):
    result = project_folder.run('check')
    assert result.returncode == 0, result.stdout
    for name in ('settings: ok', 'subsystems: ok', 'routes, views and schemas: ok', 'API documentation: ok'):
        assert name in result.stdout


@pytest.mark.parametrize(
    ('file', 'source', 'found'),
    [
        ('settings', "PORT = 'x'", 'error: PORT (settings.py)'),
        ('settings', 'DEBUGG = True', 'did you mean DEBUG?'),
        ('settings', '1 / 0', 'ZeroDivisionError'),
        ('settings', "DATABASE = {'backend': 'sqlight'}", "did you mean 'sqlite'"),
        ('settings', "MIDDLEWARE = ['shop.nothing.here']", 'shop.nothing'),
        ('routes', "ROUTES = [('items', print)]", 'shop.routes.ROUTES[0]'),
        ('routes', 'from shop import nothing', 'shop/routes.py, line 1: ImportError'),
        ('routes', 'ROUTES = [', 'SyntaxError'),
    ],
)
def test_a_mistake_is_an_error(project_folder, file, source, found):
    project_folder.write(f'shop/{file}.py', source)
    result = project_folder.run('check')
    assert result.returncode == 1, result.stdout
    assert found in result.stdout
    assert result.stderr == ''


def test_a_view_that_nothing_guards_is_an_error(project_folder):
    project_folder.write(
        'shop/routes.py',
        """
        from colibris.views import APIView

        class SecretView(APIView):
            permissions = ('admin',)

            async def get(self):
                return {}

        ROUTES = [('/secret', SecretView)]
    """,
    )
    result = project_folder.run('check')
    assert result.returncode == 1
    assert '/secret' in result.stdout
    assert 'AUTHENTICATION' in result.stdout


def test_distributions_add_checks(project_folder):
    entry_points = '[colibris.checks]\nstock = checks:stock\n'
    project_folder.install('checks', CHECKS, entry_points)
    result = project_folder.run('check')
    assert result.returncode == 0, result.stdout
    assert 'stock:\n  warning: the stock is empty (fill it)\n' in result.stdout
    assert '\n0 errors, ' in result.stdout


def test_an_error_that_a_check_finds_or_is_fails_the_command(project_folder):
    entry_points = '[colibris.checks]\ndoors = checks:doors\nfailing = checks:failing\nlost = nowhere:check\n'
    project_folder.install('checks', CHECKS, entry_points)
    result = project_folder.run('check')
    assert result.returncode == 1
    assert 'doors:\n  error: a door is open\n' in result.stdout
    assert 'failing:\n  error: LookupError: no luck\n' in result.stdout
    assert "lost:\n  error: 'lost' (checks 1.0) does not load from nowhere:check: ModuleNotFoundError" in result.stdout


def test_a_broken_plugin_that_nothing_uses_is_a_warning(project_folder):
    project_folder.install('broken', 'raise LookupError("no luck")', '[colibris.commands]\nbroken = broken:broken\n')
    result = project_folder.run('check')
    assert result.returncode == 0, result.stdout
    assert 'warning: ' in result.stdout
    assert 'no luck' in result.stdout


def test_models_that_differ_from_the_migrations_are_an_error(project_folder):
    pytest.importorskip('colibris.persist.checks')
    project_folder.write('shop/settings.py', "DATABASE = 'sqlite:///shop.db'\n")
    project_folder.write(
        'shop/models.py',
        """
        from colibris.persist import Model, fields

        class Item(Model):
            id = fields.IntField(primary_key=True)

            class Meta:
                table = 'items'
    """,
    )
    result = project_folder.run('check')
    assert result.returncode == 1
    assert 'migrations:\n  error: the models have a change that no migration has: create table items' in result.stdout
    project_folder.run('makemigrations')
    result = project_folder.run('check')
    assert result.returncode == 0, result.stdout
    assert 'migrations: ok' in result.stdout


def test_an_error_that_keeps_all_from_working_is_told_once(project_folder):
    project_folder.write('shop/settings.py', "MIDDLEWARE = ['nowhere.handle']\n")
    result = project_folder.run('check')
    assert result.returncode == 1
    assert result.stdout.count('nowhere.handle') == 1
    assert 'API documentation: not checked, because of the above\n' in result.stdout
    assert '1 error, ' in result.stdout


def test_a_check_that_returns_something_else_is_an_error(project_folder):
    project_folder.install('checks', 'def words(): return ["bad"]', '[colibris.checks]\nwords = checks:words\n')
    result = project_folder.run('check')
    assert "words:\n  error: TypeError: a check returns objects of colibris.checks.Problem, not 'bad'" in result.stdout


def test_documentation_in_the_place_of_a_route_is_an_error(project_folder):
    project_folder.write('shop/settings.py', "API_DOCS_PATH = '/items'\n")
    project_folder.write('shop/routes.py', "ROUTES = [('/items', lambda request: [])]\n")
    result = project_folder.run('check')
    assert result.returncode == 1
    assert "error: API_DOCS_PATH: '/items' is already a route of the project" in result.stdout


def test_a_view_whose_schema_is_not_compiled_is_told_and_no_error(project_folder):
    project_folder.write(
        'shop/routes.py',
        """
        import marshmallow
        from colibris.views import APIView

        class ItemSchema(marshmallow.Schema):
            name = marshmallow.fields.String()

            @marshmallow.pre_load
            def strip(self, data, **kwargs):
                return data

        class ItemsView(APIView):
            body_schema_class = ItemSchema

            async def post(self):
                return await self.get_validated_body()

        ROUTES = [('/items', ItemsView)]
    """,
    )
    result = project_folder.run('check')
    assert result.returncode == 0
    assert 'info: shop.routes.ItemSchema, which loads the body of POST /items, is not compiled' in result.stdout
    assert 'strip' in result.stdout
    assert 'No problems found.' in result.stdout


class TestDeploy:
    CHECKS = """
        from colibris.checks import Problem, for_deployment

        @for_deployment
        async def doors():
            return [Problem('a door is open', 'close it')]
    """

    def test_it_looks_for_what_is_unsafe_beside_mistakes(self, project_folder):
        project_folder.write('shop/settings.py', "DEBUG = True\nSECRET_KEY = 'abc'\n")
        result = project_folder.run('check', '--deploy')
        assert result.returncode == 1
        assert 'settings: ok' in result.stdout
        assert 'error: DEBUG (settings.py) is on' in result.stdout
        assert 'error: SECRET_KEY (settings.py) is weak' in result.stdout
        assert 'warning: SECRET_KEY stands in settings.py' in result.stdout

    def test_warnings_alone_are_no_failure(self, project_folder):
        project_folder.write('shop/settings.py', f"LISTEN = '127.0.0.1'\nSECRET_KEY = '{'aB3-dE6_gH9' * 4}'\n")
        result = project_folder.run('check', '--deploy')
        assert result.returncode == 0, result.stdout
        assert 'warning: AUTHENTICATION is not set' in result.stdout

    def test_plain_check_says_nothing_of_it(self, project_folder):
        project_folder.write('shop/settings.py', 'DEBUG = True\n')
        result = project_folder.run('check')
        assert result.returncode == 0
        assert 'DEBUG' not in result.stdout

    def test_distributions_add_to_it(self, project_folder):
        project_folder.install('guards', self.CHECKS, '[colibris.checks]\ndoors = guards:doors\n')
        result = project_folder.run('check', '--deploy')
        assert result.returncode == 1
        assert 'doors:\n  error: a door is open (close it)\n' in result.stdout
        assert 'doors' not in project_folder.run('check').stdout

    def test_migrations_that_the_database_lacks(self, project_folder):
        pytest.importorskip('colibris.persist.checks')
        project_folder.write('shop/settings.py', "DATABASE = 'sqlite:///shop.db'\n")
        project_folder.write(
            'shop/models.py',
            """
            from colibris.persist import Model, fields

            class Item(Model):
                id = fields.IntField(primary_key=True)

                class Meta:
                    table = 'items'
        """,
        )
        project_folder.run('makemigrations')
        result = project_folder.run('check', '--deploy')
        assert 'error: migrations are not applied: 0001_initial (run migrate)' in result.stdout
        project_folder.run('migrate')
        result = project_folder.run('check', '--deploy')
        assert 'applied migrations: ok' in result.stdout
        assert 'warning: DATABASE is a file' in result.stdout

    def test_a_database_that_cannot_be_asked(self, project_folder):
        pytest.importorskip('colibris.persist.postgresql')
        project_folder.write('shop/settings.py', "DATABASE = 'postgresql://shop:hush-hush@127.0.0.1:1/shop'\n")
        result = project_folder.run('check', '--deploy')
        assert result.returncode == 1
        assert 'error: which migrations are applied cannot be told: PostgreSQL at 127.0.0.1:1' in result.stdout
        assert 'hush-hush' not in result.stdout

    def test_the_way_to_the_database(self, project_folder):
        pytest.importorskip('colibris.persist.postgresql')
        project_folder.write(
            'shop/settings.py',
            "DATABASE = 'postgresql://shop@db.example.invalid/shop'\n",
        )
        result = project_folder.run('check', '--deploy')
        assert 'error: DATABASE: what goes to db.example.invalid' in result.stdout
        assert 'error: DATABASE has no password' in result.stdout

    def test_backends_that_guard_nothing(self, project_folder):
        pytest.importorskip('colibris.authentication')
        project_folder.write(
            'shop/settings.py', "AUTHENTICATION = {'backend': 'null'}\nAUTHORIZATION = {'backend': 'null'}\n"
        )
        result = project_folder.run('check', '--deploy')
        assert "error: AUTHENTICATION is 'null'" in result.stdout
        assert "error: AUTHORIZATION is 'null'" in result.stdout

    def test_emails_that_are_not_sent(self, project_folder):
        pytest.importorskip('colibris.email')
        project_folder.write('shop/settings.py', "EMAIL = {'backend': 'console'}\n")
        assert 'EMAIL (settings.py) sends nothing: ConsoleBackend' in project_folder.run('check', '--deploy').stdout
