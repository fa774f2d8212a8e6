#!/bin/sh
# Usage: assemble.sh MOUNT_POINT ROOT_TAR SCRIPTS OUTPUT
#
# Turns the tar of installed packages into the lab's machine: OUTPUT/root.ext4, scratch.xfs, vmlinuz and initramfs.cpio. Works on a tmpfs
# in the caller's namespaces, so nothing is left behind.
set -eu
mount_point=$1 root_tar=$2 scripts=$3 output=$4
mount -t tmpfs -o mode=0755 tmpfs "$mount_point"
tree=$mount_point/root
mkdir "$tree"
tar -C "$tree" -x -p --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' --exclude='./usr/share/doc/*' \
  --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./var/cache/apt/*' -f "$root_tar"
version=$(basename "$tree"/lib/modules/*)
cp "$tree/boot/vmlinuz-$version" "$output/vmlinuz"

install -D -m 0755 "$scripts/run-job" "$tree/usr/local/lib/lab/run-job"
install -m 0644 "$scripts/lab.service" "$tree/etc/systemd/system/lab.service"
touch "$tree/dev/null"
mount --bind /dev/null "$tree/dev/null"
chroot "$tree" /bin/sh -eu <<'INSIDE'
useradd --create-home --shell /bin/bash --groups kvm,sudo dev
echo 'dev ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/dev
passwd -q -d root
echo lab >/etc/hostname
printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 lab\n' >/etc/hosts
rm -f /etc/resolv.conf
echo 'nameserver 10.0.2.3' >/etc/resolv.conf
systemctl disable --quiet systemd-resolved.service
: >/etc/fstab
printf '%s\n' loop tun dm_mod dm_snapshot overlay xfs kvm_amd >/etc/modules-load.d/lab.conf
mkdir -p /etc/systemd/system.conf.d /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\n' >/etc/systemd/journald.conf.d/lab.conf
# Nothing that takes time and that no test asks about.
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  systemd-timesyncd.service systemd-tmpfiles-clean.timer systemd-update-utmp.service systemd-update-utmp-runlevel.service \
  getty@tty1.service serial-getty@ttyS0.service serial-getty@hvc0.service systemd-pstore.service systemd-firstboot.service systemd-machine-id-commit.service \
  keyboard-setup.service console-setup.service systemd-hwdb-update.service ldconfig.service
systemctl enable --quiet lab.service
systemd-machine-id-setup >/dev/null 2>&1
INSIDE

initramfs=$mount_point/initramfs
mkdir -p "$initramfs/bin" "$initramfs/dev" "$initramfs/root" "$initramfs/modules"
cp "$tree/bin/busybox" "$initramfs/bin/"
cp "$scripts/initramfs-init" "$initramfs/init"
for module in virtio_pci virtio_blk ext4 virtio_console virtio_net; do
  chroot "$tree" modprobe --set-version "$version" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r path; do
  cp "$tree$path" "$initramfs/modules/"
  echo "/modules/$(basename "$path")" >>"$initramfs/modules/order"
done
chmod 0755 "$initramfs/init"
(cd "$initramfs" && find . | cpio -o -H newc --quiet) >"$output/initramfs.cpio"

truncate -s 4G "$mount_point/scratch.xfs"
mkdir "$tree/mnt/image"
mount --bind "$mount_point" "$tree/mnt/image"
chroot "$tree" mkfs.xfs -q -m reflink=1 -L lab-xfs /mnt/image/scratch.xfs
umount "$tree/mnt/image"
rmdir "$tree/mnt/image"
cp --sparse=always "$mount_point/scratch.xfs" "$output/scratch.xfs"
umount "$tree/dev/null"
rm "$tree/dev/null" "$tree/boot/vmlinuz-$version"
truncate -s 8G "$output/root.ext4"
mke2fs -q -t ext4 -F -b 4096 -m 0 -L lab-root -E lazy_itable_init=1,lazy_journal_init=1 -d "$tree" "$output/root.ext4"
