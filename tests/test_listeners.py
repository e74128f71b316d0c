import pytest

from cliquet.listeners import ListenerBase


def test_listener_must_say_what_it_does():
    with pytest.raises(NotImplementedError):
        ListenerBase()(None)
