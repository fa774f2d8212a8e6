// How a machine ends. Some VMMs see only a reset: there a power-off is said to the host first, and is then a reset too.
#ifndef BANGER_POWER_H
#define BANGER_POWER_H
#include <stdbool.h>

/** Where systemd looks for the program that ends the machine for it (systemd-shutdown(8)); it is given the verb. */
#define POWER_HOOK_DIRECTORY "/run/initramfs"
#define POWER_HOOK_PROGRAM "/shutdown"

/** Puts this program where systemd finds it, below `root`. False and errno when it cannot. */
bool power_install_hook(const char *self, const char *root);
/** Runs as that program: pid 1, alone with the file systems that systemd could not let go of. Does not return. */
void power_hook_main(const char *verb) __attribute__((noreturn));

/** Ends the machine at once, without asking anybody inside. Returns only when it may not. */
void power_end(bool reboot_after);
/** Tells the host how the machine is about to end; it need not be there. */
void power_tell_host(bool reboot_after);
/** Sends one line and waits for the answer, or the end, of the other side. False when neither came within the limit. */
bool power_say(int fd, const char *line, int limit_ms);

#endif
