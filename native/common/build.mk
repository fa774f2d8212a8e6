# What the Makefiles of the programs have in common; they are included from their own folders.
.DEFAULT_GOAL := all
BUILD ?= build
NODE ?= ../../node_modules/.bin/node
CC_STATIC ?= musl-gcc
# Includes are named from native/ on. Every program takes all of common/, and the linker drops what it does not use.
INCLUDES = -I.. -D_GNU_SOURCE
SECTIONS = -ffunction-sections -fdata-sections -Wl,--gc-sections
COMMON = $(wildcard ../common/*.c)
COMMON_HEADERS = $(wildcard ../common/*.h)
# musl-gcc does not look where the kernel's headers are (linux-libc-dev), and all of /usr/include would mix two libcs.
KERNEL_HEADERS = $(BUILD)/include

$(KERNEL_HEADERS):
	mkdir -p $@
	ln -sfn /usr/include/linux $@/linux
	ln -sfn /usr/include/asm-generic $@/asm-generic
	ln -sfn $$(dirname $$(echo '#include <asm/types.h>' | $(CC) -E - | sed -n 's/.*"\(.*\/asm\/types.h\)".*/\1/p' | head -1)) $@/asm

clean:
	rm -rf $(BUILD)
