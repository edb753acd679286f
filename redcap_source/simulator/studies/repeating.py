"""The repeating study: an asthma registry with repeating instruments, a repeating event, surveys and missing codes."""

from __future__ import annotations

from datetime import timedelta

from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import parse_missing_codes
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, RecordStore, Slot
from redcap_source.simulator.studies.grid import dictionary_from
from redcap_source.simulator.studies.values import FIRST_DAY, Chance, chance_of, filled

MISSING = "-99, Not done | UNK, Unknown"
BASELINE, YEARLY, CLOSE = 201, 202, 203
GRID = """
# intake ~ Intake
study_id ~ text ~ ~ Study number
nickname_first_name ~ text ~ ~ Called ~ ~ id
birth_date ~ text ~ date_ymd ~ Date of birth ~ ~ id
sex ~ radio ~ ~ Sex ~ 1, Female | 2, Male
triggers ~ checkbox ~ ~ Triggers ~ 1, Pollen | 2, Dust | 3, Cold air | -7, Other
height ~ text ~ number ~ Height (cm) ~ ~ 120..205
severity ~ dropdown ~ ~ Severity ~ 1, Mild | 2, Moderate | 3, Severe

# control_survey ~ Asthma control (survey)
act_1 ~ radio ~ ~ How often at night ~ 1, Always | 2, Often | 3, Sometimes | 4, Rarely | 5, Never
act_2 ~ radio ~ ~ How often short of breath ~ 1, Always | 2, Often | 3, Sometimes | 4, Rarely | 5, Never
act_3 ~ radio ~ ~ Use of rescue medication ~ 1, Always | 2, Often | 3, Sometimes | 4, Rarely | 5, Never
act_score ~ calc ~ ~ Score ~ [act_1] + [act_2] + [act_3]
act_comment ~ notes ~ ~ Anything else

# exacerbations ~ Exacerbations
exac_date ~ text ~ date_mdy ~ Date
exac_severity ~ radio ~ ~ Severity ~ 1, Mild | 2, Moderate | 3, Severe
exac_admitted ~ yesno ~ ~ Admitted
exac_drug ~ text ~ ~ Treated with

# spirometry ~ Spirometry
spiro_at ~ text ~ datetime_ymd ~ Measured at
fev1 ~ text ~ number_2dp ~ FEV1 ~ ~ 1..5
fvc ~ text ~ number_2dp ~ FVC ~ ~ 1..6
ratio ~ calc ~ ~ FEV1/FVC ~ round([fev1] / [fvc], 2)
quality ~ slider ~ ~ Quality of the test

# closing ~ Closing
closed_on ~ text ~ date_ymd ~ Closed on
closed_why ~ radio ~ ~ Why ~ 1, Moved | 2, Withdrew | 3, Well again
"""


def make(*, records: int, seed: int) -> Project:
    """The registry with that many participants."""
    project = Project(dictionary=dictionary_from(GRID, parse_missing_codes(MISSING)))
    project.settings |= {
        "project_title": "Asthma registry",
        "missing_data_codes": MISSING,
        "is_longitudinal": 1,
        "surveys_enabled": 1,
    }
    project.arms = {1: "Arm 1"}
    project.events = [
        Event(BASELINE, "Baseline", 1, "baseline_arm_1"),
        Event(YEARLY, "Yearly visit", 1, "yearly_visit_arm_1", "", 365),
        Event(CLOSE, "Close-out", 1, "closeout_arm_1", "", 999),
    ]
    project.mapping = {
        BASELINE: ("intake", "control_survey", "exacerbations", "spirometry"),
        YEARLY: ("control_survey", "spirometry"),
        CLOSE: ("closing",),
    }
    project.repeating_forms = {(BASELINE, "exacerbations"): "[exac_date]", (BASELINE, "spirometry"): ""}
    project.repeating_events = {YEARLY}
    project.surveys = {"control_survey"}
    project.records = RecordStore(_record(project, str(number), seed) for number in range(1, records + 1))
    return project


def _record(project: Project, record: str, seed: int) -> Record:
    chance = chance_of("repeating", seed, record)
    slots: dict[Slot, dict[str, str]] = {(BASELINE, "", 0): _filled(project, "intake", chance)}
    slots[BASELINE, "", 0] |= _survey(project, chance, 0)
    for number in range(1, 1 + chance.choices((0, 1, 2, 5), (40, 30, 20, 10))[0]):
        slots[BASELINE, "exacerbations", number] = _filled(project, "exacerbations", chance)
    for number in range(1, 1 + chance.randint(0, 2)):
        slots[BASELINE, "spirometry", number] = _filled(project, "spirometry", chance)
    for number in range(1, 1 + chance.randint(0, 3)):
        slots[YEARLY, "", number] = _survey(project, chance, number) | _filled(project, "spirometry", chance)
    if chance.random() < 0.1:
        slots[CLOSE, "", 0] = _filled(project, "closing", chance)
    return Record(record, dict(slots))


def _survey(project: Project, chance: Chance, year: int) -> dict[str, str]:
    answered = chance.random()
    if answered < 0.1:
        return {}
    values = _filled(project, "control_survey", chance)
    if answered < 0.2:
        # Started and not submitted.
        return {
            "control_survey_timestamp": "[not completed]",
            "act_1": values.get("act_1", "1"),
            "control_survey_complete": "0",
        }
    at = FIRST_DAY + timedelta(days=365 * year + chance.randint(0, 60))
    time = f"{chance.randint(7, 22):02d}:{chance.randint(0, 59):02d}:{chance.randint(0, 59):02d}"
    return {"control_survey_timestamp": f"{at} {time}"} | values


def _filled(project: Project, form: str, chance: Chance) -> dict[str, str]:
    values = filled(project.dictionary, form, chance)
    status = values.pop(f"{form}_complete")
    if chance.random() < 0.1:
        name = project.dictionary.fields_of(form)[-2].field_name
        values[name] = chance.choice(tuple(project.dictionary.missing_codes))
    values |= _calculated(values)
    return {**values, f"{form}_complete": status}


def _calculated(values: dict[str, str]) -> dict[str, str]:
    results: dict[str, str] = {}
    answers = [values.get(f"act_{number}", "") for number in (1, 2, 3)]
    if all(answer.isdecimal() for answer in answers):
        results["act_score"] = str(sum(map(int, answers)))
    try:
        ratio = round(float(values["fev1"]) / float(values["fvc"]), 2)
    except (KeyError, ValueError):
        return results
    return results | {"ratio": f"{ratio:g}"}
