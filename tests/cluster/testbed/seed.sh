#!/usr/bin/env bash
# Fill a containerd root: import ARCHIVES, then take the layers listed in FOLDER/layers, each a line
# of chain id, parent's chain id or "" and folder, by hard links.
set -euo pipefail
folder=$1
shift

call() { ctr --address "$folder/socket" --namespace k8s.io "$@"; }

containerd --config "$folder/config.toml" &
until call version >/dev/null 2>&1; do
  kill -0 $! # ends this where containerd ended
  sleep 0.05
done
for archive; do
  call images import "$archive"
done
while IFS=$'\t' read -r chain parent layer; do
  if ! call snapshots info "$chain" >/dev/null 2>&1; then
    call snapshots prepare "open $chain" ${parent:+"$parent"}
    # A first layer is shown by a bind mount, any other by the upper folder of an overlay.
    place=$(call snapshots mounts /unused "open $chain" |
      sed -nE 's/.*upperdir=([^,]+).*/\1/p; s/^mount -t bind ([^ ]+) .*/\1/p')
    cp --archive --link "$layer/." "$place"
    call snapshots commit "$chain" "open $chain"
  fi
done <"$folder/layers"
kill $!
wait
