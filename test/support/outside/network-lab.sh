#!/bin/sh
# Runs a program in its own host: private network, mount and pid namespaces with a fake outside, so that no packet
# leaves the machine and nothing survives. Usage: network-lab.sh root|user PROGRAM [ARGUMENT...]
#   192.0.2.10   this "host" on its uplink; 127.0.0.1:7001 answers "host-loopback", 192.0.2.10:7002 "host-uplink"
#                198.51.100.7 and all of 10.99.0.0/24 are on its lo; :7001 of 10.99.0.2 answers, UDP too
#   192.0.2.1    the "internet": :7000 answers "internet <peer address>", UDP too; :53 is its name server,
#                :7005 keeps what is sent in $LAB_WORK/../upload, :7006 sends $LAB_WORK/download,
#                :7007 answers with the hash of all that was sent, :7008 drops every packet
# With `user` the program is uid 65534 and /dev/net/tun is open to everybody, as on a stock Debian.
set -eu
if [ "${NETWORK_LAB:-}" = "" ]; then
  own_user=""
  [ "$(id -u)" = 0 ] || own_user="--user --map-root-user"
  # shellcheck disable=SC2086
  NETWORK_LAB=1 exec unshare $own_user --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
kind=$1
shift
# As in most distributions; in a new network namespace nobody may ping.
last_group=$(awk '$1 == 0 { print ($3 > 65534 ? 65534 : 0) }' /proc/self/gid_map)
echo "0 $last_group" >/proc/sys/net/ipv4/ping_group_range
# In this mount namespace only, so that nothing is left on the real host.
scratch=/mnt
mount -t tmpfs -o mode=0755 lab "$scratch"
ip link set lo up
# An address that only this host has, like an anycast address of a container network.
ip address add 198.51.100.7/32 dev lo
# A whole network that leads here, as with container runtimes that route to lo.
ip address add 10.99.0.1/24 dev lo
unshare --net sleep infinity &
internet=$!
until [ "$(readlink /proc/$internet/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add out0 type veth peer name in0 netns $internet
ip address add 192.0.2.10/24 dev out0
ip link set out0 up
in_internet="nsenter -t $internet -n"
$in_internet ip link set lo up
$in_internet ip address add 192.0.2.1/24 dev in0
$in_internet ip address add 169.254.169.254/32 dev lo
$in_internet ip link set in0 up
ip route add default via 192.0.2.1
echo 'nameserver 192.0.2.1' >"$scratch/resolv.conf"
mount --bind "$scratch/resolv.conf" "$(readlink -f /etc/resolv.conf)"
# shellcheck disable=SC2016
$in_internet socat TCP-LISTEN:7000,fork,reuseaddr 'SYSTEM:echo internet $SOCAT_PEERADDR' &
$in_internet socat -b 65000 UDP-LISTEN:7000,fork,reuseaddr PIPE &
$in_internet socat -u TCP-LISTEN:7005,fork,reuseaddr "OPEN:$scratch/upload,creat,trunc" &
$in_internet socat -U TCP-LISTEN:7006,fork,reuseaddr "OPEN:$scratch/work/download,rdonly" &
$in_internet nft 'add table ip lab; add chain ip lab in { type filter hook input priority 0; }; add rule ip lab in tcp dport 7008 drop'
$in_internet "$LAB_NODE" "$LAB_INTERNET" &
socat TCP-LISTEN:7001,bind=127.0.0.1,fork,reuseaddr 'SYSTEM:echo host-loopback' &
socat TCP-LISTEN:7001,bind=198.51.100.7,fork,reuseaddr 'SYSTEM:echo host-loopback' &
socat TCP-LISTEN:7001,bind=10.99.0.2,fork,reuseaddr 'SYSTEM:echo host-loopback' &
socat UDP-LISTEN:7001,bind=10.99.0.2,fork,reuseaddr PIPE &
socat TCP-LISTEN:7002,bind=192.0.2.10,fork,reuseaddr 'SYSTEM:echo host-uplink' &
mkdir -m 1777 "$scratch/work"
export LAB_WORK="$scratch/work" LAB_INTERNET_PID="$internet"
if [ "$kind" = user ]; then
  mknod "$scratch/tun" c 10 200
  chmod 0666 "$scratch/tun"
  mount --bind "$scratch/tun" /dev/net/tun
  chmod 0755 "$scratch"
  setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
else
  "$@"
fi
