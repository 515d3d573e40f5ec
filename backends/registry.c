/* SPDX-License-Identifier: Apache-2.0
 *
 * The modules that are built in. */
#include "backends/registry.h"

#include <string.h>

#include "backends/aws.h"
#include "backends/dir.h"
#include "backends/vault.h"

static const struct backend_ops *const modules[] = {
	&dir_backend,
	&aws_backend,
	&vault_backend,
	NULL,
};

const struct backend_ops *registry_find(const char *name)
{
	for (size_t i = 0; modules[i] != NULL; i++)
		if (strcmp(modules[i]->name, name) == 0)
			return modules[i];
	return NULL;
}

const struct backend_ops *const *registry_all(void)
{
	return modules;
}
