// Pid 1 of images without an init: supervises the image's program, reaps orphans, and ends the machine.
#ifndef BANGER_SUPERVISE_H
#define BANGER_SUPERVISE_H

/** The signals by which the agent asks pid 1 to end the machine. */
#define SUPERVISE_POWEROFF_SIGNAL SIGTERM
#define SUPERVISE_REBOOT_SIGNAL SIGHUP

/** Runs after the root has been entered. Does not return. */
void supervise_main(void) __attribute__((noreturn));

#endif
