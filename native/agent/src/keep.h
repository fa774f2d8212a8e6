// Files that the guest needs as they are told, on a disk that may refuse them.
#ifndef BANGER_KEEP_H
#define BANGER_KEEP_H
#include "buffer.h"
#include <sys/types.h>

/** What is held in memory, and what the agent's own logins read; below a tmpfs. */
#define KEEP_DIRECTORY "/run/banger"

/** `error`: 0, or the errno with which the disk refused; `is_held`: all the same it is there until the machine ends. */
struct kept {
  int error;
  bool is_held;
};

/**
 * Makes a file have this content and mode, and writes nothing when it has them. A link is written through, owner and group stay. What
 * the disk refuses is put below KEEP_DIRECTORY and mounted over the path, where there is one.
 */
struct kept keep_file(const char *path, mode_t mode, const void *content, size_t length);
/** As keep_file, but only the marked block of the file is ours; what cannot be read is not replaced. */
struct kept keep_marked_block(const char *path, mode_t mode, const struct buffer *lines);
/** The part of keep_file that is done on the disk. 0 or an errno; then the file is as it was. */
int keep_on_disk(const char *path, mode_t mode, const void *content, size_t length);
/** Writes a file below KEEP_DIRECTORY. 0 or an errno. */
int keep_in_memory(const char *name, mode_t mode, const void *content, size_t length);
/** Makes a directory and those above it. 0 or an errno. */
int make_directories(const char *path, mode_t mode);

#endif
