// One byte stream to the host, with bounded buffers in both directions.
#ifndef BANGER_CHANNEL_H
#define BANGER_CHANNEL_H
#include "buffer.h"

#define CHANNEL_IN_LIMIT_BYTES (64 * 1024)
#define CHANNEL_OUT_LIMIT_BYTES (128 * 1024)

struct channel {
  int fd;          // O_NONBLOCK
  bool is_serial;  // after a hang-up the same descriptor serves the next host
  bool resyncs;    // after a protocol error wait for BANGER-SYNC instead of closing
  bool scanning;   // everything before the next BANGER-SYNC is discarded
  bool ends;       // the present reply is the last one before that
  bool gone;       // the host hung up; everything fails until channel_await_host
  bool was_left;   // the port reported the end of a host since the last BANGER-SYNC
  unsigned owed;   // hosts that came unannounced: the port may yet report the end of the host before each
  int slot;        // index into the slots of agent_shared
  unsigned life;   // of the machine, in which the present request came; 0 between requests
  struct buffer in, out;
};

void channel_open(struct channel *c, int fd, bool is_serial, bool resyncs, int slot);
/** Frees the buffers and closes the descriptor. */
void channel_close(struct channel *c);
/** Reads available data. False: the host is gone. */
bool channel_fill(struct channel *c);
/** Writes what the host accepts now. False: the host is gone. */
bool channel_drain(struct channel *c);
/** Waits until at least one more byte has been read. False: the host is gone, or the in buffer is full. */
bool channel_read_more(struct channel *c);
/** Waits until everything is written. False: the host is gone. */
bool channel_flush(struct channel *c);
/** Appends, waiting for the host whenever the out buffer is full. False: the host is gone. */
bool channel_write(struct channel *c, const void *bytes, size_t n);
/** Makes the host give up any incomplete frame or reply, and waits for the next BANGER-SYNC. */
void channel_break_off(struct channel *c);
/** The poll() events of interest: always hang-up, input only if `wants_input`. */
short channel_events(const struct channel *c, bool wants_input);
/** Handles the result of poll(). False: the host is gone. */
bool channel_handle(struct channel *c, short revents);
/** Whether the host hung up, or sent the present request before the machine was restored. */
bool channel_is_gone(struct channel *c);
/** Marks the begin of a host: its BANGER-SYNC was read. */
void channel_begin_host(struct channel *c);
/** Marks the begin of a request: if the machine is restored before its end, the host that sent it is gone. */
void channel_begin_request(struct channel *c);
void channel_end_request(struct channel *c);
/** On a serial port, waits for the next host after one has left, and leaves the channel scanning. False: close the channel. */
bool channel_await_host(struct channel *c);

#endif
