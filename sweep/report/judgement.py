"""Write down what a gate found: as JSON, Markdown, JUnit and for a webhook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree as ET

from sweep.plan.trial import Value
from sweep.report.baselines import Baseline
from sweep.report.formats import decimals, show_list, show_score
from sweep.report.verdict import Check, Verdict

FORMAT = 1
REGRESSION_CODE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on a study, with all that it rests on."""

    study: str
    job: str
    verdict: Verdict
    text: str  # in one sentence
    objective: str
    direction: str
    min_effect: float
    seeds: Sequence[Value]
    checks: Sequence[Check]  # against each champion
    again: Check | None  # the champion against itself as it was
    winner: Mapping[str, Value]  # card: study, trial, config, scores, data, code
    champion: Mapping[str, Value] | None  # card of the champion from now on
    baselines: Sequence[Baseline]
    inputs: Mapping[str, Any]
    drift: Sequence[str]
    looks: Sequence[str]  # of the drift, what is worth a look
    notes: Sequence[str]

    @property
    def exit_code(self) -> int:
        """Give the command's exit code."""
        return REGRESSION_CODE if self.verdict is Verdict.REGRESSION else 0


def as_json(judgement: Judgement) -> dict[str, Value]:
    """Turn a judgement into plain values."""
    return {"format": FORMAT, "exit_code": judgement.exit_code, **asdict(judgement)}


def from_json(body: Mapping[str, Value]) -> Judgement:
    """Read a judgement back.

    Raises ValueError where the mapping is none.
    """
    try:
        if body["format"] != FORMAT:
            raise ValueError(f"format {body['format']!r}")
        fields = {k: v for k, v in body.items() if k not in ("format", "exit_code")}
        fields["verdict"] = Verdict(fields["verdict"])
        fields["checks"] = [_check(item) for item in fields["checks"]]
        fields["again"] = _check(fields["again"]) if fields["again"] else None
        fields["baselines"] = [Baseline(**item) for item in fields["baselines"]]
        return Judgement(**fields)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a judgement: {error!r}") from error


def sentence(checks: Sequence[Check], again: Check | None, verdict: Verdict) -> str:
    """Say in one sentence why the verdict is what it is."""
    if verdict is Verdict.FIRST:
        return "There was no champion yet; tonight's winner is the first."
    found = [check for check in (*checks, *([again] if again else [])) if check.verdict is verdict]
    chosen = found or list(checks)
    return _capital(show_list([check.text for check in chosen])) + "."


def markdown(judgement: Judgement) -> str:
    """Write a judgement as Markdown, for a person who reads it in a CI."""
    lines = [f"## {_TITLES[judgement.verdict]}: {judgement.study}", "", judgement.text, ""]
    checks = [*judgement.checks, *([judgement.again] if judgement.again else [])]
    if checks:
        lines += [
            f"| check | {judgement.objective} now | champion | worse by | 99 % bounds | verdict |",
            "|---|---:|---:|---:|---:|---|",
            *map(_row, checks),
            "",
        ]
        count = len(judgement.seeds)
        effect = f" Differences up to {judgement.min_effect:g} are nobody's concern."
        lines.append(
            f"Both were trained on tonight's data with the same {count} fresh seeds; one-sided "
            f"bounds of paired differences.{effect if judgement.min_effect else ''}"
        )
        lines.append("")
    lines += _bulleted("Baselines", _baselines(judgement))
    lines += _bulleted("Worth a look in the inputs", judgement.looks)
    lines += _bulleted("Inputs", judgement.drift)
    lines += _bulleted("Notes", judgement.notes)
    return "\n".join(lines).rstrip() + "\n"


def junit(judgement: Judgement) -> str:
    """Write the checks as test cases; a regression is a failure."""
    checks = [*judgement.checks, *([judgement.again] if judgement.again else [])]
    failed = [check for check in checks if check.verdict is Verdict.REGRESSION]
    bare = judgement.verdict is Verdict.REGRESSION and not failed  # nothing to compare was left
    suite = ET.Element(
        "testsuite",
        name=f"sweep gate {judgement.job}",
        tests=str(len(checks) + 1),
        failures=str(len(failed) + bare),
        errors="0",
        skipped="0",
    )
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname="gate", name=check.name)
        if check.verdict is Verdict.REGRESSION:
            ET.SubElement(case, "failure", message=check.text).text = check.text
        else:
            ET.SubElement(case, "system-out").text = check.text
    whole = ET.SubElement(
        suite, "testcase", classname="gate", name=f"the verdict on {judgement.study}"
    )
    if bare:
        ET.SubElement(whole, "failure", message=judgement.text).text = judgement.text
    else:
        ET.SubElement(whole, "system-out").text = "\n".join([judgement.text, *judgement.looks])
    return _document(suite)


def unjudged(study: str, *, kind: str, why: str) -> dict[str, str]:
    """Write, as a CI takes it, that a gate could not judge a study: an error, and no verdict."""
    suite = ET.Element(
        "testsuite", name="sweep gate", tests="1", failures="0", errors="1", skipped="0"
    )
    case = ET.SubElement(suite, "testcase", classname="gate", name=f"the verdict on {study}")
    ET.SubElement(case, "error", type=kind, message=why).text = why
    return {"gate.md": f"## Not judged: {study}\n\n{why}\n", "junit.xml": _document(suite)}


def message(judgement: Judgement) -> dict[str, Value]:
    """Write the verdict as a webhook takes it: Slack's `text` and `blocks`."""
    title = f"{_TITLES[judgement.verdict]}: {judgement.study}"
    looks = "".join(f"\n• {line}" for line in judgement.looks)
    return {
        "text": f"{title}. {judgement.text}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": (judgement.text + looks)[:2900]},
            },
        ],
        "verdict": judgement.verdict.value,
        "study": judgement.study,
        "exit_code": judgement.exit_code,
    }


_TITLES = {
    Verdict.FIRST: "First champion",
    Verdict.PROMOTED: "Promoted",
    Verdict.NO_DIFFERENCE: "No difference known",
    Verdict.REGRESSION: "Regression",
}


def _document(suite: ET.Element) -> str:
    ET.indent(suite)
    text = ET.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _row(check: Check) -> str:
    places = decimals(check.champion or check.winner)
    bounds = "unknown"
    if check.low is not None and check.high is not None:
        bounds = f"{check.low:.{places}f}, {check.high:.{places}f}"
    worse = "" if check.worse is None else f"{check.worse:.{places}f}"
    own = show_score(check.winner, places=places)
    other = show_score(check.champion, places=places)
    return f"| {check.name} | {own} | {other} | {worse} | {bounds} | {check.verdict.value} |"


def _baselines(judgement: Judgement) -> list[str]:
    sign = 1 if judgement.direction == "minimize" else -1
    scores = [score for _, score in judgement.winner.get("scores", [])]
    if not scores:
        return []
    own = sum(scores) / len(scores)
    lines = []
    for item in judgement.baselines:
        beaten = sign * own < sign * item.objective
        score = show_score(item.objective, places=decimals(own))
        lines.append(f"{item.name} {score}: {'beaten' if beaten else 'not beaten'}")
    return lines


def _bulleted(title: str, lines: Sequence[str]) -> list[str]:
    return [f"### {title}", "", *(f"- {line}" for line in lines), ""] if lines else []


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _check(body: Mapping[str, Value]) -> Check:
    return Check(**{**body, "verdict": Verdict(body["verdict"])})
