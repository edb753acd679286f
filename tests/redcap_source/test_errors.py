import pickle

import pytest

from redcap_source import errors
from redcap_source.errors import RequestContext

KINDS = [getattr(errors, name) for name in errors.__all__ if issubclass(getattr(errors, name), errors.RedcapError)]
LEAVES = [kind for kind in KINDS if kind not in (errors.RedcapError, errors.Transient, errors.Permanent)]
CONTEXT = RequestContext("record", "import", "heart_study", "redcap.example.edu")


@pytest.mark.parametrize("kind", LEAVES)
def test_a_message_says_what_failed_why_and_what_to_do(kind):
    error = kind(CONTEXT)
    text = str(error)
    assert text.startswith("heart_study: record import failed: ")
    assert kind.__doc__.splitlines()[0] in text
    assert kind.retry_hint in text
    assert isinstance(error, errors.Transient) != isinstance(error, errors.Permanent)
    assert (error.content, error.action, error.project, error.status) == ("record", "import", "heart_study", None)


@pytest.mark.parametrize("kind", LEAVES)
def test_an_error_can_be_pickled(kind):
    error = kind(CONTEXT)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error)
    assert back.__dict__.keys() == error.__dict__.keys()


def test_an_error_of_no_call_in_particular():
    assert str(errors.InsecureUrl()).startswith("the call failed: ")


def test_what_redcap_said_is_in_the_message_and_what_it_quoted_is_not():
    error = errors.RequestRefused(CONTEXT, status=400, message="No '…'", server_text="No 'Ann'")
    assert "(status 400)" in str(error)
    assert "REDCap answered: \"No '…'\"" in str(error)
    assert "Ann" not in str(error)


def test_an_open_outcome_names_its_reason():
    error = errors.OutcomeUnknown(CONTEXT, reason=errors.ServerOverloaded(CONTEXT, status=504))
    assert "ServerOverloaded" in str(error)
    assert error.status == 504
