import pytest

from redcap_source.methods.outline import Outline
from redcap_source.model import Arm, Event, Field

OUTLINE = Outline(
    (Field("id", "enrol", "text", field_label="Id"), Field("sex", "visit", "radio", field_label="Sex")),
    (Arm(1, "Drug A"), Arm(2, None)),
    (Event("visit_arm_1"),),
    is_longitudinal=True,
)


def test_an_outline_answers_the_questions_pycap_answered():
    assert OUTLINE.def_field == "id"
    assert OUTLINE.forms == ("enrol", "visit")
    assert OUTLINE.field_names == ("id", "sex")
    assert OUTLINE.field_labels == ("Id", "Sex")
    assert OUTLINE.names_labels == {"id": "Id", "sex": "Sex"}
    assert (OUTLINE.arm_nums, OUTLINE.arm_names) == ((1, 2), ("Drug A", ""))
    assert OUTLINE.metadata_type("sex") == "radio"


def test_a_field_there_is_not():
    with pytest.raises(KeyError):
        OUTLINE.field("other")
