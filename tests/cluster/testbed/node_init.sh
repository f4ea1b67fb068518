#!/usr/bin/env bash
# A node's first process, in PID, mount and network namespaces of its own: what it starts ends with
# it, as by a power-off. FOLDER holds the node's configuration and what outlives a power-off; KUBE
# is the program that is kubelet and kube-proxy; the rest goes to kubelet.
set -euo pipefail
folder=$1 kube=$2
shift 2

# Sockets, locks and states in places that the programs do not let one choose. Empty after a
# power-off, and unseen by the machine and by other nodes.
for place in /run /var/lib /var/log; do
  mount -t tmpfs tmpfs "$place"
done
mkdir -p /run/netns /var/lib/kubelet

containerd --config "$folder/containerd.toml" >>"$folder/containerd.log" 2>&1 &
until ctr --address "$folder/containerd.sock" version >/dev/null 2>&1; do
  kill -0 $! # ends the node where containerd ended
  sleep 0.05
done
# An image whose layers are there without their archives is unknown until it is named again.
for outline in "$folder"/containerd/*.tar; do
  if [ -e "$outline" ]; then
    ctr --address "$folder/containerd.sock" --namespace k8s.io images import "$outline" \
      >>"$folder/containerd.log" 2>&1
  fi
done
"$kube" kubelet --config="$folder/kubelet.yaml" "$@" >>"$folder/kubelet.log" 2>&1 &
"$kube" kube-proxy --config="$folder/proxy.yaml" >>"$folder/proxy.log" 2>&1 &
wait -n || true
echo "a part of the node ended; the node goes down" >&2
exit 1
