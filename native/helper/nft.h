// The kernel's nftables: applying text, and hearing of what others change.
#ifndef NFT_H
#define NFT_H

#include <stdbool.h>
#include <stddef.h>

// Hands `length` bytes of commands to nft as one transaction. Returns 0, or -1 with errno (EPROTO: nft refused it and said
// why on stderr; ETIMEDOUT).
int nft_apply(const char *text, size_t length);

// A socket that becomes readable when rules change, by anybody; -1 with errno.
int nft_watch(void);
// Reads all that is there. Returns whether somebody else than nft_apply changed a table of banger's.
bool nft_changed_by_others(int watch);

// Names a base chain outside banger's tables that drops what is forwarded and no rule of its table accepts, as
// FAMILY/TABLE/CHAIN: there a verdict of banger's own chains counts for nothing. False when there is none.
bool nft_foreign_drop(char *name, size_t size);

#endif
