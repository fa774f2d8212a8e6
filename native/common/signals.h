// Signals that end a serving program.
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

// SIGTERM and SIGINT no longer end the process; instead the non-blocking descriptor becomes readable. If a peer disconnects during a write,
// the write fails and there is no signal. Returns -1 with errno if there is no descriptor.
int signals_of_end(void);

#endif
