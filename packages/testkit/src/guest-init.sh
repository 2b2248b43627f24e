#!/bin/busybox sh
# Process 1 of the test guest.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
$B mount -t tmpfs tmp /tmp
$B --install -s /bin
export PATH=/bin HOME=/

# after KEY COMMAND: runs it KEY's value in seconds later, if the kernel's command line has KEY.
after() {
  for word in $(cat /proc/cmdline); do
    case $word in
    "$1") (eval "$2") & ;;
    "$1="*) (sleep "${word#*=}" && eval "$2") & ;;
    esac
  done
}

while read -r module; do insmod "/lib/modules/$module" 2>/dev/null; done </lib/modules/order
ifconfig lo 127.0.0.1 up
[ ! -e /sys/class/net/eth0 ] || ifconfig eth0 up
# acpid listens to the inputs that are there when it starts, and the keyboard comes before the power button
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  button=$(grep -A5 'Name="Power Button"' /proc/bus/input/devices | grep -o 'event[0-9]*')
  [ -n "$button" ] && [ -e "/dev/input/$button" ] && break
  sleep 0.1
done
acpid -d >/dev/null 2>&1 & # runs /etc/acpi/PWRF/00000080 when the power button is pressed
echo "NOVA-UP $(cut -d' ' -f1 /proc/uptime)" >/dev/console
after nova.poweroff 'poweroff -f'
after nova.panic 'echo c >/proc/sysrq-trigger'
while :; do
  setsid cttyhack sh </dev/ttyS0 >/dev/ttyS0 2>&1
  sleep 1
done
