// How a program that serves is told to end.
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

// SIGTERM and SIGINT no longer end the process: the descriptor, which does not block, becomes readable. A peer that goes away while
// it is written to is an error of the write and no signal. Returns -1 with errno when there is no descriptor.
int signals_of_end(void);

#endif
