# Title: Podman
# Optional: yes
# Needs: docker-modules
# Packages: podman crun uidmap slirp4netns fuse-overlayfs dbus-user-session netavark aardvark-dns
#
# Also without root: who has no range of ids for containers gets one when the user is made (useradd(8)).
printf 'fuse\noverlay\n' > /etc/modules-load.d/banger-podman.conf
printf 'kernel.unprivileged_userns_clone = 1\n' > /etc/sysctl.d/20-banger-podman.conf
