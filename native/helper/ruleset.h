// The host's nftables rules as text (pure); nft.c applies it.
#ifndef RULESET_H
#define RULESET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct guest {
  char id[9];
  // The VM's number, FIRST_NETWORK_INDEX to LAST_NETWORK_INDEX; its addresses are derived from it as in src/model/network.ts.
  unsigned index;
  bool nat;
  // The users of this host who may open connections to it, besides root: its owner, or everyone.
  uid_t owner;
  bool shared;
};

struct ruleset {
  const struct guest *guests;
  size_t guest_count;
  // The link on which guests with NAT go out; empty: none.
  const char *uplink;
  // The name server that answers their questions; 0.0.0.0: none.
  struct in_addr resolver;
};

// Writes both tables, `ip banger` and `bridge banger`, as one transaction that replaces their content.
void ruleset_write(FILE *out, const struct ruleset *ruleset);
// The transaction that removes both tables, also if they are missing.
void ruleset_write_removal(FILE *out);
// Whether a link's name is safe in rules and paths.
bool link_name_plain(const char *name);

#endif
