"""The longitudinal study: a vaccine trial in two arms, most of whose cells are blank, as in real trials.

At its usual size, 5,000 records, a flat export has 365 columns and about 95,000 rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Dictionary
from redcap_source.simulator.state.project import Group, Project
from redcap_source.simulator.state.records import Record, RecordStore, Slot
from redcap_source.simulator.studies.grid import dictionary_from
from redcap_source.simulator.studies.values import FIRST_DAY, Chance, chance_of, filled

EXPORT_COLUMNS = 365
ARMS = {1: "Vaccine", 2: "Placebo"}
SITES = ("North", "South", "Island")
# Each instrument is filled in so many times, and records draw from these, so that a large trial is made quickly.
VARIANTS = 250

GRID = """
# demographics ~ Demographics
record_id ~ text ~ ~ Participant
demographics_date ~ text ~ date_ymd ~ Date
initials ~ text ~ alpha_only ~ Code word ~ ~ id
birth_date ~ text ~ date_dmy ~ Date of birth ~ ~ id
sex ~ radio ~ ~ Sex ~ 1, Female | 2, Male
ethnicity ~ dropdown ~ ~ Ethnicity ~ 0, Unknown | 1, Not Hispanic | 2, Hispanic
race ~ checkbox ~ ~ Race ~ 1, Asian | 2, Black | 3, Pacific | 4, White | 5, Other
occupation ~ text ~ ~ Occupation

# consent ~ Informed consent
consent_date ~ text ~ date_ymd ~ Date
consent_version ~ radio ~ ~ Version ~ 1, 1.0 | 2, 1.1 | 3, 2.0
consent_given ~ yesno ~ ~ Consent given
consent_future ~ yesno ~ ~ May be asked again

# medical_history ~ Medical history
medical_history_date ~ text ~ date_ymd ~ Date
history ~ checkbox ~ ~ History of ~ 1, Asthma | 2, Diabetes | 3, Heart disease | 4, Stroke | 5, Cancer | 6, Allergy
history_other ~ notes ~ ~ Other
smoker ~ radio ~ ~ Smoking ~ 0, Never | 1, Former | 2, Current

# physical_exam ~ Physical examination
physical_exam_date ~ text ~ date_ymd ~ Date
exam_heart ~ radio ~ ~ Heart ~ 1, Normal | 2, Abnormal | 3, Not done
exam_lungs ~ radio ~ ~ Lungs ~ 1, Normal | 2, Abnormal | 3, Not done
exam_skin ~ radio ~ ~ Skin ~ 1, Normal | 2, Abnormal | 3, Not done
exam_neuro ~ radio ~ ~ Neurological ~ 1, Normal | 2, Abnormal | 3, Not done
height ~ text ~ number ~ Height (cm) ~ ~ 145..205
weight ~ text ~ number ~ Weight (kg) ~ ~ 45..140
bmi ~ calc ~ ~ Body mass index ~ round([weight] * 10000 / ([height] ^ 2), 1)

# vital_signs ~ Vital signs
vital_signs_date ~ text ~ date_ymd ~ Date
temperature ~ text ~ number_1dp ~ Temperature ~ ~ 35..40
pulse ~ text ~ integer ~ Pulse ~ ~ 45..120
systolic ~ text ~ integer ~ Systolic ~ ~ 90..180
diastolic ~ text ~ integer ~ Diastolic ~ ~ 50..110
saturation ~ text ~ integer ~ Oxygen saturation ~ ~ 88..100
respiration ~ text ~ integer ~ Respiration ~ ~ 10..26

# ecg ~ Electrocardiogram
ecg_date ~ text ~ datetime_ymd ~ Date and time
ecg_result ~ radio ~ ~ Result ~ 1, Normal | 2, Abnormal, not significant | 3, Abnormal, significant
ecg_qt ~ text ~ integer ~ QT (ms) ~ ~ 320..480
ecg_pr ~ text ~ integer ~ PR (ms) ~ ~ 110..220

# hematology ~ Haematology
hematology_date ~ text ~ datetime_ymd ~ Sample taken
{hematology}

# chemistry ~ Chemistry
chemistry_date ~ text ~ datetime_ymd ~ Sample taken
{chemistry}

# urinalysis ~ Urinalysis
urinalysis_date ~ text ~ datetime_ymd ~ Sample taken
{urinalysis}

# pregnancy_test ~ Pregnancy test
pregnancy_test_date ~ text ~ date_ymd ~ Date
pregnancy_result ~ radio ~ ~ Result ~ 0, Negative | 1, Positive | 9, Not applicable

# randomization ~ Randomization
randomization_date ~ text ~ date_ymd ~ Date
stratum ~ radio ~ ~ Stratum ~ 1, Under 65 | 2, 65 and over
kit_number ~ text ~ integer ~ Kit number ~ ~ 10000..99999

