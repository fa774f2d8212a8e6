// The kernel's nftables: applies rules as text, and watches changes by others.
#ifndef NFT_H
#define NFT_H

#include <stdbool.h>
#include <stddef.h>

// Passes `length` bytes of commands to nft as one transaction. Returns 0, or -1 with errno (EPROTO: nft refused it and printed why on
// stderr; ETIMEDOUT).
int nft_apply(const char *text, size_t length);

// A socket that becomes readable when anyone changes rules; -1 with errno.
int nft_watch(void);
// Reads all events. Returns whether anyone but nft_apply changed a table of banger.
bool nft_changed_by_others(int watch);

// Names a base chain outside banger's tables that drops forwarded packets which no rule of its table accepts, as FAMILY/TABLE/CHAIN: there,
// an accept in banger's chains has no effect. False if there is none.
bool nft_foreign_drop(char *name, size_t size);

#endif
