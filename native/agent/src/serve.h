// The worker: HTTP state of one channel.
#ifndef BANGER_SERVE_H
#define BANGER_SERVE_H
#include "channel.h"

/** Serves the channel until its host has left for good (never on a serial port). */
void serve_channel(struct channel *c);

#endif
