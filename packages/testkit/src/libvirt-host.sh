#!/bin/bash
# One libvirt host: a set of namespaces in which libvirtd finds private directories in its usual places.
#   libvirt-host.sh enter DIR NAME GROUP...   joins the control groups, makes the namespaces, stays
#   libvirt-host.sh init DIR NAME CONTROLLER...   is process 1 in them
# DIR holds etc lib cache log run hosts, and pki if the host speaks TLS; the file DIR/ready appears when the host may be used.
set -euo pipefail
verb=$1 dir=$2 name=$3
shift 3

case $verb in
enter)
  controllers=()
  for group; do # .../CONTROLLER/[parent/]GROUP
    echo $$ >"$group/cgroup.procs"
    controller=${group#/sys/fs/cgroup/}
    controllers+=("${controller%%/*}")
  done
  # --kill-child: when this process ends, however it ends, everything in the host ends.
  exec unshare --mount --net --uts --pid --ipc --cgroup --fork --kill-child --mount-proc --propagation private \
    bash "$0" init "$dir" "$name" "${controllers[@]}"
  ;;
init)
  hostname "$name"
  # The sysfs of this network namespace: libvirt looks there for bridges. It hides the control groups.
  mount -t sysfs sysfs /sys
  for pair in etc:/etc/libvirt lib:/var/lib/libvirt cache:/var/cache/libvirt log:/var/log/libvirt run:/run/libvirt; do
    mkdir -p "${pair#*:}"
    mount --bind "$dir/${pair%%:*}" "${pair#*:}"
  done
  mount --bind "$dir/hosts" /etc/hosts
  if [ -d "$dir/pki" ]; then
    mkdir -p /etc/pki
    mount --bind "$dir/pki" /etc/pki
  fi
  # libvirtd locks a console by the name of its pty, and every host has a /dev/pts/1 of its own
  mount -t tmpfs lock "$(readlink -f /var/lock)"
  if [ $# -gt 0 ]; then
    mount -t tmpfs cgroup /sys/fs/cgroup
    for controller; do
      mkdir "/sys/fs/cgroup/$controller"
      mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
    done
  fi
  # /dev without kvm: where the node exists but runs no guest, libvirt would advertise kvm. An overlay, so
  # that nodes made later (tap devices) still appear; a plain /dev if this kernel cannot stack one there.
  o=$dir/dev
  if mkdir -p "$o" && mount -t tmpfs dev "$o" && mkdir "$o"/{lower,upper,work,merged} &&
    mount -t devtmpfs dev "$o/lower" &&
    mount -t overlay -o "lowerdir=$o/lower,upperdir=$o/upper,workdir=$o/work" dev "$o/merged"; then
    rm -f "$o/merged/kvm" "$o/merged/ptmx"
    mkdir -p "$o/merged/pts" "$o/merged/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=600 devpts "$o/merged/pts"
    mount -t tmpfs shm "$o/merged/shm"
    ln -s pts/ptmx "$o/merged/ptmx"
    mount --rbind "$o/merged" /dev
  fi
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  : >"$dir/ready"
  # Process 1 must reap: a zombie among QEMU's probes makes libvirt's first call hang.
  while :; do
    sleep 3600 &
    wait $!
  done
  ;;
esac
