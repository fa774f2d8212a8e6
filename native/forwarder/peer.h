// Whose process holds the other end of what comes to a listener.
#ifndef PEER_H
#define PEER_H

#include "shares.h"

#include <stdbool.h>
#include <sys/types.h>

#define UID_UNKNOWN ((uid_t)-1)
// Of the process of this host whose socket has exactly these ends; UID_UNKNOWN when nobody holds it any more, or it is on
// another machine. `type`: SOCK_STREAM or SOCK_DGRAM.
uid_t peer_uid(int type, const struct sockaddr_in *theirs, const struct sockaddr_in *ours);

// Lets every user of this host in (true), or the own user and root alone.
void peer_share(bool with_everyone);
// Whether whoever is at `theirs` may use a listener; *party is on whose account. What was published on an address that other
// machines reach is for everybody.
bool peer_admit(int type, const struct sockaddr_in *theirs, const struct sockaddr_in *ours, party_id *party);

#endif
