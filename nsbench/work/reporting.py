"""The report of a folder, from its record alone."""

from pathlib import Path

from nsbench.claims import Claims
from nsbench.report.render import write_report
from nsbench.results.record import Results
from nsbench.results.store import load_results, require_results
from nsbench.work.checks import check_links


def report(folder: Path) -> Path:
    """Write the report of a measured folder again; returns its path.

    Raises:
        UserError: there is no record, it is damaged, or a folder below is a link.
    """
    require_results(folder)  # before a claim makes anything in a folder that is none of ours
    check_links(folder)
    with Claims(folder).hold("report"):
        return write_report(load_results(folder), folder)


def write_shared_report(results: Results, claims: Claims) -> Path:
    """Write the report of a folder on which other processes may be working, one process at a time; returns its path."""
    check_links(claims.folder)  # again, after hours
    with claims.hold("report"):
        return write_report(results, claims.folder)
