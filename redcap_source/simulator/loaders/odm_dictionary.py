"""The data dictionary of a REDCap Project XML."""

from __future__ import annotations

from collections.abc import Iterator

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.loaders.odm_xml import ODM, REDCAP, Element
from redcap_source.simulator.state.dictionary import YES_NO, Dictionary, Field

_TYPES = {"textarea": "notes", "select": "dropdown"}
_VALIDATIONS = {"int": "integer", "float": "number"}


def dictionary_of(version: Element, source: str) -> Dictionary:
    """The dictionary that a MetaDataVersion defines; `source` names the file in errors."""
    groups = {group.get("OID"): group for group in version.iter(f"{ODM}ItemGroupDef")}
    items = {item.get("OID", ""): item for item in version.iter(f"{ODM}ItemDef")}
    lists = {codes.get("OID", ""): codes for codes in version.iter(f"{ODM}CodeList")}
    fields: dict[str, Field] = {}
    labels: dict[str, str] = {}
    for form in version.iter(f"{ODM}FormDef"):
        name = form.get(f"{REDCAP}FormName") or form.get("OID", "").removeprefix("Form.")
        labels[name] = form.get("Name") or name
        for reference in form.iter(f"{ODM}ItemGroupRef"):
            group = groups.get(reference.get("ItemGroupOID"))
            for item in _items_of(group, items):
                field = _field(item, name, lists)
                if field is not None:
                    fields.setdefault(field.field_name, field)
    if not fields:
        raise SimulatorError(f"{source} defines no fields; export it from REDCap with its metadata.")
    return Dictionary(fields.values(), form_labels=labels)


def _items_of(group: Element | None, items: dict[str, Element]) -> Iterator[Element]:
    if group is None:
        return
    for reference in group.iter(f"{ODM}ItemRef"):
        item = items.get(reference.get("ItemOID", ""))
        if item is not None:
            yield item


def _field(item: Element, form: str, lists: dict[str, Element]) -> Field | None:
    name, kind = item.get(f"{REDCAP}Variable", ""), item.get(f"{REDCAP}FieldType")
    if kind is None or name == f"{form}_complete":
        # Either not a field of the dictionary, or the form's status.
        return None

    def extra(attribute: str) -> str:
        return item.get(REDCAP + attribute, "")

    kind = _TYPES.get(kind, kind)
    validation = extra("TextValidationType")
    low, high = _range(item)
    return Field(
        field_name=name,
        form_name=form,
        section_header=extra("SectionHeader"),
        field_type=kind,
        field_label=_label(item),
        select_choices_or_calculations=_choices(item, kind, lists),
        field_note=extra("FieldNote"),
        text_validation_type_or_show_slider_number=_VALIDATIONS.get(validation, validation),
        text_validation_min=low,
        text_validation_max=high,
        identifier=extra("Identifier"),
        branching_logic=extra("BranchingLogic"),
        required_field=extra("RequiredField"),
        custom_alignment=extra("CustomAlignment"),
        question_number=extra("QuestionNumber") or extra("QuestionNum"),
        matrix_group_name=extra("MatrixGroupName"),
        matrix_ranking=extra("MatrixRanking"),
        field_annotation=extra("FieldAnnotation"),
    )


def _label(item: Element) -> str:
    question = item.find(f"{ODM}Question")
    if question is None:
        return ""
    formatted = question.findtext(f"{REDCAP}FormattedTranslatedText")
    return formatted or question.findtext(f"{ODM}TranslatedText") or ""


def _range(item: Element) -> tuple[str, str]:
    bounds = {"GE": "", "LE": ""}
    for check in item.iter(f"{ODM}RangeCheck"):
        bounds[check.get("Comparator", "")] = check.findtext(f"{ODM}CheckValue") or ""
    return bounds["GE"], bounds["LE"]


def _choices(item: Element, kind: str, lists: dict[str, Element]) -> str:
    if kind == "calc":
        return item.get(f"{REDCAP}Calculation", "")
    if kind == "slider":
        return item.get(f"{REDCAP}SliderLabels", "")
    reference = item.find(f"{ODM}CodeListRef")
    codes = lists.get(reference.get("CodeListOID", "")) if reference is not None else None
    if codes is None or kind in YES_NO:
        return ""
    if kind == "checkbox":
        parts = (codes.get(f"{REDCAP}CheckboxChoices") or "").split("|")
        return "|".join(part.strip() for part in parts)
    return "|".join(f"{entry.get('CodedValue', '')}, {_decode(entry)}" for entry in codes.iter(f"{ODM}CodeListItem"))


def _decode(entry: Element) -> str:
    return entry.findtext(f"{ODM}Decode/{ODM}TranslatedText") or ""
