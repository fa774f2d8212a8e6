// The host's side of the protocol, as far as the tests need it. Every wait ends after ten seconds.
#ifndef BANGER_PROTOCOL_CLIENT_H
#define BANGER_PROTOCOL_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client {
  int fd;
  pid_t agent;
};

struct reply {
  int status;
  char head[8192];
  char body[1 << 20];
  size_t length;
};

/** What a session sent until EXIT. */
struct outcome {
  int status;  // -1: no EXIT
  char reason[256];
  char out[1 << 20], err[1 << 18];
  size_t out_length, err_length;
  bool got_eof;
};

/** Starts `program --serve-fd N` on one end of a socket pair. */
void client_start(struct client *c, const char *program);
/** Starts one agent that serves two channels; its process belongs to the second. */
void client_start_two(struct client *first, struct client *second, const char *program);
/** Hangs up; returns the agent's exit status, -1 when it did not end by itself. */
int client_stop(struct client *c);
bool client_send(struct client *c, const void *bytes, size_t n);
/** True when exactly n bytes came. */
bool client_receive(struct client *c, void *bytes, size_t n);
/** Sends a SYNC line and skips to its echo. */
bool client_sync(struct client *c);
/** Sends a request and reads the reply; a reply without Content-Length has no body. */
int client_request(struct client *c, const char *method, const char *target, const void *body, size_t n, struct reply *r);
int client_read_reply(struct client *c, struct reply *r);
bool client_frame(struct client *c, int type, const void *payload, size_t n);
/** Reads frames until EXIT. */
void client_outcome(struct client *c, struct outcome *o);
/** Reads one frame; its type, or -1. */
int client_read_frame(struct client *c, uint8_t *payload, size_t *length);
int64_t now_ms(void);

#endif
