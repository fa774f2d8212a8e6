// Replies to requests; each function sends a whole one.
#ifndef BANGER_REPLY_H
#define BANGER_REPLY_H
#include "channel.h"

/** Sends a head with Content-Length and the body. The status decides the reason phrase. */
bool reply_json(struct channel *c, int status, struct buffer *body);
bool reply_empty(struct channel *c, int status);
/** Sends {"error":sentence,"errno":error}. */
bool reply_error(struct channel *c, int status, const char *sentence, int error);
/** The status and errno for `error`. */
bool reply_errno(struct channel *c, const char *sentence, int error);
/** The 101 or 200 that switches to frames. */
bool reply_switch(struct channel *c, int status);

#endif
