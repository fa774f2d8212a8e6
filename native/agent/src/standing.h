// What a root file system needs besides its files, whatever was done to it.
#ifndef BANGER_STANDING_H
#define BANGER_STANDING_H
#include "troubles.h"
#include <stdbool.h>

/** Pid 1 of the initramfs creates it if it stays because no init of the image can be executed. */
#define NO_INIT_PATH "/run/banger/no-init"
/** The image's init and its substitutes, `init` first; ends with NULL. */
#define INIT_CANDIDATES(init) {(init), "/lib/systemd/systemd", "/usr/sbin/runit-init", NULL}

/** Makes directories that container images leave to the runtime, and those that must be writable on a read-only root. */
void standing_make_places(void);
/** Puts an empty file over a special file, such as a pipe, where every program that reads it would wait for ever. */
void standing_keep_readable(struct troubles *t);
/** Looks for problems that would keep the image's init from running, or users from logging in. */
void standing_examine(struct troubles *t);
/** The SSH server of the image, which logins use. */
#define SSHD_PATH "/usr/sbin/sshd"
bool standing_has_ssh_server(void);
/** Writes the value of `name=value` on the kernel's command line, or `otherwise`. */
void standing_option(const char *name, const char *otherwise, char *value, size_t capacity);

#endif
