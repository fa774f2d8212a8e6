// Names of hard links that were sent, by device and inode.
#ifndef BANGER_COPY_NAMES_H
#define BANGER_COPY_NAMES_H
#include <sys/stat.h>

/** The path under which this file was sent before; if it was not, NULL, and `path` is remembered. */
const char *copy_first_name(const struct stat *st, const char *path);

#endif
