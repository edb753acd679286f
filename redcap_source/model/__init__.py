"""REDCap's nouns as frozen values, each made from one row of an answer.

Values are assigned by key name: unknown keys are kept in `extra`, and a key the server did not send is None, which
means unknown, not false (the lists of keys grew with every REDCap version). Numbers arrive as numbers or as text, by
version and format; both are accepted. Participants' values are in no repr.
Not here: what a field means (dictionary/).
"""

from redcap_source.model.other import LogRow as LogRow
from redcap_source.model.other import Participant as Participant
from redcap_source.model.other import Randomization as Randomization
from redcap_source.model.other import RepositoryItem as RepositoryItem
from redcap_source.model.project import DICTIONARY_COLUMNS as DICTIONARY_COLUMNS
from redcap_source.model.project import Arm as Arm
from redcap_source.model.project import Event as Event
from redcap_source.model.project import ExportFieldName as ExportFieldName
from redcap_source.model.project import Field as Field
from redcap_source.model.project import FormEvent as FormEvent
from redcap_source.model.project import Instrument as Instrument
from redcap_source.model.project import ProjectInfo as ProjectInfo
from redcap_source.model.project import RepeatingForm as RepeatingForm
from redcap_source.model.rows import ApiRow as ApiRow
from redcap_source.model.rows import MissingKeyError as MissingKeyError
from redcap_source.model.rows import Row as Row
from redcap_source.model.rows import flag as flag
from redcap_source.model.rows import number_or_text as number_or_text
from redcap_source.model.rows import per_form as per_form
from redcap_source.model.rows import text as text
from redcap_source.model.rows import whole as whole
from redcap_source.model.users import RIGHTS as RIGHTS
from redcap_source.model.users import DataAccessGroup as DataAccessGroup
from redcap_source.model.users import DataAccessGroupAssignment as DataAccessGroupAssignment
from redcap_source.model.users import RoleAssignment as RoleAssignment
from redcap_source.model.users import User as User
from redcap_source.model.users import UserRole as UserRole

Bound = ApiRow
"""The earlier name of `ApiRow`."""
