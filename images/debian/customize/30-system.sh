# What is the same in every machine; host name, machine id, addresses and keys are written for each one before it starts.
: > /etc/fstab
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id
echo debian > /etc/hostname
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' > /etc/hosts
: > /etc/resolv.conf
echo 'LANG=C.UTF-8' > /etc/default/locale
ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime
: > /etc/motd
rm -f /etc/update-motd.d/*

cat > /etc/sysctl.d/10-banger.conf <<'END'
# Development servers watch whole source trees.
fs.inotify.max_user_watches = 524288
fs.inotify.max_user_instances = 1024
END
