#!/bin/bash
# A container engine of its own: namespaces in which podman finds nobody else's networks, mounts, locks or containers.
#   engine.sh enter DIR   makes the namespaces, stays
#   engine.sh init DIR    is process 1 in them: podman's API answers at DIR/podman.sock
# What it runs ends with it, however it ends.
set -euo pipefail
verb=$1 dir=$2

case $verb in
enter)
  exec unshare --mount --net --uts --pid --ipc --fork --kill-child --mount-proc --propagation private bash "$0" init "$dir"
  ;;
init)
  mount -t sysfs sysfs /sys
  mount -t cgroup2 cgroup2 /sys/fs/cgroup # looked at by crun, used by nobody
  mount --bind "$dir/etc" /etc/containers
  mount -t tmpfs run /run
  mount -t tmpfs shm /dev/shm # podman's locks
  ip link set lo up
  podman system service --time 0 "unix://$dir/podman.sock" &
  # Process 1 must reap: the monitors of containers become its children.
  while :; do
    sleep 3600 &
    wait $!
  done
  ;;
esac
