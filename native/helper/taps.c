#include "taps.h"

#include "common/links.h"
#include "ruleset.h"
#include "common/constants.h"
#include "common/errors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#define NAME_PATTERN HOST_NAME_PREFIX "%s"
#define POOL_PATTERN HOST_NAME_PREFIX "pool-%hhu"

int bridge_up(void) {
  struct bridge bridge = {.name = HOST_BRIDGE, .mac = {MAC_PREFIX_BYTES, 0x00, 0x00, 0x01}, .prefix_length = GUEST_PREFIX_LENGTH};
  bridge.address.s_addr = htonl(BRIDGE_ADDRESS_NUMBER);
  if (bridge_make(&bridge) != 0) return -1;
  // Guests have no IPv6, and their link-local addresses must not reach this host. A kernel without IPv6 has no such file.
  write_setting("/proc/sys/net/ipv6/conf/" HOST_BRIDGE "/disable_ipv6", "1");
  return write_setting("/proc/sys/net/ipv4/conf/" HOST_BRIDGE "/forwarding", "1");
}

bool bridge_is_up(void) { return if_nametoindex(HOST_BRIDGE) != 0; }

static void pool_name(char name[IFNAMSIZ], int slot) { snprintf(name, IFNAMSIZ, POOL_PATTERN, (unsigned char)slot); }

int bridge_down(void) {
  char name[IFNAMSIZ];
  int result = 0;
  for (int slot = 0; slot < POOL_SIZE; slot++) {
    pool_name(name, slot);
    if (link_delete(name) != 0) result = -1;
  }
  return link_delete(HOST_BRIDGE) != 0 ? -1 : result;
}

int tap_count_idle(void) {
  char name[IFNAMSIZ];
  int count = 0;
  for (int slot = 0; slot < POOL_SIZE; slot++) {
    pool_name(name, slot);
    count += if_nametoindex(name) != 0;
  }
  return count;
}

static int delete_keeping_errno(const char *name) {
  KEEPING_ERRNO(link_delete(name));
  return -1;
}

// Idle TAPs stay down: only then can every kernel rename them.
static int make_on_bridge(const char *name, uid_t owner) {
  if (tap_make(name, owner) != 0) return -1;
  return bridge_join(HOST_BRIDGE, name) == 0 ? 0 : delete_keeping_errno(name);
}

static bool take_from_pool(const char *name, uid_t owner) {
  char idle[IFNAMSIZ];
  for (int slot = 0; slot < POOL_SIZE; slot++) {
    pool_name(idle, slot);
    if (if_nametoindex(idle) == 0) continue;
    if (tap_make(idle, owner) == 0 && bridge_join(HOST_BRIDGE, idle) == 0 && link_rename(idle, name) == 0) return true;
    // Whatever spoilt it, it is useless now.
    link_delete(idle);
  }
  return false;
}

int tap_give(const char *id, uid_t owner) {
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, NAME_PATTERN, id);
  if (if_nametoindex(name) != 0) return 0;
  if (!take_from_pool(name, owner) && make_on_bridge(name, owner) != 0) return -1;
  return link_bring_up(name) == 0 ? 0 : delete_keeping_errno(name);
}

int tap_take(const char *id) {
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, NAME_PATTERN, id);
  return link_delete(name);
}

int tap_cut_off(const char *id) {
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, NAME_PATTERN, id);
  // First off the bridge: with the port, the bridge forgets what it learned about it.
  int result = bridge_leave(HOST_BRIDGE, name);
  return link_take_down(name) == 0 ? result : -1;
}

int tap_make_idle(void) {
  char name[IFNAMSIZ];
  for (int slot = 0; slot < POOL_SIZE; slot++) {
    pool_name(name, slot);
    if (if_nametoindex(name) == 0) return make_on_bridge(name, 0) == 0 ? 1 : -1;
  }
  return 0;
}
