# Title: Docker
# Optional: yes
# Needs: docker-modules
# Packages: docker.io docker-compose iptables apparmor
#
# The distribution's Docker. What it stores lies on the work disk, whose size is chosen with the VM.
mkdir -p /etc/docker
cat > /etc/docker/daemon.json <<'END'
{
  "data-root": "/root/.local/share/docker",
  "storage-driver": "overlay2",
  "log-driver": "json-file",
  "log-opts": { "max-size": "10m", "max-file": "3" }
}
END

# `docker compose` is a plugin; Debian 12 has Compose as a program of its own. A plugin says what it is when it is asked.
plugin=/usr/libexec/docker/cli-plugins/docker-compose
if [ ! -e "$plugin" ]; then
  mkdir -p "${plugin%/*}"
  version=$(dpkg-query -W -f '${Version}' docker-compose)
  cat > "$plugin" <<END
#!/bin/sh
if [ "\$1" = docker-cli-plugin-metadata ]; then
  echo '{"SchemaVersion":"0.1.0","Vendor":"Debian","Version":"$version","ShortDescription":"Docker Compose"}'
  exit
fi
# Options of docker itself, such as --context, come before the name of the plugin.
name=compose
for word do
  shift
  if [ "\$word" = "\$name" ]; then name=; else set -- "\$@" "\$word"; fi
done
# Where everything is emulated, a container may take longer to start than Compose waits by itself.
COMPOSE_HTTP_TIMEOUT=\${COMPOSE_HTTP_TIMEOUT:-600} exec /usr/bin/docker-compose "\$@"
END
  chmod 0755 "$plugin"
fi

# The socket starts with the machine, Docker with the first command, or with the machine when containers are to be started again.
systemctl enable containerd.service docker.socket docker.service
