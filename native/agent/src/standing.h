// What a root file system needs beside its files, whatever was done to it.
#ifndef BANGER_STANDING_H
#define BANGER_STANDING_H
#include "troubles.h"

/** Left by pid 1 of the initramfs when it stays because no init of the image can be executed. */
#define NO_INIT_PATH "/run/banger/no-init"
/** The image's init and what is tried in its place, `init` first; ends with NULL. */
#define INIT_CANDIDATES(init) {(init), "/lib/systemd/systemd", "/usr/sbin/runit-init", NULL}

/** Makes directories that images for containers leave to whoever runs them, and what must be writable on a root that is not. */
void standing_make_places(void);
/** Looks for what would keep the image's init from running, and people from logging in. */
void standing_examine(struct troubles *t);
/** Writes the value of a word `name=value` of the kernel's command line, or `otherwise`. */
void standing_option(const char *name, const char *otherwise, char *value, size_t capacity);

#endif