# vaccination ~ Vaccination
vaccination_date ~ text ~ datetime_ymd ~ Given at
vaccine_lot ~ text ~ ~ Lot
vaccine_arm ~ radio ~ ~ Arm ~ 1, Left | 2, Right
vaccine_by ~ text ~ alpha_only ~ Given by
observed ~ yesno ~ ~ Observed for 15 minutes

# diary ~ Symptom diary
diary_date ~ text ~ date_ymd ~ Date
diary_temperature ~ text ~ number_1dp ~ Highest temperature ~ ~ 35..40
diary_local ~ checkbox ~ ~ Local ~ 1, Pain | 2, Redness | 3, Swelling | 4, Itching
diary_systemic ~ checkbox ~ ~ Systemic ~ 1, Fever | 2, Fatigue | 3, Headache | 4, Chills | 5, Nausea | 6, Muscle pain
diary_worst ~ slider ~ ~ How bad was it ~ not at all | medium | very
diary_medication ~ text ~ ~ Medication taken

# adverse_events ~ Adverse events
adverse_events_date ~ text ~ date_ymd ~ Date
ae_any ~ yesno ~ ~ Any since last visit
ae_term ~ text ~ ~ Term
ae_grade ~ dropdown ~ ~ Grade ~ 1, Mild | 2, Moderate | 3, Severe | 4, Life-threatening
ae_related ~ yesno ~ ~ Related
ae_start ~ text ~ date_ymd ~ Start
ae_stop ~ text ~ date_ymd ~ Stop
ae_notes ~ notes ~ ~ Notes

# medication ~ Other medication
medication_date ~ text ~ date_ymd ~ Date
med_1_drug ~ text ~ ~ Drug 1
med_1_dose ~ text ~ number ~ Dose 1 ~ ~ 1..500
med_2_drug ~ text ~ ~ Drug 2
med_2_dose ~ text ~ number ~ Dose 2 ~ ~ 1..500
med_3_drug ~ text ~ ~ Drug 3
med_3_dose ~ text ~ number ~ Dose 3 ~ ~ 1..500

# immunogenicity ~ Immunogenicity
immunogenicity_date ~ text ~ datetime_ymd ~ Sample taken
{immunogenicity}

# quality_of_life ~ Quality of life
quality_of_life_date ~ text ~ date_ymd ~ Date
{quality_of_life}

# phone_call ~ Phone call
phone_call_date ~ text ~ datetime_ymd ~ Called at
call_reached ~ yesno ~ ~ Reached
call_attempts ~ text ~ integer ~ Attempts ~ ~ 1..5
call_notes ~ notes ~ ~ Notes

# deviation ~ Protocol deviation
deviation_date ~ text ~ date_ymd ~ Date
deviation_any ~ yesno ~ ~ Any deviation
deviation_kind ~ checkbox ~ ~ Kind ~ 1, Window | 2, Dose | 3, Consent | 4, Sample | 9, Other
deviation_notes ~ notes ~ ~ Notes

