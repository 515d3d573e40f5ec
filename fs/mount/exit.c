/* SPDX-License-Identifier: Apache-2.0
 *
 * Which cause ends the program with which status. */
#include "fs/mount/exit.h"

#include <errno.h>

#include "backends/error.h"

int exit_status(int code)
{
	if (code == 0)
		return 0;
	if (code == EINVAL)
		return EXIT_USAGE;
	if (code == ENOENT || code == ENOTDIR)
		return EXIT_ABSENT;
	if (code == ENOTRECOVERABLE)
		return EXIT_LOST;
	if (error_refused(code))
		return EXIT_REFUSED;
	return error_passing(code) ? EXIT_PASSING : EXIT_OTHER;
}
