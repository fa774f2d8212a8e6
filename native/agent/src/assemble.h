// A root that lacks a place for what every system needs.
#ifndef BANGER_ASSEMBLE_H
#define BANGER_ASSEMBLE_H

/**
 * Makes the directories below `root` that every system needs (/dev, /proc, /sys, /run, /etc, /root and /tmp) where the disk takes them.
 * Returns the name of the first that is none and cannot be made, and why in `error`; or NULL.
 */
const char *root_missing_place(const char *root, int *error);
/** Replaces the mounted root by one in memory that has these directories, and everything else of the disk at its place. 0 or an errno. */
int root_assemble(const char *root);

#endif
