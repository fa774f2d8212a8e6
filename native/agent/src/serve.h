// The worker: HTTP state of one channel.
#ifndef BANGER_SERVE_H
#define BANGER_SERVE_H
#include "channel.h"
#include "http.h"

/** A request whose body (except that of PUT /files) has been read. */
struct request {
  struct http_request http;
  struct buffer body;
};

/** Serves the channel until its host is gone for good (never on a serial port). */
void serve_channel(struct channel *c);

/** Sends a head with Content-Length and the body. The status decides the reason phrase. */
bool reply_json(struct channel *c, int status, struct buffer *body);
bool reply_empty(struct channel *c, int status);
/** Sends {"error":sentence,"errno":error}. */
bool reply_error(struct channel *c, int status, const char *sentence, int error);
/** Status and errno that fit `error`. */
bool reply_errno(struct channel *c, const char *sentence, int error);
/** The 101 or 200 that switches to frames. */
bool reply_switch(struct channel *c, int status);
/** Refuses what stands in the stream, says `Connection: close`, and gives the stream up: closed, or unusable until BANGER-SYNC. */
void protocol_error(struct channel *c, int status, const char *sentence);

/** Finds and runs the handler (routes.c). */
void route_request(struct channel *c, struct request *request);

#endif
