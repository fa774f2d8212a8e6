// What one request may be. src/model/limits.ts says the same to the host, and why; a test compares the two.
#ifndef BANGER_LIMITS_H
#define BANGER_LIMITS_H

#define LIMIT_HEAD_BYTES 16384
#define LIMIT_JSON_BYTES 13631488
#define LIMIT_JSON_VALUES 262144

#endif
