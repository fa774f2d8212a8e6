// Handles a root that lacks directories which every system needs.
#ifndef BANGER_ASSEMBLE_H
#define BANGER_ASSEMBLE_H

/**
 * Makes the directories below `root` that every system needs (/dev, /proc, /sys, /run, /etc, /root and /tmp), where the disk permits it.
 * Returns the name of the first that is missing and cannot be made, with the reason in `error`; or NULL.
 */
const char *root_missing_place(const char *root, int *error);
/**
 * Replaces the mounted root by one in memory that has these directories, and everything else of the disk at its place. Returns 0 or an
 * errno.
 */
int root_assemble(const char *root);

#endif
