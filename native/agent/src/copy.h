// Copies files and trees as a tar stream: one end sends on stdout, the other receives on stdin. Both ends of `vm cp` are this code:
// in the guest as the agent's program (`/proc/self/exe copy …`), on the host as the program banger-copy.
#ifndef BANGER_COPY_H
#define BANGER_COPY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/** argv[1] is `copy`, or the program is for that only. Paths are percent-encoded, so that any byte but NUL may be in them. */
int copy_main(int argc, char **argv);

struct copy_receive_options {
  const char *target;  // as cp(1) takes it
  const char *name;    // the source's last part, what it is called in a directory; "" when its contents go there
  bool is_beneath;     // never follow a link below the target: the sender is not trusted
  bool keeps_owners;   // numbers of owners, setuid bits, capabilities
  bool to_stdout;      // a file's bytes, or a directory as the archive it comes in
};

void copy_send(const char *path, const char *name);
/** Sends stdin as a file. */
void copy_send_stdin(void);
void copy_receive(const struct copy_receive_options *options);

// What is said on stderr, a line each: `error ERRNO TEXT` (the last line), `note TEXT`, `total BYTES`.

/** Says "PATH: REASON" and ends the process with 1, after what was half done is gone. `error` is an errno; negative: its
 * meaning is in `reason` already. */
_Noreturn void copy_fail(const char *path, const char *reason, int error);
/** The same for what is no fault of a path. */
_Noreturn void copy_fail_plainly(const char *reason, int error);
void copy_note(const char *path, const char *reason);
void copy_say_total(uint64_t bytes);
/** Called before the process ends early, also from a signal handler. */
extern void (*copy_undo)(void);

#endif
