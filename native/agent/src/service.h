// The program that a container image runs: handed over in `personalize`, started and kept by pid 1.
#ifndef BANGER_SERVICE_H
#define BANGER_SERVICE_H
#include "buffer.h"
#include "json.h"
#include <stdbool.h>
#include <stddef.h>

/** Where the agent leaves it for pid 1; on a tmpfs. */
#define SERVICE_PATH "/run/banger-service"
#define SERVICE_MAX_BYTES (2 * 1024 * 1024)  // what execve takes
#define SERVICE_MAX_WORDS 2048

struct service {
  char *argv[SERVICE_MAX_WORDS + 1], *environment[SERVICE_MAX_WORDS + 3];
  char *user, *directory;  // NULL: root, /
  int stop_signal;         // what asks it to end
};

/** Whether the member is as docs/agent-protocol.md wants it. */
bool service_check(const struct json_node *node);
/** Writes a checked member as the record that pid 1 reads. */
void service_encode(const struct json_node *node, struct buffer *record);
/** Points into `record`, which it changes. False when the record is not whole. */
bool service_decode(char *record, size_t length, struct service *service);

#endif
