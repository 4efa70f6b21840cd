"""Findings as text for people and as an object for programs.  Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from portal.doctor.findings import PORTAL, Check, Finding, Level

_WIDTH: Final = max(len(check.value) for check in Check)


def as_text(findings: Sequence[Finding], *, addresses: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each finding, grouped by subject, with the fix below; *addresses* are by subject."""
    for subject, url in addresses.items():
        yield f"{'The portal' if subject == PORTAL else subject}, {url}"
        for finding in findings:
            if finding.subject == subject:
                yield f"  {finding.level:<7}  {finding.check.value:<{_WIDTH}}  {finding.said}"
                if finding.fix:
                    yield f"{'':<{_WIDTH + 13}}{finding.fix}"
        yield ""
    yield summary(findings)


def summary(findings: Sequence[Finding]) -> str:
    """Return one sentence about all findings."""
    problems, warnings = count(findings, "problem"), count(findings, "warning")
    if not problems and not warnings:
        return "Nothing is wrong."
    return f"{_number(problems, 'problem')}, {_number(warnings, 'warning')}."


def as_object(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for ``--json``."""
    return {
        "problems": count(findings, "problem"),
        "warnings": count(findings, "warning"),
        "findings": [asdict(finding) for finding in findings],
    }


def count(findings: Sequence[Finding], level: Level) -> int:
    """Return how many of *findings* are of *level*."""
    return sum(finding.level == level for finding in findings)


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
