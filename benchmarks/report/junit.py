"""The gate's checks as JUnit XML: one suite per artifact, one case per check, so that CI shows which limit failed."""

from __future__ import annotations

from xml.etree import ElementTree

from edgeship.bundle.manifest import Manifest
from edgeship.bundle.verdict import Check, GateResult
from edgeship.types import Verdict
from edgeship.untrusted import printable_value


def render(manifest: Manifest) -> str:
    """The XML. FAIL and INCONCLUSIVE are failures of that type; what was not judged is skipped."""
    gate: GateResult = printable_value(
        manifest.gate or GateResult(Verdict.INCONCLUSIVE)
    )  # XML has no place for most control characters
    root = ElementTree.Element("testsuites", name="edgeship gate")
    left_out = {item.artifact: item.reason for item in gate.not_judged}
    for artifact in dict.fromkeys([*(check.artifact for check in gate.checks), *left_out]):
        checks = [check for check in gate.checks if check.artifact == artifact]
        suite = ElementTree.SubElement(root, "testsuite", name=artifact or "bundle")
        for check in checks:
            _add_case(suite, artifact, check)
        if artifact in left_out:
            case = ElementTree.SubElement(suite, "testcase", classname=artifact, name="judged")
            ElementTree.SubElement(case, "skipped", message=left_out[artifact])
        _set_counts(suite)
    _set_counts(root)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ElementTree.Element, artifact: str, check: Check) -> None:
    places = (artifact or "bundle", check.runtime, "" if check.device == "host" else check.device)
    classname = ".".join(filter(None, places))
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name=check.check)
    if check.verdict is not Verdict.PASS:
        failure = ElementTree.SubElement(case, "failure", type=check.verdict, message=check.reason)
        failure.text = f"{check.verdict}: {check.reason}"
    else:
        ElementTree.SubElement(case, "system-out").text = check.reason


def _set_counts(element: ElementTree.Element) -> None:
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        element.set(attribute, str(len(list(element.iter(tag)))))
