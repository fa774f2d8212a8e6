# Title: leftovers of Docker installers
#
# What get.docker.com and its kind put beside the distribution's packages would be in the way of a clean installation.
rm -f /etc/apt/sources.list.d/docker.list /etc/apt/sources.list.d/docker.sources
rm -f /etc/apt/keyrings/docker.asc /etc/apt/keyrings/docker.gpg /usr/share/keyrings/docker-archive-keyring.gpg
rm -f /root/get-docker.sh /get-docker.sh /tmp/get-docker.sh
rm -f /etc/systemd/system/docker.service /etc/systemd/system/docker.socket /etc/systemd/system/containerd.service
rm -rf /etc/systemd/system/docker.service.d
