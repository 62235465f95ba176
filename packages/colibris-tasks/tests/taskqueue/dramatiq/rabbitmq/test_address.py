"""Where RabbitMQ is, as options say it."""

import ssl

import pytest

from colibris.taskqueue.dramatiq.rabbitmq.address import address_of


def test_the_defaults_are_those_of_a_new_server():
    address = address_of()
    found = (address.host, address.port, address.username, address.password, address.virtual_host, address.tls)
    assert found == ('127.0.0.1', 5672, 'guest', 'guest', '/', None)


def test_a_url_says_everything():
    address = address_of(url='amqp://me:s%2Fecret@mq.example.com:5673/my%2Fhost')
    found = (address.host, address.port, address.username, address.password, address.virtual_host)
    assert found == ('mq.example.com', 5673, 'me', 's/ecret', 'my/host')


@pytest.mark.parametrize('url', ['amqp://mq.example.com', 'amqp://mq.example.com/', 'amqp://mq.example.com/%2f'])
def test_the_virtual_host_is_that_of_a_new_server_unless_it_is_given(url):
    assert address_of(url=url).virtual_host == '/'


def test_who_connects_may_be_given_beside_a_url():
    address = address_of(url='amqp://mq.example.com', username='me', password='secret')
    assert (address.username, address.password) == ('me', 'secret')


def test_tls_verifies_the_server_and_has_a_port_of_its_own():
    for address in (address_of(url='amqps://mq.example.com'), address_of(host='mq.example.com', tls=True)):
        assert address.port == 5671
        assert address.tls.verify_mode == ssl.CERT_REQUIRED
        assert address.tls.check_hostname


def test_nobody_reads_the_password():
    assert 'secret' not in repr(address_of(password='secret')) + str(address_of(password='secret'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'url': 'http://mq.example.com'}, 'must begin with amqp://'),
        ({'url': 'amqp://mq.example.com?heartbeat=5'}, "no parameters after '\\?'"),
        ({'url': 'amqp://mq.example.com', 'host': 'other', 'port': 1}, 'host and port must not be given beside it'),
        ({'port': 0x10000}, 'port must be an integer'),
        ({'port': '5672'}, 'port must be an integer'),
        ({'host': 5}, 'host must be a string'),
        ({'ca_file': 'ca.pem'}, 'ca_file is for TLS only'),
        ({'ca_file': '/nowhere/ca.pem', 'tls': True}, 'cannot be used'),
    ],
)
def test_what_is_wrong_is_told(options, message):
    with pytest.raises(ValueError, match=message):
        address_of(**options)


def test_a_wrong_url_does_not_tell_its_password():
    with pytest.raises(ValueError, match='url is not one of RabbitMQ') as caught:
        address_of(url='amqp://me:sec/ret@mq.example.com')
    assert 'sec' not in str(caught.value)
    assert caught.value.__suppress_context__
