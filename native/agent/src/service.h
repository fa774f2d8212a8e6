// The program of a container image: comes in `personalize`; pid 1 starts and supervises it.
#ifndef BANGER_SERVICE_H
#define BANGER_SERVICE_H
#include "buffer.h"
#include "json.h"
#include <stdbool.h>
#include <stddef.h>

/** The file in which the agent leaves it for pid 1; on a tmpfs. */
#define SERVICE_PATH "/run/banger-service"
#define SERVICE_MAX_BYTES (2 * 1024 * 1024)  // the limit of execve
#define SERVICE_MAX_WORDS 2048

struct service {
  char *argv[SERVICE_MAX_WORDS + 1], *environment[SERVICE_MAX_WORDS + 3];
  char *user, *directory;  // NULL: root, /
  int stop_signal;         // the signal that asks it to end
};

/** Whether the member matches docs/agent-protocol.md. */
bool service_check(const struct json_node *node);
/** Writes a checked member as the record for pid 1. */
void service_encode(const struct json_node *node, struct buffer *record);
/** Points into `record`, which it changes. False if the record is incomplete. */
bool service_decode(char *record, size_t length, struct service *service);

#endif