# end_of_study ~ End of study
end_of_study_date ~ text ~ date_ymd ~ Date
end_reason ~ dropdown ~ ~ Reason ~ 1, Completed | 2, Withdrew | 3, Lost | 4, Died
end_notes ~ notes ~ ~ Notes
"""
# Event, day, instruments; most records of an arm have all of them.
SCHEDULE = (
    ("Screening", 0, "demographics consent medical_history physical_exam ecg pregnancy_test"),
    ("Randomization", 7, "randomization vital_signs quality_of_life"),
    ("Dose 1", 8, "vaccination vital_signs hematology"),
    ("Diary 1", 9, "diary"),
    ("Call 1", 11, "phone_call adverse_events"),
    ("Visit 1", 15, "vital_signs chemistry"),
    ("Visit 2", 22, "vital_signs medication"),
    ("Dose 2", 36, "vaccination vital_signs urinalysis"),
    ("Diary 2", 37, "diary adverse_events"),
    ("Call 2", 39, "phone_call medication"),
    ("Visit 3", 43, "vital_signs hematology"),
    ("Visit 4", 64, "immunogenicity"),
    ("Visit 5", 92, "vital_signs deviation"),
    ("Call 3", 120, "phone_call medication"),
    ("Visit 6", 180, "physical_exam chemistry"),
    ("Call 4", 240, "phone_call adverse_events"),
    ("Visit 7", 300, "vital_signs medication deviation"),
    ("Visit 8", 360, "immunogenicity"),
    ("Final visit", 390, "ecg adverse_events end_of_study quality_of_life"),
)


def make(*, records: int, seed: int) -> Project:
    """The trial with that many participants."""
    project = Project(dictionary=_dictionary())
    project.settings |= {"project_title": "Vaccine trial", "is_longitudinal": 1, "record_autonumbering_enabled": 0}
    project.arms = dict(ARMS)
    project.events = [_event(arm, number) for arm in ARMS for number in range(len(SCHEDULE))]
    project.mapping = {
        event.event_id: tuple(SCHEDULE[at % len(SCHEDULE)][2].split()) for at, event in enumerate(project.events)
    }
    project.groups = {name.lower(): Group(11 + at, name, name.lower()) for at, name in enumerate(SITES)}
    maker = _Maker(project, seed)
    project.records = RecordStore(maker.record(number) for number in range(1, records + 1))
    return project


def _dictionary() -> Dictionary:
    panels = {name: _panel(name, size) for name, size in (("hematology", 36), ("chemistry", 40), ("urinalysis", 20))}
    panels["quality_of_life"] = "\n".join(
        f"qol_{n} ~ radio ~ ~ Question {n} ~ 1, Never | 2, Sometimes | 3, Often | 4, Always" for n in range(1, 31)
    )
    # The antibody panel fills up the number of columns.
    short = dictionary_from(GRID.format(immunogenicity="", **panels))
    # One column of the export is the event's name.
    missing = EXPORT_COLUMNS - 1 - len(short.columns)
    return dictionary_from(GRID.format(immunogenicity=_panel("immunogenicity", missing), **panels))


def _panel(form: str, size: int) -> str:
    return "\n".join(
        f"{form[:6]}_{n:02d} ~ text ~ number{'_1dp' if n % 3 else ''} ~ {form.title()} test {n} ~ ~ 1..{20 + 20 * n}"
        for n in range(1, size + 1)
    )


def _event(arm: int, number: int) -> Event:
    name, day, _ = SCHEDULE[number]
    unique = f"{name.lower().replace(' ', '_')}_arm_{arm}"
    return Event(100 * arm + number + 1, name, arm, unique, "", day, 0, 3)


class _Maker:
    """Makes participants: draws filled-in instruments at random and dates them."""

    def __init__(self, project: Project, seed: int) -> None:
        self._drawn, state = _variants(seed)
        self._chance = chance_of("longitudinal", seed)
        self._chance.setstate(state)
        self._groups = tuple(project.groups)
        self._events = {arm: [e for e in project.events if e.arm == arm] for arm in ARMS}
        self._forms = project.mapping
        dictionary = project.dictionary
        self._date_type = {
            form: "datetime" in dictionary.by_name[f"{form}_date"].validation for form in dictionary.forms
        }

    def record(self, number: int) -> Record:
        """One participant."""
        chance = self._chance
        arm = 1 + (number % 2)
        group = self._groups[int(chance.random() * len(self._groups))] if chance.random() < 0.98 else ""
        start = FIRST_DAY + timedelta(days=int(chance.random() * 400))
        stays = len(SCHEDULE) if chance.random() < 0.96 else 4 + int(chance.random() * 12)
        slots: dict[Slot, dict[str, str]] = {}
        for event in self._events[arm][:stays]:
            day = (start + timedelta(days=event.day_offset + int(chance.random() * 3))).isoformat()
            slots[event.event_id, "", 0] = self._visit(event.event_id, day)
        return Record(f"{1000 + number}", dict(slots), group)

    def _visit(self, event_id: int, day: str) -> dict[str, str]:
        chance = self._chance
        values: dict[str, str] = {}
        for form in self._forms[event_id]:
            drawn = self._drawn[form][int(chance.random() * VARIANTS)]
            hour = f" {8 + int(chance.random() * 9):02d}:{int(chance.random() * 6)}5" if self._date_type[form] else ""
            values |= drawn
            values[f"{form}_date"] = day + hour
        return values


@lru_cache(maxsize=1)
def _variants(seed: int) -> tuple[Mapping[str, Sequence[Mapping[str, str]]], tuple[Any, ...]]:
    """The filled-in variants of every instrument, and how the random source goes on.

    Drawing them takes nine tenths of the time in which a study of some records is made.
    """
    dictionary, chance = _dictionary(), chance_of("longitudinal", seed)
    drawn = {form: [_drawn(dictionary, form, chance) for _ in range(VARIANTS)] for form in dictionary.forms}
    return drawn, chance.getstate()


def _drawn(dictionary: Dictionary, form: str, chance: Chance) -> dict[str, str]:
    values = filled(dictionary, form, chance, blank=0.12)
    if "bmi" not in dictionary.by_name or form != "physical_exam" or not {"height", "weight"} <= values.keys():
        return values
    bmi = round(float(values["weight"]) * 10000 / float(values["height"]) ** 2, 1)
    status = values.pop(f"{form}_complete")
    return {**values, "bmi": f"{bmi:g}", f"{form}_complete": status}
