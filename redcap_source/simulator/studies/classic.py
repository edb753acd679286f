"""The classic study: one row per record, and every kind of field that REDCap has."""

from __future__ import annotations

from datetime import UTC, datetime

from redcap_source.simulator.logic.calculation import recalculated
from redcap_source.simulator.state.dictionary import parse_missing_codes
from redcap_source.simulator.state.project import Project, StoredFile
from redcap_source.simulator.state.records import Record, RecordStore, Slot
from redcap_source.simulator.studies.grid import dictionary_from
from redcap_source.simulator.studies.values import Chance, chance_of, filled

MISSING = "-999, Not asked | UNK, Unknown | NASK, Refused"
GRID = """
# enrolment ~ Enrolment
record_id ~ text ~ ~ Study ID
first_name ~ text ~ ~ First name ~ ~ id req
last_name ~ text ~ ~ Last name ~ ~ id req
street ~ text ~ ~ Street ~ ~ id
town ~ text ~ ~ Town
zip ~ text ~ zipcode ~ Zip code ~ ~ id
phone ~ text ~ phone ~ Phone number ~ ~ id
email ~ text ~ email ~ E-mail ~ ~ id
dob ~ text ~ date_dmy ~ Date of birth ~ ~ id
enrolled ~ text ~ date_mdy ~ Date of enrolment ~ ~ req
age ~ calc ~ ~ Age at enrolment ~ rounddown(datediff([dob], [enrolled], 'y'))
sex ~ radio ~ ~ Sex ~ 1, Female | 2, Male | 3, Other, or rather not say
consent ~ yesno ~ ~ Consent given ~ ~ req
consent_file ~ file ~ ~ Signed consent
consent_signature ~ file ~ signature ~ Signature
about ~ descriptive ~ ~ <p>Thank you for taking part.</p>

# examination ~ Examination
exam_at ~ text ~ datetime_ymd ~ Examined at
height ~ text ~ number_1dp ~ Height (cm) ~ ~ 145..205
weight ~ text ~ number_1dp ~ Weight (kg) ~ ~ 45..140
bmi ~ calc ~ ~ Body mass index ~ round([weight] * 10000 / ([height] ^ 2), 1)
systolic ~ text ~ integer ~ Systolic blood pressure ~ ~ 90..190
diastolic ~ text ~ integer ~ Diastolic blood pressure ~ ~ 50..110
cholesterol ~ text ~ number_2dp_comma_decimal ~ Cholesterol (mmol/l) ~ ~ 3..9
glucose ~ text ~ number ~ Glucose (mmol/l) ~ ~ 3..12
pain ~ slider ~ ~ Pain today ~ none | some | worst
smoker ~ truefalse ~ ~ Smokes
complaints ~ checkbox ~ ~ Complaints ~ 1, Pain | 2, Short of breath, at rest | -1, None | b2, Palpitations | 3.5, Other
medication ~ checkbox ~ ~ Medication ~ A, Beta blocker | ACE, ACE inhibitor | 0, Statin | k>=9, Nine or more
class ~ dropdown ~ autocomplete ~ NYHA class ~ 01, I | 02, II | 03, III | 04, IV
site_query ~ sql ~ ~ Site ~ select code, name from sites
remarks ~ notes ~ ~ Remarks

# identification ~ Identification numbers
ssn ~ text ~ ssn ~ Social security number ~ ~ id
mrn ~ text ~ mrn_10d ~ Hospital number ~ ~ id
mrn_other ~ text ~ mrn_generic ~ Other hospital number ~ ~ id
vmrn ~ text ~ vmrn ~ Vanderbilt number ~ ~ id
postal_ca ~ text ~ postalcode_canada ~ Postal code (Canada)
postal_au ~ text ~ postalcode_australia ~ Postal code (Australia)
postal_fr ~ text ~ postalcode_french ~ Postal code (France)
postal_de ~ text ~ postalcode_germany ~ Postal code (Germany)
phone_au ~ text ~ phone_australia ~ Phone (Australia) ~ ~ id
initials ~ text ~ alpha_only ~ Code word

# measures ~ All measures
d_ymd ~ text ~ date_ymd ~ Date Y-M-D
dt_mdy ~ text ~ datetime_mdy ~ Date and time M-D-Y
dt_dmy ~ text ~ datetime_dmy ~ Date and time D-M-Y
dts_ymd ~ text ~ datetime_seconds_ymd ~ To the second Y-M-D
dts_mdy ~ text ~ datetime_seconds_mdy ~ To the second M-D-Y
dts_dmy ~ text ~ datetime_seconds_dmy ~ To the second D-M-Y
t_hm ~ text ~ time ~ Time
t_hms ~ text ~ time_hh_mm_ss ~ Time to the second
t_ms ~ text ~ time_mm_ss ~ Minutes and seconds
n1 ~ text ~ number_1dp ~ One decimal
n2 ~ text ~ number_2dp ~ Two decimals
n3 ~ text ~ number_3dp ~ Three decimals
n4 ~ text ~ number_4dp ~ Four decimals
nc ~ text ~ number_comma_decimal ~ Comma
nc1 ~ text ~ number_1dp_comma_decimal ~ Comma, one decimal
nc3 ~ text ~ number_3dp_comma_decimal ~ Comma, three decimals
nc4 ~ text ~ number_4dp_comma_decimal ~ Comma, four decimals
total ~ calc ~ ~ Sum of the decimals ~ sum([n1], [n2], [n3], [n4])
"""


