# Runs once, as root, in the VM in which an image of Void is made. The agent is the first program; runit does not run yet.
# The packages lie unpacked in the root file system, and xbps knows them as such.
cd /
work=/var/lib/banger/install
architecture=$(cat "$work/architecture")

# What xbps-install runs before it unpacks a package: this makes the directories that no package brings.
while read -r name version script; do
  [ "$script" = - ] || /bin/sh "$script" pre "$name" "$version" no no "$architecture" < /dev/null
done < "$work/order"

# And after it: in the order in which they need each other; what is left, or failed, is told by the second one.
names=$(cut -d ' ' -f 1 "$work/order")
# shellcheck disable=SC2086
xbps-reconfigure $names
xbps-reconfigure -a
rm -rf /var/lib/banger

# Files of packages that an update must not bring back (xbps.d(5)): consoles at which nobody sits, and a check of file systems that
# makes the root read-only for a moment, in which commands of the host run already.
filesystems=/etc/runit/core-services/03-filesystems.sh
consoles=/etc/runit/runsvdir/default/agetty-
mkdir -p /etc/xbps.d
printf 'noextract=%s\n' "$filesystems" "$consoles*" > /etc/xbps.d/10-banger.conf
rm -f "$consoles"*
for console in /etc/sv/agetty-tty[1-9]; do
  # So that the script of the package does not enable it again.
  [ ! -d "$console" ] || touch "$console/down"
done
if [ -e "$filesystems" ]; then
  rm "$filesystems"
  echo 'mount -a -t nosysfs,nonfs,nonfs4,nosmbfs,nocifs -O no_netdev' > /etc/runit/core-services/03-banger-filesystems.sh
fi

# The random seed comes from outside; one that lies in an image is the same in every VM of it (seedrng of runit-void).
echo 'export SEEDRNG_SKIP_CREDIT=true' >> /etc/rc.conf

# Disks are mounted by the agent; a /tmp that is mounted later would hide what commands of the host have written there.
: > /etc/fstab
chmod 0700 /root

# Root by key only.
usermod -p '*' root
mkdir -p /etc/ssh/sshd_config.d
cat > /etc/ssh/sshd_config.d/10-banger.conf <<'END'
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
HostKey /etc/ssh/ssh_host_ed25519_key
UseDNS no
AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 /etc/ssh/banger_authorized_keys /run/banger/authorized_keys
END
include='Include /etc/ssh/sshd_config.d/*.conf'
if ! grep -q '^Include /etc/ssh/sshd_config.d/' /etc/ssh/sshd_config; then
  # The first value of a setting counts (sshd_config(5)).
  { echo "$include"; cat /etc/ssh/sshd_config; } > /etc/ssh/sshd_config.new
  mv /etc/ssh/sshd_config.new /etc/ssh/sshd_config
fi
mkdir -p /etc/runit/runsvdir/default
ln -sfn /etc/sv/sshd /etc/runit/runsvdir/default/sshd
# The second stage changes to the services by this link, which must be there before.
[ -e /etc/runit/runsvdir/current ] || ln -sfn default /etc/runit/runsvdir/current
[ -L /var/service ] || [ -e /var/service ] || ln -s /run/runit/runsvdir/current /var/service

# Name, addresses and keys of a VM are written before its runit starts.
echo void > /etc/hostname
# No other locale is made: glibc-locales is not among the packages.
echo 'LANG=C.UTF-8' > /etc/locale.conf
