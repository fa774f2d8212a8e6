// The host's end of `vm cp`: the same code as in the guest, as a program of its own.
#include "../src/copy.h"

int main(int argc, char **argv) { return copy_main(argc - 1, argv + 1); }
