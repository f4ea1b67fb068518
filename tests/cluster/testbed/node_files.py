"""Write what a node's containerd, kubelet and kube-proxy read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from testbed.control import ControlPlane
from testbed.image import PAUSE
from testbed.network import NodeNetwork

POD_LIMIT = 55  # a quarter of a /24 has 61 addresses
CLUSTER_DOMAIN = "cluster.local"

# Nodes that are killed show as gone after seconds, not the usual 40: the control plane's grace is
# shorter too, and a kubelet that reports no oftener than it is long would seem to come and go.
REPORT_EVERY = "4s"
LEASE_S = 16

CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  restrict_oom_score_adj = true # this machine's root may lack CAP_SYS_RESOURCE
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""


def write_node_files(
    folder: Path, *, name: str, network: NodeNetwork, cgroup: str, control: ControlPlane
) -> Path:
    """Write configuration and certificates into a node's folder; return kubelet's kubeconfig."""
    user, hosts = f"system:node:{name}", [name, str(network.address)]
    kubeconfig = control.kubeconfig_for(user, groups=["system:nodes"])
    serving = control.credential(user, groups=["system:nodes"], hosts=hosts)
    files = {
        "containerd.toml": CONTAINERD.format(folder=folder, pause=PAUSE),
        "cni/bridge.conflist": json.dumps(_pod_network(network)),
        "kubelet.yaml": yaml.safe_dump(
            {
                **_kubelet(folder, network=network, cgroup=cgroup),
                "authentication": {
                    "anonymous": {"enabled": False},
                    "webhook": {"enabled": True},
                    "x509": {"clientCAFile": str(control.ca)},
                },
                "tlsCertFile": str(serving.certificate),
                "tlsPrivateKeyFile": str(serving.key),
            }
        ),
        "proxy.yaml": yaml.safe_dump(
            _proxy(control.kubeconfig_for("system:kube-proxy"), name=name, network=network)
        ),
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return kubeconfig


def _pod_network(network: NodeNetwork) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": str(network.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,  # a pod may reach itself by a Service
        "ipam": addresses,
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "loopback"}]}


def _kubelet(folder: Path, *, network: NodeNetwork, cgroup: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(network.address),
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [str(network.gateway)],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": "",  # names outside the cluster resolve nowhere
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "singleProcessOOMKill": True,  # as with cgroups of version 1: the same on every machine
        "enforceNodeAllocatable": [],
        # The tests' own machine may be full: that is no reason to evict their pods.
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "maxPods": POD_LIMIT,
        "podLogsDir": f"{folder}/pod-logs",
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": REPORT_EVERY,
        "nodeLeaseDurationSeconds": LEASE_S,
        "shutdownGracePeriod": "0s",
    }


def _proxy(kubeconfig: Path, *, name: str, network: NodeNetwork) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": name,
        "bindAddress": str(network.address),
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "conntrack": {"maxPerCore": 0},  # the limit is the whole machine's: leave it
    }
