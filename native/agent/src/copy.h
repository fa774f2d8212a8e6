// Copies files and trees as a tar stream: one end sends on stdout, the other receives on stdin. Both ends of `vm cp` use this code: in the
// guest the agent's program (`/proc/self/exe copy …`), on the host the program banger-copy.
#ifndef BANGER_COPY_H
#define BANGER_COPY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/** argv[1] is `copy`, unless the program only copies. Paths are percent-encoded, so that they may contain any byte but NUL. */
int copy_main(int argc, char **argv);

struct copy_receive_options {
  const char *target;  // as cp(1) takes it
  const char *name;    // the last part of the source, its name in a directory; "" if its contents go there
  bool is_beneath;     // never follow a link below the target, because the sender is not trusted
  bool keeps_owners;   // numeric owners, setuid bits, capabilities
  bool to_stdout;      // writes a file's bytes, or a directory as its archive
};

void copy_send(const char *path, const char *name);
/** Sends stdin as a file. */
void copy_send_stdin(void);
void copy_receive(const struct copy_receive_options *options);

// Messages on stderr, one per line: `error ERRNO TEXT` (the last line), `note TEXT`, `total BYTES`.

/**
 * Prints "PATH: REASON", removes incomplete files, and ends the process with 1. `error` is an errno; if it is negative, `reason` already
 * says what it means.
 */
_Noreturn void copy_fail(const char *path, const char *reason, int error);
/** The same for an error without a path. */
_Noreturn void copy_fail_plainly(const char *reason, int error);
void copy_note(const char *path, const char *reason);
void copy_say_total(uint64_t bytes);
/** Called before the process ends early, also from a signal handler. */
extern void (*copy_undo)(void);

#endif
