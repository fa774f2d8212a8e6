// What the agent's processes share: one page of memory that every worker inherits.
#ifndef BANGER_AGENT_H
#define BANGER_AGENT_H
#include "common/clock.h"
#include "common/constants.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define AGENT_VERSION "0.1.0"
/** Makes a worker look at `life`. */
#define WORKER_WAKE_SIGNAL SIGUSR1
#define AGENT_SLOTS (AGENT_SERIAL_PORTS + AGENT_VSOCK_WORKERS)
/** systemd spares processes whose argv[0] begins with '@' when it kills everything at shutdown. */
#define AGENT_PROCESS_NAME "@banger-agent"

/**
 * Returns blocks of deleted files to the host as they become free; a disk without discard is mounted all the same (ext4(5)).
 */
#define EXT4_OPTIONS "discard"

struct agent_shared {
  _Atomic bool init_started;   // the image's init has been executed: phase `running`
  _Atomic bool personalized;
  _Atomic bool personalizing;  // one at a time
  _Atomic bool session_open[AGENT_SLOTS];  // one slot per worker, so a crashed worker cannot leave a count behind
  // A machine that is restored from a snapshot begins another life; what a worker served in an earlier one is dead.
  _Atomic unsigned life;                     // from 1 on
  _Atomic unsigned served_life[AGENT_SLOTS];  // in which the worker's present request came, 0 without one
  _Atomic int worker_pid[AGENT_SLOTS];        // 0: none
  _Atomic bool resets_to_power_off;  // the VMM only sees a reset (power.h)
  char root_device[128];
  int personalized_fd;  // towards the initramfs' pid 1, -1 when there is none
};

extern struct agent_shared *agent_shared;

/** Maps the shared page. False if there is no memory. */
bool agent_share(void);
/** Makes this process the worker of a slot. */
void agent_begin_worker(int slot);

/** Runs as pid 1 of the initramfs. Does not return. */
void init_main(int argc, char **argv) __attribute__((noreturn));
/** Serves every port and vsock connection for ever. `init_fd`: socket to the initramfs' pid 1, or -1. */
int master_main(int init_fd, const char *transport);

#endif
