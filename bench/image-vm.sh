#!/bin/bash
# A VM from an image by hand: what createVm does, step by step, until the guest has its address.
#   image-vm.sh URI NAME DEFINITION SEED IMAGE BYTES NETWORK MAC ADDRESS
# DEFINITION is the domain's XML, SEED a directory with meta-data and user-data, IMAGE a volume of the pool nc-local.
set -euo pipefail
uri=$1 name=$2 definition=$3 seed=$4 image=$5 bytes=$6 network=$7 mac=$8 address=$9
pool=nc-local
run() { virsh -q -c "$uri" "$@"; }

run vol-create-as $pool "$name.qcow2" "$bytes" --format qcow2 --backing-vol "$image" --backing-vol-format qcow2
genisoimage -quiet -output "$seed/seed.iso" -volid cidata -joliet -rock "$seed/meta-data" "$seed/user-data"
run vol-create-as $pool "$name-seed.raw" "$(stat -c %s "$seed/seed.iso")" --format raw
run vol-upload --pool $pool "$name-seed.raw" "$seed/seed.iso"
run net-update "$network" add ip-dhcp-host "<host mac='$mac' ip='$address'/>" --live --config
run define "$definition"
run start "$name"
until run net-dhcp-leases "$network" --mac "$mac" | grep -qF "$address/"; do
  [ $SECONDS -lt 60 ] || { echo "$name has no address" >&2; exit 1; }
  sleep 0.05
done
