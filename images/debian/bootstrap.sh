#!/bin/sh
# Usage: bootstrap.sh MOUNT_POINT OUTPUT COMMAND...
#
# Runs mmdebstrap on a tmpfs, so that nothing is left behind when it is killed: the mount goes away with its namespace, which the
# caller has made together with a process namespace (and, for an ordinary user, a user namespace).
set -eu
mount_point=$1 output=$2
shift 2
mount -t tmpfs -o mode=1777 tmpfs "$mount_point"
export TMPDIR="$mount_point"
exec "$@" > "$output"
