/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files: accepted or refused in one sentence with a place, never a crash. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (write(fd, data, size) == (ssize_t)size) {
		struct config *cfg = NULL;
		struct error err = {0};
		int r = config_load(path, NULL, NULL, &cfg, &err);
		if (r == 0 && (config_store(cfg) == NULL || config_section(cfg) == NULL))
			abort();
		if (r != 0 && (cfg != NULL || err.text[0] == '\0'))
			abort();
		config_free(cfg);
	}
	close(fd);
	return 0;
}
