# Nothing that the first `apt update` brings back, and no trace of the build.
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/* /tmp/* /var/tmp/* /run/*
# Proxies and certificates of the machine that built this are of no use in a guest.
if [ -e /etc/apt/apt.conf.d/99mmdebstrap ]; then sed -i -E '/proxy|cainfo|verify-peer/Id' /etc/apt/apt.conf.d/99mmdebstrap; fi
# Everything in /usr is as new as /etc and /var, so the first boot has nothing to bring up to date (systemd-update-done.service(8)).
touch -r /usr /etc/.updated /var/.updated
