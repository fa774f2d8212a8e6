// Starting and ending the processes that sessions run.
#ifndef BANGER_CHILD_H
#define BANGER_CHILD_H
#include "session.h"

struct child_plan {
  char **argv;         // if argv[0] has no slash, it is looked up in the PATH of `environment`
  char **environment;
  const char *directory;
  const char *user;       // NULL: keep the present user
  unsigned uid, gid;
  bool is_tty, has_stderr;
  unsigned short rows, columns;
};

/** Starts the child and puts its descriptors into the session. False with errno if there are no resources for it. */
bool child_start(struct session *s, const struct child_plan *plan);
/** Becomes the program, looked up by `argv`; returns an errno if it cannot. */
int child_execute(const struct child_plan *plan);
/** A signalfd for SIGCHLD, which workers keep blocked. */
int child_signal_fd(void);
/** True once the child has ended; status is 128+n after signal n. */
bool child_reaped(pid_t pid, int *status);
/** SIGHUP to the group, SIGKILL after the grace; returns the status. */
int child_end(pid_t pid, int signal_fd, int grace_ms);
/** The error message of a child that could not execute; "" if it did execute. */
void child_fault(int fault_fd, char *reason, size_t capacity);
/** Runs a program of the image to its end, and kills it after `limit_ms`. Its exit status, or -1. */
int child_run(char *const *argv, int limit_ms);
/** Undoes in a forked child the agent's own settings: signals, niceness, OOM score. */
void child_become_ordinary(void);

#endif
