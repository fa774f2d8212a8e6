// Files with the guest's identity.
#ifndef BANGER_IDENTITY_H
#define BANGER_IDENTITY_H
#include "buffer.h"
#include <sys/stat.h>
#include <sys/types.h>

/** Replaces `path` (also a symlink) atomically by a file with this content. Returns 0 or an errno. */
int write_file(const char *path, mode_t mode, const void *content, size_t length);
/** The same with the owner and group of `owner`, unless it is NULL. */
int write_file_as(const char *path, mode_t mode, const struct stat *owner, const void *content, size_t length);
/**
 * Appends `old` to `out`, with banger's marked block replaced by `lines`; everything outside the block stays as it is. An unfinished block
 * ends at the next blank line or at the end of the file, whichever comes first.
 */
void marked_block_replace(struct buffer *out, const char *old, size_t old_length, const char *lines, size_t lines_length);
/** Decodes strict base64 with padding. Returns the length, or -1. */
long base64_decode(const char *text, size_t length, uint8_t *out, size_t capacity);

#endif
