import pytest

from redcap_source import model


def test_numbers_come_as_numbers_or_as_text():
    assert model.Arm.from_row({"arm_num": 1, "name": "Drug A"}) == model.Arm.from_row(
        {"arm_num": "1", "name": "Drug A"}
    )


def test_a_key_the_server_did_not_send_is_unknown_and_not_false():
    info = model.ProjectInfo.from_row({"project_id": "7", "is_longitudinal": "0"})
    assert (info.project_id, info.is_longitudinal, info.has_repeating_instruments_or_events) == (7, False, None)


def test_a_key_nobody_knows_is_kept():
    assert model.Instrument.from_row({"instrument_name": "a", "new_in_20": "x"}).extra == {"new_in_20": "x"}


def test_null_is_a_blank():
    event = model.Event.from_row({"unique_event_name": "a_arm_1", "custom_event_label": None})
    assert (event.custom_event_label, event.event_id) == ("", None)


def test_a_row_without_its_name_is_refused():
    with pytest.raises(model.MissingKeyError, match="instrument_name"):
        model.Instrument.from_row({"instrument_label": "A"})
    with pytest.raises(model.MissingKeyError, match="field_type"):
        model.Field.from_row({"field_name": "a", "form_name": "b"})


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (1, True),
        ("1", True),
        ("TRUE", True),
        (True, True),
        (0, False),
        ("0", False),
        ("", None),
        (None, None),
        (2, None),
    ],
)
def test_flags(value, flag):
    assert model.flag(value) is flag


@pytest.mark.parametrize("forms", [{"visit": 1, "lab": "130"}, "visit:1,lab:130"])
def test_rights_by_instrument_in_json_and_csv(forms):
    user = model.User.from_row({"username": "ann", "forms": forms, "logging": "1", "design": 0, "visit_access": "x"})
    assert user.forms == {"visit": 1, "lab": 130}
    assert user.rights == {"logging": 1, "design": 0}
    assert user.extra == {"visit_access": "x"}
    assert user.forms_export is None


def test_a_role_is_read_like_a_user():
    role = model.UserRole.from_row({"unique_role_name": "U-527D39JXAC", "role_label": "Nurse", "api_export": "1"})
    assert (role.role_label, role.rights) == ("Nurse", {"api_export": 1})


def test_old_names_of_a_key_are_known():
    assert model.Event.from_row({"unique_event_name": "a_arm_1", "days_offset": "14"}).day_offset == "14"


def test_a_field_goes_back_as_the_row_it_came_from():
    row = dict.fromkeys(model.DICTIONARY_COLUMNS, "") | {"field_name": "a", "form_name": "b", "field_type": "text"}
    assert model.Field.from_row({**row, "more": "x"}).as_row() == row


def test_values_are_hashable_and_comparable():
    assert len({model.User.from_row({"username": "ann", "logging": 1}), model.User.from_row({"username": "bob"})}) == 2


def test_the_reprs_of_log_rows_hold_no_participant():
    row = model.LogRow.from_row(
        {"timestamp": "2024-05-01 10:15", "username": "u", "action": "Update record P77", "details": "a = 'P77'",
         "record": "P77", "more": "P77"}
    )  # fmt: skip
    assert "P77" not in repr(row)
