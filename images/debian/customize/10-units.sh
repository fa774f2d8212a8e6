# A machine should be up in seconds, also under software emulation, where every unit costs tenths of a second.

# Housekeeping that belongs to machines that run for weeks. `systemctl unmask` brings any of it back.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service
# Hardware and boot stages that a microVM does not have.
systemctl mask systemd-pstore.service systemd-journal-flush.service systemd-boot-system-token.service \
  systemd-hwdb-update.service systemd-fsck-root.service systemd-remount-fs.service dev-hugepages.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount proc-sys-fs-binfmt_misc.automount modprobe@.service \
  systemd-update-utmp.service systemd-update-utmp-runlevel.service
# Address, resolver, host name and clock are set before the system starts; layouts of older images are never mounted.
systemctl mask systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service systemd-resolved.service \
  systemd-timesyncd.service home.mount var.mount
# Nobody sits at a console.
systemctl mask getty.target console-getty.service getty@.service serial-getty@.service

# The random seed comes from outside, before the system starts.
systemctl mask systemd-random-seed.service systemd-initctl.socket

# The message bus and login management start when something asks for them, not at boot.
mkdir -p /etc/systemd/system/multi-user.target.wants /etc/systemd/system-generators
for service in dbus systemd-logind; do
  ln -sf /dev/null "/etc/systemd/system/multi-user.target.wants/$service.service"
done

# Services of users who are not logged in (`loginctl enable-linger`) start with login management. A condition does not keep a unit from
# pulling in what it wants, so this one starts it by a command.
cat > /etc/systemd/system/lingering-users.service <<'END'
[Unit]
Description=Login management for lingering users
ConditionDirectoryNotEmpty=/var/lib/systemd/linger
[Service]
Type=oneshot
ExecStart=systemctl --no-block start systemd-logind.service
END
ln -sf ../lingering-users.service /etc/systemd/system/multi-user.target.wants/lingering-users.service

# systemd waits for its generators before it starts anything; these look for disks and consoles that a microVM does not have.
for generator in bless-boot cryptsetup getty gpt-auto hibernate-resume integritysetup run system-update veritysetup; do
  ln -sf /dev/null "/etc/systemd/system-generators/systemd-$generator-generator"
done

mkdir -p /etc/systemd/system.conf.d /etc/systemd/journald.conf.d
cat > /etc/systemd/system.conf.d/10-banger.conf <<'END'
[Manager]
ShowStatus=no
DefaultTimeoutStopSec=15s
END
cat > /etc/systemd/journald.conf.d/10-banger.conf <<'END'
[Journal]
Storage=volatile
RuntimeMaxUse=32M
Audit=no
END
systemctl set-default multi-user.target
