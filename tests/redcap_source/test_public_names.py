"""Names that code outside imports: the documented ones, and the earlier names of those that were renamed."""

import inspect

import pytest

import redcap_source
from redcap_source import RateLimiter, RedcapClient, Token, dictionary, errors, model
from redcap_source.methods.caller import Caller
from tests.support.canned import SECRET, answer, client_of

MIXINS = [area for area in RedcapClient.__mro__ if issubclass(area, Caller) and area not in (Caller, RedcapClient)]


@pytest.mark.parametrize("name", redcap_source.__all__)
def test_every_name_of_the_package_can_be_imported(name):
    assert getattr(redcap_source, name) is not None


def test_earlier_names_are_the_same_objects():
    assert redcap_source.Pace is RateLimiter
    assert errors.Asked is errors.RequestContext
    assert model.Bound is model.ApiRow


@pytest.mark.parametrize("name", ["rate_limit", "pace"])
def test_a_rate_limit_is_given_under_either_name(serve, name):
    taken = []

    class Counting(RateLimiter):
        def turn(self):
            taken.append(name)
            return super().turn()

    server = serve(answer(b"14.7.3"))
    with client_of(server, **{name: Counting(None, None)}) as client:
        client.version()
    assert taken == [name]


def test_every_method_is_in_one_area_of_the_api():
    homes = [name for area in MIXINS for name in vars(area) if not name.startswith("_")]
    assert len(MIXINS) == 8
    assert sorted(homes) == sorted(set(homes))
    own = {"show", "close", "calls", "server_date", "token_fingerprint"}
    assert set(homes) | own == {n for n in dir(RedcapClient) if n[0] != "_"}


@pytest.mark.parametrize("area", MIXINS, ids=lambda area: area.__name__)
def test_every_method_has_a_docstring(area):
    methods = [method for name, method in vars(area).items() if inspect.isfunction(method) and name[0] != "_"]
    assert methods
    assert [method.__name__ for method in methods if not method.__doc__] == []


def test_what_the_dictionary_means_is_importable_from_its_package():
    assert dictionary.record_id_field([model.Field("id", "visit", "text")]) == "id"
    assert str(Token(SECRET)) == "****"
