"""The chart is what k8s/ has, and a stack; it says what it does not know and what cannot work."""

from __future__ import annotations

import json
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from chart import (
    BARE,
    CHART,
    EVERYTHING,
    EXTERNAL,
    IMAGES,
    Body,
    one,
    pod_specs,
    render,
    template,
)
from release_objects import objects
from testbed.errors import BedError
from testbed.helm import Programs

import sweep

VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")


def test_without_a_stack_it_is_what_k8s_has(helm: Programs) -> None:
    files = ("accounts.yaml", "role.yaml", "release.yaml")
    plain = [body for file in files for body in objects(file)]

    rendered = render(helm, *BARE, "networkPolicy.enabled=false")

    assert by_name(rendered) == by_name(plain)


@pytest.mark.parametrize("sets", [(), EVERYTHING, EXTERNAL], ids=["default", "all", "external"])
def test_helm_lints_it_without_a_word(helm: Programs, sets: tuple[str, ...]) -> None:
    words = [word for each in (*IMAGES, *sets) for word in ("--set", each)]

    told = helm.run("lint", "--strict", CHART, *words, check=False)

    assert "1 chart(s) linted, 0 chart(s) failed" in told
    assert "WARNING" not in told


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_of_kubernetes_takes_its_objects(helm4: Programs, version: str) -> None:
    for body in render(helm4, *IMAGES, *EVERYTHING):
        if body["kind"] != "LocalQueue":  # which only Kueue knows
            kubernetes_validate.validate(body, version, strict=True)


def test_every_value_has_its_sentence_and_every_group_is_closed() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    lines = (CHART / "values.yaml").read_text().splitlines()

    for path in leaves(values):
        assert told(lines, path), f"{'.'.join(path)} has no `# --` sentence"
    open_groups = [where for where, body in groups(schema()) if "additionalProperties" not in body]
    assert open_groups == []


def test_the_schema_knows_exactly_the_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    # Resources are named by the cluster: nvidia.com/gpu.
    ours = {re.sub(r"(resources\.\w+)\..*", r"\1", ".".join(path)) for path in leaves(values)}
    assert known(schema()) - {"global"} == ours


def test_a_misspelt_value_is_refused(helm: Programs) -> None:
    with pytest.raises(BedError, match="mlfow"):
        template(helm, *IMAGES, "mlfow.enabled=false")


