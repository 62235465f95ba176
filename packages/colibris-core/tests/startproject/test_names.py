"""The name of the package that follows from the name of a project."""

import pytest

from colibris.startproject import StartProjectError
from colibris.startproject.names import package_name


@pytest.mark.parametrize(
    ('project', 'package'),
    [
        ('shop', 'shop'),
        ('shop-floor', 'shopfloor'),
        ('Shop_Floor', 'shop_floor'),
        ('my.shop-2', 'myshop2'),
        ('SHOP', 'shop'),
    ],
)
def test_the_package_is_the_lower_case_name_without_other_characters(project: str, package: str) -> None:
    assert package_name(project) == package


@pytest.mark.parametrize(
    'project',
    [
        '',
        '-',
        '---',
        '.',
        '..',
        '../shop',
        'a/b',
        'shop/',
        'my shop',
        '_shop',
        'shop-',
        'Läden',
        'shop\n',
        'shop\0',
        'a' * 101,
    ],
)
def test_a_name_that_no_distribution_can_bear_is_refused(project: str) -> None:
    with pytest.raises(StartProjectError) as failure:
        package_name(project)
    assert '\n' not in str(failure.value)


@pytest.mark.parametrize(
    ('project', 'reason'),
    [
        ('1shop', 'begin with a digit'),
        ('class', 'keyword'),
        ('Async', 'keyword'),
        ('json', 'standard library'),
        ('e-mail', 'standard library'),
        ('test', 'reserved'),
        ('colibris', 'reserved'),
        ('Colib-ris', 'reserved'),
        ('aiohttp', 'which Colibris needs'),
        ('tor-toise', 'which Colibris needs'),
    ],
)
def test_a_package_that_could_not_be_imported_or_would_hide_another_is_refused(project: str, reason: str) -> None:
    with pytest.raises(StartProjectError, match=reason):
        package_name(project)
