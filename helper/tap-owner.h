#ifndef TAP_OWNER_H
#define TAP_OWNER_H

#include <sys/types.h>

// Lets processes of this user open the TAP of a VM in the host's network; none is fine, and means another network.
int tap_set_owner(const char *id, uid_t uid);

#endif
