#include "ruleset.h"
#include "common/constants.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

// Matches packets that write_names redirected: the target may be on any link, or this host.
#define ASKS_FOR_NAMES "ct status dnat ct original ip daddr " DNS_FORWARD_ADDRESS

bool link_name_plain(const char *name) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  size_t length = strlen(name);
  if (length == 0 || length >= IFNAMSIZ || name[0] == '.' || name[0] == '-' || strspn(name, allowed) != length) return false;
  // Directories of /proc/sys/net/ipv4/conf that belong to no link.
  return strcmp(name, "all") != 0 && strcmp(name, "default") != 0;
}

void ruleset_write_removal(FILE *out) {
  // Added first, because deleting a missing table is an error.
  fputs(
      "add table ip banger\n"
      "delete table ip banger\n"
      "add table bridge banger\n"
      "delete table bridge banger\n",
      out);
}

// A TAP may only send with its VM's MAC and IPv4 address; a TAP without a VM (the pool) may send nothing.
static void write_bridge_table(FILE *out, const struct ruleset *ruleset) {
  fputs(
      "table bridge banger {\n"
      "  set guests {\n"
      "    typeof iifname . ether saddr . ip saddr\n",
      out);
  if (ruleset->guest_count > 0) {
    fputs("    elements = {\n", out);
    for (size_t i = 0; i < ruleset->guest_count; i++) {
      const struct guest *guest = &ruleset->guests[i];
      unsigned high = guest->index >> 8, low = guest->index & 255;
      fprintf(out, "      \"" HOST_NAME_PREFIX "%s\" . " MAC_PREFIX ":00:%02x:%02x . " GUEST_PREFIX ".%u.%u,\n", guest->id, high, low, high, low);
    }
    fputs("    }\n", out);
  }
  fputs(
      "  }\n"
      "  chain prerouting {\n"
      "    type filter hook prerouting priority -300; policy accept;\n"
      "    iifname != \"" HOST_NAME_PREFIX "*\" accept\n"
      "    iifname . arp saddr ether . arp saddr ip @guests iifname . ether saddr . arp saddr ip @guests accept\n"
      "    iifname . ether saddr . ip saddr @guests accept\n"
      "    drop\n"
      "  }\n"
      "}\n",
      out);
}

static void write_nat_set(FILE *out, const struct ruleset *ruleset) {
  const char *before = "    elements = { ";
  fputs("  set nat {\n    type ipv4_addr\n", out);
  for (size_t i = 0; i < ruleset->guest_count; i++) {
    const struct guest *guest = &ruleset->guests[i];
    if (!guest->nat) continue;
    fprintf(out, "%s" GUEST_PREFIX ".%u.%u", before, guest->index >> 8, guest->index & 255);
    before = ", ";
  }
  fputs(before[0] == ',' ? " }\n  }\n" : "  }\n", out);
}

static void write_owners(FILE *out, const struct ruleset *ruleset) {
  const char *before = "    elements = { ";
  fputs("  set owners {\n    typeof meta skuid . ip daddr\n", out);
  for (size_t i = 0; i < ruleset->guest_count; i++) {
    const struct guest *guest = &ruleset->guests[i];
    // Root may reach all guests.
    if (guest->owner == 0 || guest->shared) continue;
    fprintf(out, "%s%u . " GUEST_PREFIX ".%u.%u", before, (unsigned)guest->owner, guest->index >> 8, guest->index & 255);
    before = ", ";
  }
  fputs(before[0] == ',' ? " }\n  }\n" : "  }\n", out);
  before = "    elements = { ";
  fputs("  set shared {\n    type ipv4_addr\n", out);
  for (size_t i = 0; i < ruleset->guest_count; i++) {
    const struct guest *guest = &ruleset->guests[i];
    if (!guest->shared) continue;
    fprintf(out, "%s" GUEST_PREFIX ".%u.%u", before, guest->index >> 8, guest->index & 255);
    before = ", ";
  }
  fputs(before[0] == ',' ? " }\n  }\n" : "  }\n", out);
}

static void write_names(FILE *out, const char *resolver) {
  fprintf(out,
          "  chain names {\n"
          "    type nat hook prerouting priority -100; policy accept;\n"
          "    iifname \"" HOST_BRIDGE "\" ip saddr @nat ip daddr " DNS_FORWARD_ADDRESS
          " meta l4proto { tcp, udp } th dport 53 dnat to %s\n"
          "  }\n",
          resolver);
}

// banger must not affect other traffic that passes through this host, so every chain accepts packets that do not touch the bridge.
static void write_ip_table(FILE *out, const struct ruleset *ruleset) {
  char resolver[INET_ADDRSTRLEN] = "";
  if (ruleset->resolver.s_addr != 0) inet_ntop(AF_INET, &ruleset->resolver, resolver, sizeof resolver);
  fputs("table ip banger {\n", out);
  write_nat_set(out, ruleset);
  write_owners(out, ruleset);
  if (resolver[0] != '\0') write_names(out, resolver);
  fputs(
      "  chain input {\n"
      "    type filter hook input priority 0; policy accept;\n"
      "    iifname != \"" HOST_BRIDGE "\" accept\n"
      "    ct state established,related accept\n"
      "    ip daddr " BRIDGE_ADDRESS " icmp type echo-request accept\n"
      // The resolver may be a program of this host, on one of its own addresses.
      "    ip saddr @nat " ASKS_FOR_NAMES " accept\n"
      "    drop\n"
      "  }\n"
      "  chain from_host {\n"
      "    type filter hook output priority 0; policy accept;\n"
      "    oifname != \"" HOST_BRIDGE "\" accept\n"
      "    ct state established,related accept\n"
      "    meta skuid 0 accept\n"
      "    meta skuid . ip daddr @owners accept\n"
      "    ip daddr @shared accept\n"
      "    reject\n"
      "  }\n"
      "  chain forward {\n"
      "    type filter hook forward priority 0; policy accept;\n"
      // If br_netfilter is loaded, bridged frames also come here.
      "    iifname \"" HOST_BRIDGE "\" oifname \"" HOST_BRIDGE "\" accept\n"
      "    iifname \"" HOST_BRIDGE "\" goto from_guest\n"
      "    oifname \"" HOST_BRIDGE "\" goto to_guest\n"
      "  }\n"
      // Established connections have no exception here: a VM that loses NAT loses them, too.
      "  chain from_guest {\n"
      "    ip saddr != @nat drop\n"
      "    " ASKS_FOR_NAMES " accept\n"
      "    ip daddr { " FORBIDDEN_DESTINATIONS " } drop\n",
      out);
  if (ruleset->uplink[0] != '\0') fprintf(out, "    oifname \"%s\" accept\n", ruleset->uplink);
  fputs(
      "    drop\n"
      "  }\n"
      "  chain to_guest {\n"
      "    ip daddr @nat ct state established,related accept\n"
      "    drop\n"
      "  }\n"
      "  chain way_out {\n"
      "    type nat hook postrouting priority 100; policy accept;\n"
      // For packets that the chains above accept: to the uplink, or to the resolver.
      "    ip saddr @nat oifname != \"" HOST_BRIDGE "\" masquerade\n"
      "  }\n"
      "}\n",
      out);
}

void ruleset_write(FILE *out, const struct ruleset *ruleset) {
  ruleset_write_removal(out);
  write_bridge_table(out, ruleset);
  write_ip_table(out, ruleset);
}
