// `POST /personalize`: checks the values and applies them.
#ifndef BANGER_PERSONALIZE_H
#define BANGER_PERSONALIZE_H
#include "identity.h"
#include "json.h"
#include "netlink.h"
#include "troubles.h"

/** Absent members are NULL (or -1 for unix_ms) and change nothing. */
struct personalization {
  const struct json_node *hostname, *hosts, *authorized_keys, *machine_id, *mounts, *nameservers;
  const struct json_node *private_key, *public_key, *service;
  struct link_plan link;
  bool has_network, grows_root;
  bool is_restored;  // the machine goes on from a snapshot
  uint8_t seed[512];
  long seed_length;
  int64_t unix_ms;
};

/** Checks and collects the members. Returns the name of the first invalid one, or NULL. */
const char *personalization_check(const struct json_node *root, struct personalization *p);
/** Applies all members in the protocol's order, each independently; failed parts are added to the troubles. */
void personalization_apply(const struct personalization *p, struct troubles *t);

#endif
