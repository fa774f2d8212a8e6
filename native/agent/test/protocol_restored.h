// What a worker does when another one hears that the machine was restored.
#ifndef BANGER_PROTOCOL_RESTORED_H
#define BANGER_PROTOCOL_RESTORED_H

void test_restored(const char *program, const char *directory);

#endif
