# The last act of every build: nothing of this machine stays in what others start from.
cd /
if command -v apt-get > /dev/null; then apt-get clean; fi
rm -rf "$BANGER_BUILD" /var/lib/apt/lists/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/xbps/* /tmp/* /var/tmp/*
find /var/log -type f -exec rm -f {} +
rm -rf /root/.bash_history /root/.cache /root/.local/share/opencode /root/.lesshst /root/.viminfo
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /var/lib/dbus/machine-id
: > /etc/machine-id
: > /etc/resolv.conf
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' > /etc/hosts
if [ -d /etc/systemd/system ]; then
  # Mounts of older layouts would hide what lies in the image.
  for unit in home.mount var.mount; do ln -sf /dev/null "/etc/systemd/system/$unit"; done
fi
touch -r /usr /etc/.updated /var/.updated 2> /dev/null || true
sync
fstrim / 2> /dev/null || true
fstrim /root 2> /dev/null || true
