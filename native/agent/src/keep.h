// Files that the guest must have with a given content, on a disk that may refuse them.
#ifndef BANGER_KEEP_H
#define BANGER_KEEP_H
#include "buffer.h"
#include <stdbool.h>
#include <sys/types.h>

/** Files in memory, and those that the agent's own logins read; below a tmpfs. */
#define KEEP_DIRECTORY "/run/banger"

/** `error`: 0, or the errno of the disk's refusal; `is_held`: the file is nevertheless in place until the machine ends. */
struct kept {
  int error;
  bool is_held;
};

/**
 * Gives a file this content and mode, and writes nothing if it has them already. Follows a link; owner and group stay. If the disk refuses,
 * puts the file below KEEP_DIRECTORY and mounts it over the path, if the path exists.
 */
struct kept keep_file(const char *path, mode_t mode, const void *content, size_t length);
/** Like keep_file for banger's marked block in a file; an unreadable file is not replaced. */
struct kept keep_marked_block(const char *path, mode_t mode, const struct buffer *lines);
/** Mounts an empty file over the path, until the machine ends. */
bool keep_empty(const char *path);
/** The part of keep_file that works on the disk. Returns 0; or an errno, and then the file is unchanged. */
int keep_on_disk(const char *path, mode_t mode, const void *content, size_t length);
/** Writes a file below KEEP_DIRECTORY. Returns 0 or an errno. */
int keep_in_memory(const char *name, mode_t mode, const void *content, size_t length);
/** Makes a directory and its parents. Returns 0 or an errno. */
int make_directories(const char *path, mode_t mode);

#endif