def make(*, records: int, seed: int) -> Project:
    """The study with that many records."""
    project = Project(dictionary=dictionary_from(GRID, parse_missing_codes(MISSING)))
    project.settings |= {
        "project_title": "Heart study",
        "missing_data_codes": MISSING,
        "secondary_unique_field": "email",
        "project_notes": "Invented participants only.",
    }
    slot: Slot = (project.events[0].event_id, "", 0)
    project.records = RecordStore(_record(project, slot, str(number), seed) for number in range(1, records + 1))
    return project


def _record(project: Project, slot: Slot, record: str, seed: int) -> Record:
    chance = chance_of("classic", seed, record)
    values: dict[str, str] = {}
    for number, form in enumerate(project.dictionary.forms):
        # Fewer records have the later instruments; one that was never opened has no status.
        if number == 0 or chance.random() < 0.9 - 0.15 * number:
            values |= filled(project.dictionary, form, chance)
            values |= _missing(project, form, chance)
    values["email"] = f"participant{record}@example.org"
    if chance.random() < 0.4:
        values["consent_file"] = _file(project, f"consent {record}.pdf", b"%PDF-1.4 invented\n")
    if "systolic" in values and chance.random() < 0.5:
        values["site_query"] = chance.choice(("1", "2", "3"))
    made = Record(record, {slot: values})
    now = datetime(2025, 1, 1, tzinfo=UTC)
    for _, results in recalculated(project, made, [slot], now).items():
        values |= {name: value for name, value in results.items() if value}
    return Record(record, {slot: _in_order(project, values)})


def _missing(project: Project, form: str, chance: Chance) -> dict[str, str]:
    if chance.random() > 0.15:
        return {}
    fields = [f for f in project.dictionary.fields_of(form) if f.field_type in ("text", "radio", "yesno", "slider")]
    chosen = chance.choice(fields[1:])
    return {chosen.field_name: chance.choice(tuple(project.dictionary.missing_codes))}


def _file(project: Project, name: str, content: bytes) -> str:
    number = project.next_file_id()
    project.files[number] = StoredFile(name, content, "application/pdf")
    return str(number)


def _in_order(project: Project, values: dict[str, str]) -> dict[str, str]:
    return {column.name: values[column.name] for column in project.dictionary.columns if column.name in values}
