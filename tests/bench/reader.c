/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens, reads and closes a file so many times; prints the microseconds for each. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	long count = atol(argv[2]);
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (long i = 0; i < count; i++) {
		char bytes[4096];
		int fd = open(argv[1], O_RDONLY);
		if (fd < 0 || read(fd, bytes, sizeof bytes) <= 0)
			return 1;
		close(fd);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.3f\n", ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / 1e3 / (double)count);
	return 0;
}
