# Title: Podman
# Optional: yes
# Needs: docker-modules
# Packages: podman podman-compose crun uidmap slirp4netns fuse-overlayfs dbus-user-session netavark aardvark-dns iptables catatonit
#
# Also without root: who has no range of ids for containers gets one when the user is made (useradd(8)).
printf 'fuse\noverlay\n' > /etc/modules-load.d/banger-podman.conf
printf 'kernel.unprivileged_userns_clone = 1\n' > /etc/sysctl.d/20-banger-podman.conf

# Without it Podman of Debian takes vfs for users, which copies every layer of every container.
mkdir -p /etc/containers
printf '[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n' \
  > /etc/containers/storage.conf

# systemd hands memory and pids to its users; `podman run --cpus` needs the rest of what the kernel can limit.
mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' > /etc/systemd/system/user@.service.d/10-banger-podman.conf

# Containers with --restart=always come back with the machine, which is what the packages set up for root. Nobody has asked for a look
# at the registries at every start, and the API has a socket.
systemctl disable podman-auto-update.service podman-auto-update.timer podman.service

# The same for users who stay when nobody is logged in (loginctl enable-linger). For others it would stop the containers with each
# session, and root's belong to the machine.
mkdir -p /etc/systemd/user/podman-restart.service.d
printf '[Unit]\nConditionUser=!root\nConditionPathExists=/var/lib/systemd/linger/%%u\n' \
  > /etc/systemd/user/podman-restart.service.d/10-banger.conf
systemctl --global enable podman-restart.service
