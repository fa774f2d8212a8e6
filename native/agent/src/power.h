// Ends the machine. Some VMMs only see a reset: there the guest announces a power-off to the host, and then also resets.
#ifndef BANGER_POWER_H
#define BANGER_POWER_H
#include <stdbool.h>

/** Where systemd looks for the program that ends the machine (systemd-shutdown(8)); its argument is the verb. */
#define POWER_HOOK_DIRECTORY "/run/initramfs"
#define POWER_HOOK_PROGRAM "/shutdown"

/** Puts this program below `root` where systemd finds it. False and errno if that fails. */
bool power_install_hook(const char *self, const char *root);
/** Runs as that program: pid 1, alone with the file systems that systemd could not unmount. Does not return. */
void power_hook_main(const char *verb) __attribute__((noreturn));

/** Ends the machine at once, without asking any process. Returns only if it is not permitted. */
void power_end(bool reboot_after);
/** Tells the host how the machine is about to end; the host may be absent. */
void power_tell_host(bool reboot_after);
/** Sends one line and waits for the other side's answer or end. False if neither came within the limit. */
bool power_say(int fd, const char *line, int limit_ms);

#endif
