// A framed session: bytes between the channel and a child process or a socket.
#ifndef BANGER_SESSION_H
#define BANGER_SESSION_H
#include "channel.h"
#include "frames.h"
#include <sys/types.h>

struct session {
  struct channel *channel;
  struct frame_reader reader;
  struct buffer to_child;
  int in_fd, out_fd, err_fd;  // O_NONBLOCK; -1 when closed; in_fd and out_fd are never the same number
  int fault_fd;               // read end of the child's message if it cannot execute, -1 if there is none
  pid_t pid;                  // 0 for a tunnel
  bool is_tty;
  bool host_sent_eof, host_sent_close;
  bool is_bad;                // an unknown frame
  bool child_exited;
  int status;
  char last_input_byte;
  int64_t drain_until_ms;     // after the child's end
  size_t owed_out, owed_err;  // bytes that were in its pipes when it ended
};

void session_init(struct session *s, struct channel *c);
/**
 * Runs the session to its end, including EXIT and the host's CLOSE, and releases all its resources. Afterwards the channel is in HTTP
 * state, scanning for SYNC, or gone.
 */
void session_run(struct session *s);
/** Sends EXIT for a command that never started and waits for CLOSE. */
void session_fail(struct channel *c, int status, const char *reason);

#endif
