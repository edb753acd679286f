"""A project's structure at one moment as a plain value; `client.outline()` fetches it."""

from dataclasses import dataclass
from functools import cached_property

from redcap_source.dictionary import instrument_names, record_id_field
from redcap_source.model import Arm, Event, Field


@dataclass(frozen=True)
class Outline:
    """The data dictionary, arms and events of a project; its attributes have PyCap's names."""

    dictionary: tuple[Field, ...]
    arms: tuple[Arm, ...] = ()
    events: tuple[Event, ...] = ()
    is_longitudinal: bool = False

    @property
    def def_field(self) -> str:
        """The field that holds the record id."""
        return record_id_field(self.dictionary)

    @property
    def forms(self) -> tuple[str, ...]:
        """The instruments that have fields, in order."""
        return tuple(instrument_names(self.dictionary))

    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields, in order."""
        return tuple(field.field_name for field in self.dictionary)

    @property
    def field_labels(self) -> tuple[str, ...]:
        """The fields' labels, in the same order."""
        return tuple(field.field_label for field in self.dictionary)

    @property
    def arm_nums(self) -> tuple[int, ...]:
        """The numbers of the arms; none in a classic project."""
        return tuple(arm.arm_num for arm in self.arms)

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The names of the arms, in the same order."""
        return tuple(arm.name or "" for arm in self.arms)

    @property
    def names_labels(self) -> dict[str, str]:
        """Each field's label by its name."""
        return {field.field_name: field.field_label for field in self.dictionary}

    def metadata_type(self, field_name: str) -> str:
        """A field's type, such as `text` or `checkbox`; KeyError if there is no such field."""
        return self.field(field_name).field_type

    def field(self, field_name: str) -> Field:
        """One field by its name; KeyError if there is none."""
        return self._by_name[field_name]

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.field_name: field for field in self.dictionary}