@pytest.mark.parametrize(
    ("sets", "why"),
    [
        ((), "mlflow.enabled=true needs an image"),
        ((*IMAGES, "minio.enabled=false"), "studies would have no store"),
        ((*IMAGES, "postgres.enabled=false"), "MLflow would have no database"),
        ((*IMAGES, "mlflow.database.secret=s"), "would run another beside it"),
        ((*IMAGES, "mlflow.enabled=false"), "set postgres.enabled=false"),
        (
            (*IMAGES, "minio.enabled=false", "store.url=s3://b/p"),
            "MLflow would have no place for artifacts",
        ),
        ((*IMAGES, "tracking.pods=http://m"), "tracking.pods names an external MLflow"),
        ((*IMAGES, "ingress.enabled=true"), "needs ingress.host"),
        ((*IMAGES, "localQueue.enabled=true"), "needs queue"),
        ((*IMAGES, "quota.enabled=true"), "needs bounds"),
        ((*IMAGES, "limitRange.enabled=true"), "needs limitRange.default"),
        ((*EXTERNAL, "nightly.enabled=true"), "needs client.image"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(
    helm4: Programs, sets: tuple[str, ...], why: str
) -> None:
    with pytest.raises(BedError, match=re.escape(why)):
        template(helm4, *sets)


def test_every_pod_is_as_restricted_wants_it(helm4: Programs) -> None:
    specs = pod_specs(render(helm4, *IMAGES, *EVERYTHING))

    assert len(specs) == 6
    for spec in specs.values():
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["imagePullSecrets"] == [{"name": "pull"}]
        assert spec["nodeSelector"] == {"pool": "sweeps"}
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_only_clients_get_a_token(helm4: Programs) -> None:
    specs = pod_specs(render(helm4, *IMAGES, *EVERYTHING))

    trusted = {name for name, spec in specs.items() if spec["automountServiceAccountToken"]}
    assert trusted == {"CronJob/sweep-nightly", "Pod/sweep-test"}


def test_no_password_stands_in_a_pod_s_specification(helm4: Programs) -> None:
    rendered = render(helm4, *IMAGES, *EVERYTHING)
    secrets = [body for body in rendered if body["kind"] == "Secret"]

    text = json.dumps(pod_specs(rendered))
    assert len(secrets) == 5
    for secret in secrets:
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        for value in secret["data"].values():
            assert len(value) < 40 or value not in text


def test_the_release_names_the_stack_by_its_services(helm4: Programs) -> None:
    release = one(render(helm4, *IMAGES), "ConfigMap", "sweep-release")["data"]

    assert release["store"] == "s3://sweep/studies"
    assert release["store.endpoint.pods"] == "http://sweep-minio.here.svc:9000"
    assert release["tracking.pods"] == "http://sweep-mlflow.here.svc:5000"
    assert release["store.endpoint.people"] == release["tracking.people"] == ""


def test_mlflow_answers_to_the_names_that_it_is_called_by(helm4: Programs) -> None:
    rendered = render(helm4, *IMAGES, *EVERYTHING)
    server = pod_specs(rendered)["Deployment/sweep-mlflow"]["containers"][0]
    env = {each["name"]: each.get("value") for each in server["env"]}

    hosts = env["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"sweep-mlflow.here.svc:*", "127.0.0.1:*", "mlflow.example"} <= set(hosts)
    assert env["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == "https://mlflow.example"
    release = one(rendered, "ConfigMap", "sweep-release")["data"]
    assert release["tracking.people"] == "https://mlflow.example"


def test_a_night_s_study_is_named_after_its_job_and_fits(helm4: Programs) -> None:
    rendered = render(helm4, *IMAGES, "nightly.enabled=true")
    spec = pod_specs(rendered)["CronJob/sweep-nightly"]

    (client,) = spec["initContainers"]
    assert client["args"][:3] == ["once", "$(NAME)", "+experiment=forecast"]
    assert client["env"][0]["valueFrom"]["fieldRef"]["fieldPath"] == (
        "metadata.labels['batch.kubernetes.io/job-name']"
    )
    assert [each["args"][:2] for each in spec["containers"]] == [["gate", "$(NAME)"]]
    assert len("sweep-nightly") + len("-29384756") <= 40


def test_everything_elsewhere_leaves_the_release_alone(helm4: Programs) -> None:
    kinds = {body["kind"] for body in render(helm4, *IMAGES, *EXTERNAL)}

    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "NetworkPolicy", "Pod"}


def test_it_has_the_package_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["version"] == chart["appVersion"] == sweep.__version__


def by_name(bodies: list[Body]) -> dict[tuple[str, str], Body]:
    """Leave out what says only who made them, and in which namespace."""
    found = {}
    for body in bodies:
        kept = {**body, "metadata": {"name": body["metadata"]["name"]}}
        kept["subjects"] = [
            {key: value for key, value in each.items() if key != "namespace"}
            for each in body.get("subjects", ())
        ]
        found[body["kind"], body["metadata"]["name"]] = kept
    return found


def schema() -> Body:
    found: Body = json.loads((CHART / "values.schema.json").read_text())
    return found


def leaves(values: Body, *above: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in values.items():
        deeper = isinstance(value, dict) and value
        found += leaves(value, *above, key) if deeper else [(*above, key)]
    return found


def told(lines: list[str], path: tuple[str, ...]) -> bool:
    """Tell whether the line above a value is its sentence."""
    start = 0
    for depth, key in enumerate(path):
        here = f"{'  ' * depth}{key}:"
        start = next(n for n in range(start, len(lines)) if lines[n].startswith(here))
    return lines[start - 1].strip().startswith("# -- ") and lines[start - 1].rstrip()[-1] in ".;"


def groups(body: Any, where: str = "") -> list[tuple[str, Body]]:
    """Give every part of a schema that has properties."""
    if not isinstance(body, dict):
        return []
    own = [(where, body)] if "properties" in body and "type" in body else []
    return own + [each for key, part in body.items() for each in groups(part, f"{where}/{key}")]


def known(body: Body, *above: str) -> set[str]:
    found: set[str] = set()
    for key, part in body["properties"].items():
        part = resolved(part)
        if "properties" in part:
            found |= known(part, *above, key)
        else:
            found.add(".".join((*above, key)))
    return found


def resolved(part: Body) -> Body:
    reference = part.get("$ref", "")
    return schema()["$defs"][reference.rpartition("/")[2]] if reference else part


def test_the_notes_open_the_ui_run_a_sweep_and_uninstall(helm4: Programs) -> None:
    plain = notes(helm4, *IMAGES)

    assert "port-forward service/sweep-mlflow 5000" in plain
    assert "python -m sweep +experiment=forecast -m" in plain
    assert "helm uninstall r --namespace here" in plain
    assert "get secret sweep-store" in plain


def test_the_notes_follow_the_values(helm4: Programs) -> None:
    everything, elsewhere = notes(helm4, *IMAGES, *EVERYTHING), notes(helm4, *IMAGES, *EXTERNAL)

    assert "https://mlflow.example" in everything
    assert "MLFLOW_TRACKING_PASSWORD, which that Secret holds too." in everything
    assert "create job --from=cronjob/sweep-nightly" in everything
    assert "https://mlflow.example" in elsewhere
    assert "make it before the first sweep" in elsewhere
    assert "It leaves the claims" not in elsewhere


def notes(helm: Programs, *sets: str) -> str:
    words = [word for each in sets for word in ("--set", each)]
    where = ("--namespace", "here", "--dry-run=client")  # with helm 3 it takes a cluster
    return helm.run("install", "r", CHART, *where, *words).partition("NOTES:")[2]
