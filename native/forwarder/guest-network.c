// The namespace's bridge and the VMs' TAPs on it.
#include "forwarder.h"
#include "common/links.h"
#include "common/constants.h"
#include "common/errors.h"

#include <errno.h>

// Both ends of a tracked connection are TCP stacks of kernels, which check their own windows. The setting appears with the first rule that
// tracks, so it is written again with each TAP.
static void relax_tracking(void) { write_setting("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "1"); }

int links_setup(const struct bridge_settings *settings) {
  struct bridge bridge = {
      .name = PRIVATE_BRIDGE,
      .mac = {MAC_PREFIX_BYTES, 0x00, 0x00, 0x01},
      .address = settings->address,
      .prefix_length = settings->prefix_length,
  };
  // A kernel without IPv6 has no such file, which is fine.
  write_setting("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
  write_setting("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  return link_bring_up("lo") == 0 && bridge_make(&bridge) == 0 && write_setting("/proc/sys/net/ipv4/ip_forward", "1") == 0 ? 0 : -1;
}

int tap_add(const char *name) {
  relax_tracking();
  // For a VMM without any capability, and for one in a jail, whose user does not exist in this namespace; all of them are VMs of the same
  // user. If a VMM holds it, it exists, as requested.
  if (tap_make(name, TAP_OF_NAMESPACE) != 0 && errno != EBUSY) return -1;
  if (bridge_join(PRIVATE_BRIDGE, name) == 0 && link_bring_up(name) == 0) return 0;
  KEEPING_ERRNO(link_delete(name));
  return -1;
}
