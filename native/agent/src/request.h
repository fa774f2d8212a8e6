// A request as its handler gets it.
#ifndef BANGER_REQUEST_H
#define BANGER_REQUEST_H
#include "channel.h"
#include "http.h"
#include "json.h"

/** A request whose body (except that of PUT /files) has been read. */
struct request {
  struct http_request http;
  struct buffer body;
};

/** True if programs of the root file system may run; waits up to 5 s while pid 1 hands over after `personalize`. */
bool image_is_running(void);
/** Parses the body as a JSON object with only these members; otherwise replies 400. */
bool request_object(struct channel *c, struct request *request, const char *const *members, struct json_document *d);

#endif
