"""Methods about surveys: links, codes and participants."""

from redcap_source import model
from redcap_source.methods.caller import Caller
from redcap_source.protocol.request import Expect, Parameter, Request


class SurveyMethods(Caller):
    """survey_link, survey_access_code, survey_return_code, survey_queue_link, participant_list."""

    def survey_link(self, record: str, instrument: str, event: str = "", repeat_instance: int | None = None) -> str:
        """The link to a participant's survey; REDCap may create the response when this is asked."""
        return self._survey("surveyLink", record, instrument, event, repeat_instance)

    def survey_access_code(
        self, record: str, instrument: str, event: str = "", repeat_instance: int | None = None
    ) -> str:
        """The nine characters that open a participant's survey."""
        return self._survey("surveyAccessCode", record, instrument, event, repeat_instance)

    def survey_return_code(
        self, record: str, instrument: str, event: str = "", repeat_instance: int | None = None
    ) -> str:
        """The eight characters with which a participant returns to a survey."""
        return self._survey("surveyReturnCode", record, instrument, event, repeat_instance)

    def survey_queue_link(self, record: str) -> str:
        """The link to a participant's survey queue."""
        return self._line(Request("surveyQueueLink", parameters={"record": record}, expect=Expect.LINE))

    def participant_list(self, instrument: str, event: str = "") -> tuple[model.Participant, ...]:
        """A survey's participants, with their links and their progress."""
        parameters: dict[str, Parameter] = {"instrument": instrument, "event": event}
        return self._items(model.Participant, Request("participantList", parameters=parameters))

    def _survey(self, content: str, record: str, instrument: str, event: str, repeat_instance: int | None) -> str:
        parameters: dict[str, Parameter] = {"record": record, "instrument": instrument, "event": event}
        parameters["repeat_instance"] = repeat_instance
        return self._line(Request(content, parameters=parameters, expect=Expect.LINE))
