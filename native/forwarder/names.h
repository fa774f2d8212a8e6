// The names of VMs for guests: `NAME.vm`, and every name below it, is the VM's address in the guests' own network. The host's resolver
// would return the VM's address on the host, which inside a guest leads to the guest itself.
#ifndef NAMES_H
#define NAMES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// No answer of this server is longer; it includes the question.
#define NAMES_ANSWER_BYTES 1024

// A guest has one name; NULL removes it. Returns 0, or -1 with errno (EINVAL for an invalid name, EEXIST for another guest's).
int names_set(struct in_addr guest, const char *name);
// Answers a DNS question about VMs or addresses of the guests' network. Returns the length of the answer, 0 if the question is for the
// host's name server.
size_t names_answer(const uint8_t *question, size_t length, uint8_t answer[NAMES_ANSWER_BYTES]);

// A guest's connection to the name server: answers here if its first question is about VMs, otherwise joins it with the outside. Takes over
// both sockets.
void names_connection(int guest_fd, int outside_fd, const struct sockaddr_in *guest, const struct sockaddr_in *target);
void names_tick(int64_t now_ms);
bool names_waiting(void);
void names_forget(struct in_addr guest);

#endif
