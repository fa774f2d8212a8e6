// One function per route of docs/agent-protocol.md; each answers completely before it returns.
#ifndef BANGER_HANDLERS_H
#define BANGER_HANDLERS_H
#include "reply.h"
#include "request.h"

/** Finds and runs the handler (routes.c). */
void route_request(struct channel *c, struct request *request);

void handle_healthz(struct channel *c, struct request *request);
void handle_info(struct channel *c, struct request *request);
void handle_ports(struct channel *c, struct request *request);
void handle_ports_watch(struct channel *c, struct request *request);
void handle_get_file(struct channel *c, struct request *request);
void handle_put_file(struct channel *c, struct request *request);
void handle_stat(struct channel *c, struct request *request);
void handle_exec(struct channel *c, struct request *request);
void handle_connect(struct channel *c, struct request *request);
void handle_personalize(struct channel *c, struct request *request);
void handle_poweroff(struct channel *c, struct request *request);
void handle_get_time(struct channel *c, struct request *request);
void handle_time(struct channel *c, struct request *request);

/** Sets the wall clock if it is off by more than 20 ms. False with errno. */
bool set_clock(int64_t unix_ms);

#endif
