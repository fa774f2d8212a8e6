# Title: kernel modules for Docker
#
# Docker loads most of what it needs by itself; these two it expects. The others only have to be there.
modules=/usr/lib/modules/$(uname -r)
missing=
for name in overlay br_netfilter bridge veth nf_nat nf_conntrack nft_compat xt_conntrack xt_MASQUERADE xt_addrtype; do
  grep -q "/$name\.ko" "$modules/modules.dep" "$modules/modules.builtin" || missing="$missing $name"
done
if [ -n "$missing" ]; then
  echo "the modules of $(uname -r) lack$missing" >&2
  exit 1
fi
printf 'overlay\nbr_netfilter\n' > /etc/modules-load.d/banger-docker.conf
modprobe overlay
modprobe br_netfilter
printf 'net.ipv4.ip_forward = 1\n' > /etc/sysctl.d/20-banger-docker.conf
