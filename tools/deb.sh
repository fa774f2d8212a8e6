#!/bin/sh
# Makes a Debian package of the built programs with its own Node: deb.sh DIRECTORY; prints its path.
set -eu
output=$1
cd "$(dirname "$0")/.."
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
architecture=$(dpkg --print-architecture)
mkdir -p "$output"
output=$(cd "$output" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"

sh tools/install.sh "$stage" /usr >/dev/null
mkdir -p "$stage/DEBIAN" "$stage/usr/share/doc/banger"
cp LICENSE "$stage/usr/share/doc/banger/copyright"
# Debian's rule, which lintian checks: manual pages are compressed, without a timestamp.
find "$stage/usr/share" -path '*/man/*' -type f -exec gzip -9n {} +

# Node needs the first line, VMs the second, `bundle build` the third; `bundle fetch` needs none.
cat >"$stage/DEBIAN/control" <<EOF
Package: banger
Version: $version
Architecture: $architecture
Maintainer: banger maintainers <banger@localhost>
Installed-Size: $(du -sk "$stage/usr" | cut -f1)
Depends: libc6 (>= 2.28), libstdc++6 (>= 8), libatomic1, openssh-client, iproute2, e2fsprogs, bubblewrap
Recommends: qemu-system-x86, qemu-utils, nftables,
 mmdebstrap, uidmap, xz-utils, gcc, make, musl-tools, linux-libc-dev
Suggests: rsync
Section: admin
Priority: optional
Description: persistent, isolated Linux microVMs on your own computer
 Creates virtual machines in seconds, for developers and their coding agents.
 Each keeps its disks until it is deleted and is reached as NAME.vm; neither
 root nor KVM is needed.
EOF
(cd "$stage" && find usr -type f -exec md5sum {} + >DEBIAN/md5sums)
chmod -R u=rwX,go=rX "$stage/DEBIAN"

package=$output/banger_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zzstd -z3 --build "$stage" "$package" >/dev/null
(cd "$output" && sha256sum "${package##*/}" >"${package##*/}.sha256")
echo "$package"
