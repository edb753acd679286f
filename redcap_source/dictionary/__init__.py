"""What a field means: its kind of value, its choices, its columns in an export, what its validation accepts.

Pure: REDCap's rules for the data dictionary. Of a participant's value it only says whether its form is valid.
Not here: how a row becomes a Field (model/).
"""

from redcap_source.dictionary.choices import STATUS_CHOICES as STATUS_CHOICES
from redcap_source.dictionary.choices import TRUE_FALSE as TRUE_FALSE
from redcap_source.dictionary.choices import YES_NO as YES_NO
from redcap_source.dictionary.choices import Choice as Choice
from redcap_source.dictionary.choices import choices as choices
from redcap_source.dictionary.choices import missing_codes_of as missing_codes_of
from redcap_source.dictionary.choices import missing_data_codes as missing_data_codes
from redcap_source.dictionary.choices import parse_choices as parse_choices
from redcap_source.dictionary.columns import DATA_ACCESS_GROUP_COLUMN as DATA_ACCESS_GROUP_COLUMN
from redcap_source.dictionary.columns import EVENT_COLUMN as EVENT_COLUMN
from redcap_source.dictionary.columns import REPEAT_COLUMNS as REPEAT_COLUMNS
from redcap_source.dictionary.columns import SURVEY_IDENTIFIER_COLUMN as SURVEY_IDENTIFIER_COLUMN
from redcap_source.dictionary.columns import checkbox_column as checkbox_column
from redcap_source.dictionary.columns import columns_by_field as columns_by_field
from redcap_source.dictionary.columns import complete_column as complete_column
from redcap_source.dictionary.columns import expected_columns as expected_columns
from redcap_source.dictionary.columns import field_columns as field_columns
from redcap_source.dictionary.columns import instrument_names as instrument_names
from redcap_source.dictionary.columns import record_id_field as record_id_field
from redcap_source.dictionary.columns import timestamp_column as timestamp_column
from redcap_source.dictionary.kinds import CALCULATION_TAG as CALCULATION_TAG
from redcap_source.dictionary.kinds import ValueKind as ValueKind
from redcap_source.dictionary.kinds import action_tags as action_tags
from redcap_source.dictionary.kinds import is_calculated as is_calculated
from redcap_source.dictionary.kinds import is_identifier as is_identifier
from redcap_source.dictionary.kinds import value_kind as value_kind
from redcap_source.dictionary.validation import VALIDATION_PATTERNS as VALIDATION_PATTERNS
from redcap_source.dictionary.validation import passes_validation as passes_validation
