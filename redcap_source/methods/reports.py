"""Methods about saved reports."""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from redcap_source.http.sinks import Received
from redcap_source.methods.caller import Caller
from redcap_source.methods.options import SHAPES, ReportFormat, ReportOptions, report_parameters
from redcap_source.protocol.request import Expect, Request

if TYPE_CHECKING:
    import pandas as pd


class ReportMethods(Caller):
    """export_report, and export_report_to for large ones."""

    def export_report(self, report_id: int | str, **options: Unpack[ReportOptions]) -> "pd.DataFrame":
        """A saved report as a DataFrame of text; reports are always flat."""
        parameters = {"report_id": report_id, **report_parameters(options)}
        return self._frame("report", parameters, Expect.CSV, options.get("csv_delimiter", ","))

    def export_report_to(
        self,
        sink: Path,
        report_id: int | str,
        *,
        format: ReportFormat = "csv",
        **options: Unpack[ReportOptions],
    ) -> Received:
        """Stream a saved report to a file, as `export_records_to` does records."""
        parameters = {"report_id": report_id, **report_parameters(options)}
        expect = SHAPES.get(format, Expect.CSV)
        return self._to_file(Request("report", parameters=parameters, format=format, expect=expect), sink)
