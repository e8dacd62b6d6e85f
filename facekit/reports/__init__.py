"""Make reports: run a notebook, and write its results as notebook, HTML, PDF and JSON.

A report is a notebook in `notebooks/reports/` that papermill runs with the given parameters. It
keeps its numbers by `report_numbers` and its inputs by `report_inputs`. After the run, date,
versions and data are added. Running a report again gives the same numbers; only the provenance
changes.

`running` runs notebooks and writes files, `parameters` checks what the user sets, `numbers` keeps
results, `provenance` says where they come from, and `page` makes HTML and PDF. Computing is left to
`evaluation`, `datasets` and `pipeline`, drawing to `plotting`.
"""

from facekit.reports.numbers import (
    NUMBERS_MIME,
    collect_numbers,
    make_plain,
    report_inputs,
    report_numbers,
    take_fingerprint,
)
from facekit.reports.page import BROWSERS, print_page, render_page
from facekit.reports.parameters import (
    ParameterError,
    ReportError,
    choose_parameters,
    explain_parameter,
    read_parameters,
    require_number,
)
from facekit.reports.provenance import find_commit
from facekit.reports.running import REPORTS, Report, find_notebook, run_report

# Names of earlier versions, which notebooks of users call.
tell, tell_inputs = report_numbers, report_inputs

__all__ = [
    "BROWSERS",
    "NUMBERS_MIME",
    "REPORTS",
    "ParameterError",
    "Report",
    "ReportError",
    "choose_parameters",
    "collect_numbers",
    "explain_parameter",
    "find_commit",
    "find_notebook",
    "make_plain",
    "print_page",
    "read_parameters",
    "render_page",
    "report_inputs",
    "report_numbers",
    "require_number",
    "run_report",
    "take_fingerprint",
    "tell",
    "tell_inputs",
]
