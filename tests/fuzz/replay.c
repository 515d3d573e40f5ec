/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds every file of a corpus to a fuzz target: no clang is needed to see that old crashes stay away. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The exact size on the heap, so that a sanitizer sees a byte read too much. */
static int replay(int dir, const char *name)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC), r = -1;

	if (fd < 0 || fstat(fd, &st) != 0) {
		perror(name);
		return -1;
	}
	uint8_t *data = malloc((size_t)st.st_size + (st.st_size == 0));
	if (data != NULL && read(fd, data, (size_t)st.st_size) == st.st_size)
		r = LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
	close(fd);
	if (r != 0)
		fprintf(stderr, "%s: not run\n", name);
	return r;
}

int main(int argc, char **argv)
{
	int count = 0, failed = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;

	if (dir == NULL) {
		fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return 2;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.') {
			failed += replay(dirfd(dir), e->d_name) != 0;
			count++;
		}
	closedir(dir);
	printf("%d inputs\n", count);
	return count == 0 || failed > 0;
}
