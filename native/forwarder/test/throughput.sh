#!/bin/sh
# Prints how fast 1 GiB comes from a server through banger-forwarder and through socat. Usage: throughput.sh PROGRAM
set -eu
program=$1
scratch=$(mktemp -d)
pids=""
cleanup() {
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap cleanup EXIT
truncate -s 1G "$scratch/zeros"
"$program" serve "$scratch/control" 10.213.0.1 16 169.254.213.53 &
pids="$pids $!"
until [ -S "$scratch/control" ]; do sleep 0.05; done
inner=$(echo info | socat - "UNIX:$scratch/control" | sed -n 's/.*inner=\([0-9]*\).*/\1/p')
"$program" enter "$inner" socat -U -b 1048576 TCP-LISTEN:9100,fork,reuseaddr "OPEN:$scratch/zeros,rdonly" &
pids="$pids $!"
socat -U -b 1048576 TCP-LISTEN:9100,bind=127.213.254.253,reuseaddr,fork "OPEN:$scratch/zeros,rdonly" &
pids="$pids $!"
socat -b 262144 TCP-LISTEN:9101,bind=127.213.254.253,reuseaddr,fork TCP:127.213.254.253:9100 &
pids="$pids $!"
echo "listen tcp 127.213.254.253 9102 10.213.0.1 9100" | socat - "UNIX:$scratch/control" >/dev/null
sleep 0.3
measure() {
  start=$(date +%s%N)
  socat -u -b 1048576 "TCP:127.213.254.253:$2" OPEN:/dev/null
  end=$(date +%s%N)
  echo "$1: $((1024 * 1048576 * 1000 / (end - start))) MB/s"
}
for _ in 1 2 3 4 5; do
  measure "direct   " 9100
  measure "forwarder" 9102
  measure "socat    " 9101
done
