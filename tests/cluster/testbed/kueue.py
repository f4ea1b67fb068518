"""Run Kueue beside a control plane, a process that a test may pause, kill or restart."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from testbed.control import HEALTH_S, ControlPlane
from testbed.kueue_ground import VISIBILITY_PORT, Ground, stand_alone, stand_among_others
from testbed.kueue_objects import (
    ACCOUNT,
    NAMESPACE,
    SECRET,
    SERVICE,
    VISIBILITY_SERVICE,
    configuration,
    definitions,
    module_folder,
    service,
    visibility,
    webhooks,
)
from testbed.processes import Process
from testbed.waiting import until

GROUP, VERSION = "kueue.x-k8s.io", "v1beta2"
FRAMEWORKS = ("batch/job",)
FLAVOR = "any"
CERTIFICATES = ("ca.crt", "tls.crt", "tls.key")
RBAC = "rbac.authorization.k8s.io"
TOKEN_S = 24 * 3600  # longer than any session of tests
READY_S = 90.0  # Kueue looks for its certificates at growing intervals
Body = dict[str, Any]


class Kueue:
    """Kueue as its module ships it, with its webhooks; it looks after Jobs alone.

    While it is away the API server takes no Job, as in any cluster that has Kueue.
    """

    def __init__(self, control: ControlPlane) -> None:
        self.control = control
        self.folder = control.bed.folder / "kueue"
        self._ground = self._stand()
        self.process = self._process()

    def start(self) -> Kueue:
        """Install its objects and start it; return once queues can be made."""
        self._install()
        if self.tells_places:
            self._log_in()
        self.process.start(wait=False)
        self._hand_over_certificates()
        self.process.wait_ready()
        if self.tells_places:
            self._serve_places()
        flavor = _typed("ResourceFlavor", {"metadata": {"name": FLAVOR}})
        self._custom.create_cluster_custom_object(GROUP, VERSION, "resourceflavors", flavor)
        return self

    @property
    def tells_places(self) -> bool:
        """Tell whether its visibility API is there, which takes root."""
        return self._ground.alone

    def stop(self) -> None:
        """Kill it; what it knew stays with the control plane."""
        self.process.kill()

    def add_queue(self, name: str, *, namespace: str, quota: Mapping[str, str]) -> None:
        """Make a queue that admits what fits into a quota, such as {"cpu": "2", "memory": "4Gi"}.

        The LocalQueue has this name, its ClusterQueue the namespace's before it.
        """
        self._custom.create_cluster_custom_object(
            GROUP,
            VERSION,
            "clusterqueues",
            _typed("ClusterQueue", _cluster_queue(name, namespace, quota)),
        )
        self.share_queue(name, namespace=namespace, name=name)

    def share_queue(self, of: str, *, namespace: str, name: str) -> None:
        """Give a queue's ClusterQueue one more LocalQueue."""
        local = {"metadata": {"name": name}, "spec": {"clusterQueue": _whole(of, namespace)}}
        self._custom.create_namespaced_custom_object(
            GROUP, VERSION, namespace, "localqueues", _typed("LocalQueue", local)
        )

    def set_quota(self, name: str, *, namespace: str, quota: Mapping[str, str]) -> None:
        """Change what a queue admits."""
        self._patch(name, namespace, {"spec": _cluster_queue(name, namespace, quota)["spec"]})

    def hold(self, name: str, *, namespace: str) -> None:
        """Admit nothing more, and take back what was admitted."""
        self._patch(name, namespace, {"spec": {"stopPolicy": "HoldAndDrain"}})

    def go_on(self, name: str, *, namespace: str) -> None:
        """Admit again what fits."""
        self._patch(name, namespace, {"spec": {"stopPolicy": "None"}})

    def workloads(self, namespace: str) -> list[Body]:
        """List what Kueue knows of a namespace's Jobs."""
        found = self._custom.list_namespaced_custom_object(GROUP, VERSION, namespace, "workloads")
        return list(found["items"])

    def remove_queues(self) -> None:
        """Delete all ClusterQueues; those in use go once their Jobs do."""
        self._custom.delete_collection_cluster_custom_object(GROUP, VERSION, "clusterqueues")

    @cached_property
    def _client(self) -> Any:
        from kubernetes import config

        return config.new_client_from_config(str(self.control.kubeconfig))

    @cached_property
    def _custom(self) -> Any:
        from kubernetes.client import CustomObjectsApi

        return CustomObjectsApi(self._client)

    def _patch(self, name: str, namespace: str, body: Body) -> None:
        self._custom.patch_cluster_custom_object(
            GROUP, VERSION, "clusterqueues", _whole(name, namespace), body
        )

    def _install(self) -> None:
        from kubernetes import client

        core = client.CoreV1Api(self._client)
        core.create_namespace({"metadata": {"name": NAMESPACE}})
        core.create_namespaced_secret(NAMESPACE, {"metadata": {"name": SECRET}})
        core.create_namespaced_service(NAMESPACE, service(SERVICE, address=self._name))
        module, port = module_folder(), self._ground.webhook_port
        extensions = client.ApiextensionsV1Api(self._client)
        for body in definitions(module, port=port):
            # Its answer is as long as the definition, and nobody reads it.
            extensions.create_custom_resource_definition(body, _preload_content=False)
        admission = client.AdmissionregistrationV1Api(self._client)
        mutating, validating = webhooks(module, port=port)
        admission.create_mutating_webhook_configuration(mutating)
        admission.create_validating_webhook_configuration(validating)

    def _hand_over_certificates(self) -> None:
        """Do what a kubelet does: show Kueue the Secret that it has filled, as files."""
        from kubernetes import client

        core = client.CoreV1Api(self._client)
        secret = until(
            lambda: core.read_namespaced_secret(SECRET, NAMESPACE).data or {},
            holds=lambda data: all(name in data for name in CERTIFICATES),
            within_s=READY_S,
        )
        for name in CERTIFICATES:
            file = self._files / name
            file.touch(mode=0o600)
            file.write_bytes(base64.b64decode(secret[name]))

    def _log_in(self) -> None:
        """Make its service account, which may do everything."""
        from kubernetes import client

        account = {"kind": "ServiceAccount", "namespace": NAMESPACE, "name": ACCOUNT}
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
        core = client.CoreV1Api(self._client)
        core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": ACCOUNT}})
        client.RbacAuthorizationV1Api(self._client).create_cluster_role_binding(
            {"metadata": {"name": ACCOUNT}, "roleRef": role, "subjects": [account]}
        )
        token = self.control.token(NAMESPACE, ACCOUNT, valid_s=TOKEN_S)
        self._ground.log_in(self.control, token=token)

    def _serve_places(self) -> None:
        """Have the API server pass on questions for places; return once it does."""
        from kubernetes import client

        named = service(VISIBILITY_SERVICE, address=self._name)
        client.CoreV1Api(self._client).create_namespaced_service(NAMESPACE, named)
        registration = client.ApiregistrationV1Api(self._client)
        bodies = list(visibility(module_folder(), port=VISIBILITY_PORT))
        for body in bodies:
            registration.create_api_service(body)
        for body in bodies:
            until(
                lambda name=body["metadata"]["name"]: registration.read_api_service(name).status,
                holds=lambda status: any(
                    each.type == "Available" and each.status == "True"
                    for each in status.conditions or ()
                ),
                within_s=READY_S,
            )

    @property
    def _name(self) -> str:
        return self._ground.address if self.tells_places else "localhost"

    def _stand(self) -> Ground:
        if self.control.bed.bridge is None:
            return stand_among_others(self.control)
        return stand_alone(self.control, root=self.folder / "root")

    def _process(self) -> Process:
        ground = self._ground
        self._files.mkdir(parents=True)
        file = self._files / "configuration.yaml"
        body = configuration(
            address=ground.address,
            health_port=ground.health_port,
            webhook_port=ground.webhook_port,
            certificates=ground.seen(self._files),
            frameworks=FRAMEWORKS,
            tells_places=self.tells_places,
        )
        file.write_text(yaml.safe_dump(body))
        return Process(
            "kueue",
            [*ground.command, f"--config={ground.seen(file)}"],
            self.control.bed.folder,
            env=ground.env,
            ready=lambda: _well(f"http://{ground.address}:{ground.health_port}/readyz"),
            ready_s=READY_S,
        )

    @property
    def _files(self) -> Path:
        root = self._ground.root if self._ground.alone else self.folder
        return root / "configured"


def _cluster_queue(name: str, namespace: str, quota: Mapping[str, str]) -> Body:
    flavor = {
        "name": FLAVOR,
        "resources": [
            {"name": resource, "nominalQuota": amount} for resource, amount in quota.items()
        ],
    }
    return {
        "metadata": {"name": _whole(name, namespace)},
        "spec": {
            "namespaceSelector": {},
            "resourceGroups": [{"coveredResources": list(quota), "flavors": [flavor]}],
            "preemption": {"withinClusterQueue": "LowerPriority"},
        },
    }


def _whole(name: str, namespace: str) -> str:
    return f"{namespace}-{name}"


def _typed(kind: str, body: Body) -> Body:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, **body}


def _well(url: str) -> bool:
    try:
        with urlopen(url, timeout=HEALTH_S) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
