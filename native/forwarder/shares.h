// Limited resources, and how much each party holds. A party may have one more as long as it has fewer than are left for all: one alone
// takes at most half, two take a third each, and a newcomer always finds some.
#ifndef SHARES_H
#define SHARES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum share {
  SHARE_TCP_IN,
  SHARE_TCP_OUT,
  SHARE_TCP_ATTEMPTS,
  SHARE_UDP_IN,
  SHARE_UDP_OUT,
  SHARE_LISTENERS,
  SHARE_PUBLISHED,
  SHARE_KINDS,
};

// A guest, a user of this host or an address elsewhere; NOBODY is not counted.
typedef uint64_t party_id;
#define NOBODY ((party_id)0)
party_id party_of_guest(struct in_addr guest);
party_id party_of_user(uid_t uid);
party_id party_of_address(struct in_addr address);

// Call once the limit of descriptors is known: with fewer descriptors, all limits shrink.
void shares_init(void);
bool share_has_room(party_id party, enum share what);
// False if the party has its share, or there is no memory.
bool share_take(party_id party, enum share what);
void share_give_back(party_id party, enum share what);
// Whether a guest may open one more connection or flow to the outside now. Bursts pass, floods do not, because each connection occupies the
// host's own tables for minutes.
bool share_may_open(struct in_addr guest, int64_t now_ms);
// How many name servers did not answer this guest so far.
unsigned *share_nameserver(struct in_addr guest);
// The party holds nothing any more.
void share_forget(party_id party);

#endif
