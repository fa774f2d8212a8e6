# What is the same in every machine; host name, machine id, addresses and keys are written for each one before it starts.
: > /etc/fstab
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id
echo debian > /etc/hostname
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' > /etc/hosts
: > /etc/resolv.conf
echo 'LANG=C.UTF-8' | tee /etc/default/locale > /etc/environment
ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime
: > /etc/motd
rm -f /etc/update-motd.d/*

cat > /etc/sysctl.d/10-banger.conf <<'END'
# Development servers watch whole source trees.
fs.inotify.max_user_watches = 524288
fs.inotify.max_user_instances = 1024
END

cat > /etc/modprobe.d/banger.conf <<'END'
# Loaded for what the processor announces, and of no use in nearly every guest; `modprobe kvm_intel` still works where wanted.
blacklist kvm_amd
blacklist kvm_intel
blacklist powernow_k8
blacklist acpi_cpufreq
blacklist evdev
blacklist qemu_fw_cfg
END

# Commands run while systemd still boots, and it would empty /tmp under their hands (the distribution's file says "D /tmp").
echo 'q /tmp 1777 root root -' > /etc/tmpfiles.d/tmp.conf
