// Finds the user whose process holds the other end of a listener's connection.
#ifndef PEER_H
#define PEER_H

#include "shares.h"

#include <stdbool.h>
#include <sys/types.h>

#define UID_UNKNOWN ((uid_t)-1)
// The user of the process on this host whose socket has exactly these endpoints; UID_UNKNOWN if no process holds it any more, or it is on
// another machine. `type`: SOCK_STREAM or SOCK_DGRAM.
uid_t peer_uid(int type, const struct sockaddr_in *theirs, const struct sockaddr_in *ours);

// Lets every user of this host in (true), or only this user and root.
void peer_share(bool with_everyone);
// Whether the peer at `theirs` may use a listener; *party is the one to charge for it. Everyone may use a port that was published on an
// address that other machines reach.
bool peer_admit(int type, const struct sockaddr_in *theirs, const struct sockaddr_in *ours, party_id *party);

#endif
