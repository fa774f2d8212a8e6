#!/bin/sh
# Usage: assemble.sh MOUNT_POINT ROOT_TAR KERNEL_TREE KERNEL_VERSION SCRIPTS OUTPUT UUID
#
# Turns the tar of installed packages into the bundle's files: adds the kernel's modules, runs SCRIPTS/*.sh inside, in order of
# their names, and writes OUTPUT/rootfs.ext4, work-seed.ext4, modules.tar and packages.txt. The tree lives on a tmpfs in the caller's
# namespaces: owners come out right for ordinary users too, and nothing is left behind.
set -eu
mount_point=$1 root_tar=$2 kernel_tree=$3 kernel_version=$4 scripts=$5 output=$6 uuid=$7
MIB=$((1024 * 1024))

say() { echo "assemble: $*"; }

mount -t tmpfs -o mode=0755 tmpfs "$mount_point"
tree=$mount_point/root
mkdir "$tree"

say "unpacking the packages"
# The guest's kernel fills /dev, and device nodes cannot be made in a user namespace.
tar -C "$tree" -x -p --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -f "$root_tar"

say "adding the kernel's modules"
mkdir -p "$tree/usr/lib/modules"
cp -R "$kernel_tree/lib/modules/$kernel_version" "$tree/usr/lib/modules/"
chown -R 0:0 "$tree/usr/lib/modules"
chroot "$tree" /sbin/depmod "$kernel_version"

touch "$tree/dev/null"
mount --bind /dev/null "$tree/dev/null"
for script in "$scripts"/*.sh; do
  say "running $(basename "$script")"
  chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 /bin/sh -eu -s < "$script"
done
umount "$tree/dev/null"
rm "$tree/dev/null"

say "listing packages and modules"
chroot "$tree" dpkg-query -W -f '${Package}=${Version}\n' > "$output/packages.txt"
tar -C "$tree/usr" -c --sort=name --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner -f "$output/modules.tar" "lib/modules/$kernel_version"

# E2FSPROGS_FAKE_TIME makes the file systems' own times the same in every build; the kernel zeroes no inode tables later, as mke2fs
# knows that a new sparse file is zero. `resize=` leaves room in the descriptor tables for
# growing to 1 TiB while mounted. Features are the default ones of the builder's mke2fs.
export E2FSPROGS_FAKE_TIME="$SOURCE_DATE_EPOCH"
make_ext4() { # FILE SIZE_BYTES LABEL CONTENT OPTIONS...
  file=$1 size=$2 label=$3 content=$4
  shift 4
  rm -f "$file"
  truncate -s "$size" "$file"
  mke2fs -q -t ext4 -F -b 4096 -m 1 -L "$label" -U "$uuid" "$@" \
    -E "hash_seed=$uuid,lazy_itable_init=1,lazy_journal_init=1,resize=268435456" -d "$content" "$file"
}

say "writing the work seed"
# The smallest work disk there can be; the agent grows larger ones when it mounts them.
make_ext4 "$output/work-seed.ext4" $((512 * MIB)) banger-work "$tree/root" -J size=16

say "writing the root file system"
content_bytes=$(du -s -x --block-size=1 "$tree" | cut -f1)
size=$((content_bytes * 5 / 4 / MIB * MIB + 64 * MIB))
[ "$size" -ge $((1024 * MIB)) ] || size=$((1024 * MIB))
make_ext4 "$output/rootfs.ext4" "$size" banger-root "$tree" -J size=32
