// Pid 1 of images that bring no init: keeps the image's program running, collects what others leave, and ends the machine.
#ifndef BANGER_SUPERVISE_H
#define BANGER_SUPERVISE_H

/** What the agent sends to pid 1 to end the machine. */
#define SUPERVISE_POWEROFF_SIGNAL SIGTERM
#define SUPERVISE_REBOOT_SIGNAL SIGHUP

/** Runs after the root has been entered. Does not return. */
void supervise_main(void) __attribute__((noreturn));

#endif
