"""Run Kubernetes' control plane, each part a process that a test may pause, kill or restart."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.bed import Bed
from testbed.binaries import binary
from testbed.certificates import (
    Authority,
    Credential,
    make_authority,
    write_key_pair,
    write_kubeconfig,
)
from testbed.errors import BedError
from testbed.processes import Process, free_port

SERVICES = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"  # the first of them
FRONT_PROXY = "front-proxy-client"
ISSUER = "https://kubernetes.default.svc"
NODE_GRACE_S = 16  # of silence before NotReady; 50 by default, 8 flaps on a busy machine
TOLERATION_S = 3  # then its pods are deleted; 300 by default
REPEAT_S = 1  # before a Job replaces a pod that failed; 10 in any other cluster
QUICK = ("--kube-api-qps=200", "--kube-api-burst=400")  # with the defaults Jobs crawl
HEALTH_S = 2.0


class ControlPlane:
    """etcd, API server, controllers and scheduler of one bed.

    `flags` are added to a part's own, by its name, and win over them.
    """

    def __init__(self, bed: Bed, *, flags: Mapping[str, Sequence[str]] | None = None) -> None:
        self.bed = bed
        self.folder = bed.folder / "control"
        self.host = bed.bridge.address if bed.bridge else "127.0.0.1"
        self.port = free_port(self.host)
        self._flags = flags or {}
        self._program = binary("kube")
        self.authority: Authority = make_authority(self.folder / "pki")
        self._front = make_authority(self.folder / "front-proxy")
        self._account_keys = write_key_pair(self.folder / "pki", "accounts")
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        self.kubeconfig: Path = self.kubeconfig_for("admin", groups=["system:masters"])
        self.etcd: Process = self._etcd()
        self.apiserver: Process = self._apiserver()
        self.controllers: Process = self._controllers()
        self.scheduler: Process = self._scheduler()

    @property
    def server(self) -> str:
        """Give the API server's URL."""
        return f"https://{self.host}:{self.port}"

    @property
    def ca(self) -> Path:
        """Give the certificate that the API server's is signed by."""
        return self.authority.own.certificate

    def start(self) -> ControlPlane:
        """Start all parts; return when each says that it is ready."""
        try:
            self.etcd.start(wait=False)  # the API server waits for it
            self.apiserver.start()
            self.controllers.start(wait=False)
            self.scheduler.start(wait=False)
            self.controllers.wait_ready()
            self.scheduler.wait_ready()
        except BedError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kill all parts; what they knew stays in the folder."""
        for part in (self.scheduler, self.controllers, self.apiserver, self.etcd):
            part.kill()

    def compact(self) -> None:
        """Let etcd forget the past, as the API server has it do every five minutes.

        What the API server has in memory it can still tell until it is restarted.
        """
        revision = self._ask_etcd("maintenance/status", {})["header"]["revision"]
        self._ask_etcd("kv/compaction", {"revision": revision, "physical": True})

    def kubeconfig_for(self, user: str, *, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig for a user whom a client certificate names."""
        who = self.credential(user, groups=groups)
        return self._kubeconfig(user, who=who)

    def credential(
        self, user: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> Credential:
        """Issue a certificate for a user, and for a server at `hosts`."""
        name = _file_name(user)
        return self.authority.issue(name, common_name=user, organizations=groups, hosts=hosts)

    def kubeconfig_of_account(self, namespace: str, account: str) -> Path:
        """Write a kubeconfig for a service account, by a token of an hour."""
        token = self.token(namespace, account)
        return self._kubeconfig(f"{namespace}-{account}", who=token, namespace=namespace)

    def token(self, namespace: str, account: str, *, valid_s: int = 3600) -> str:
        """Ask the API server for a service account's token."""
        from kubernetes import client, config

        with config.new_client_from_config(str(self.kubeconfig)) as connection:
            request = {"spec": {"expirationSeconds": valid_s}}
            answer = client.CoreV1Api(connection).create_namespaced_service_account_token(
                account, namespace, request
            )
        return str(answer.status.token)

    def _kubeconfig(self, name: str, *, who: Credential | str, namespace: str = "default") -> Path:
        path = self.folder / "kubeconfigs" / f"{_file_name(name)}.yaml"
        return write_kubeconfig(
            path, server=self.server, authority=self.ca, who=who, namespace=namespace
        )

    def _ask_etcd(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(f"{self._etcd_url}/v3/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=HEALTH_S) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def _etcd(self) -> Process:
        client = self._etcd_url
        peer = f"http://127.0.0.1:{free_port()}"
        return self._part(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            ready=f"{client}/health",
        )

    def _apiserver(self) -> Process:
        hosts = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        addresses = ["127.0.0.1", KUBERNETES_SERVICE, self.bed.address, self.host]
        serving = self.credential("kube-apiserver", hosts=[*hosts, *dict.fromkeys(addresses)])
        to_kubelets = self.credential("kube-apiserver-kubelet-client", groups=["system:masters"])
        private, public = self._account_keys
        return self._part(
            "kube-apiserver",
            f"--etcd-servers={self._etcd_url}",
            f"--bind-address={self.host}",
            f"--secure-port={self.port}",
            f"--advertise-address={self.bed.address}",
            f"--client-ca-file={self.ca}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            f"--service-account-issuer={ISSUER}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            f"--kubelet-client-certificate={to_kubelets.certificate}",
            f"--kubelet-client-key={to_kubelets.key}",
            "--kubelet-preferred-address-types=InternalIP",  # node names are in no DNS
            "--allow-privileged",
            "--enable-admission-plugins=PodNodeSelector",  # so that a namespace can name its nodes
            f"--default-not-ready-toleration-seconds={TOLERATION_S}",
            f"--default-unreachable-toleration-seconds={TOLERATION_S}",
            *self._front_flags(),
            ready=f"{self.server}/readyz",
        )

    def _front_flags(self) -> list[str]:
        """Let the API server say on whose behalf it asks the servers behind it (an APIService)."""
        proxy = self._front.issue(FRONT_PROXY, common_name=FRONT_PROXY)
        return [
            f"--requestheader-client-ca-file={self._front.own.certificate}",
            f"--requestheader-allowed-names={FRONT_PROXY}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={proxy.certificate}",
            f"--proxy-client-key-file={proxy.key}",
        ]

    def _controllers(self) -> Process:
        port = free_port()
        kubeconfig = self.kubeconfig_for("system:kube-controller-manager")
        return self._part(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--service-account-private-key-file={self._account_keys[0]}",
            f"--root-ca-file={self.ca}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            f"--node-monitor-grace-period={NODE_GRACE_S}s",
            "--node-monitor-period=1s",
            *QUICK,
            ready=f"https://127.0.0.1:{port}/healthz",
            env={"TESTBED_JOB_REPEAT": f"{REPEAT_S}s"},
        )

    def _scheduler(self) -> Process:
        port = free_port()
        return self._part(
            "kube-scheduler",
            f"--kubeconfig={self.kubeconfig_for('system:kube-scheduler')}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--leader-elect=false",
            *QUICK,
            ready=f"https://127.0.0.1:{port}/readyz",
        )

    def _part(
        self, name: str, *flags: str, ready: str, env: Mapping[str, str] | None = None
    ) -> Process:
        command = [str(self._program), name, *flags, *self._flags.get(name, ())]
        admin = self.credential("health", groups=["system:masters"])
        return Process(
            name,
            command,
            self.bed.folder,
            env=env or {},
            ready=lambda: answers(ready, who=admin),
        )


def answers(url: str, *, who: Credential) -> bool:
    """Tell whether a server answers that it is well."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # controllers and scheduler sign for themselves
    context.load_cert_chain(who.certificate, who.key)
    try:
        with urllib.request.urlopen(url, timeout=HEALTH_S, context=context) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _file_name(user: str) -> str:
    return user.replace(":", "-").replace("/", "-")
