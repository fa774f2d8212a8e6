// `POST /personalize`: checked values, and putting them into effect.
#ifndef BANGER_PERSONALIZE_H
#define BANGER_PERSONALIZE_H
#include "identity.h"
#include "json.h"
#include "netlink.h"
#include "troubles.h"

/** Members that were absent are NULL (or -1 for unix_ms) and change nothing. */
struct personalization {
  const struct json_node *hostname, *hosts, *authorized_keys, *machine_id, *mounts, *nameservers;
  const struct json_node *private_key, *public_key, *service;
  struct link_plan link;
  bool has_network, grows_root;
  uint8_t seed[512];
  long seed_length;
  int64_t unix_ms;
};

/** Checks and collects the members. Returns the name of the first that is wrong, or NULL. */
const char *personalization_check(const struct json_node *root, struct personalization *p);
/** Puts everything into effect in the protocol's order, each part on its own; what cannot be is added to the troubles. */
void personalization_apply(const struct personalization *p, struct troubles *t);

#endif
