/* SPDX-License-Identifier: Apache-2.0
 *
 * kesfs: check the command line and the place, fork, open the stores, mount, serve, close. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/config.h"
#include "backends/secret.h"
#include "fs/log.h"
#include "fs/mount/daemon.h"
#include "fs/mount/exit.h"
#include "fs/mount/mountpoint.h"
#include "fs/mount/options.h"
#include "fs/mount/probe.h"
#include "fs/mount/session.h"
#include "fs/mount/signals.h"
#include "fs/mount/volume.h"

struct volumes {
	struct volume **each;
	size_t count;
};

static void volumes_close(struct volumes *v)
{
	while (v->count > 0)
		volume_close(v->each[--v->count]);
	free(v->each);
	v->each = NULL;
}

static int volumes_open(const struct mount_options *o, struct volumes *ret, struct error *err)
{
	int r = 0;

	ret->each = calloc(o->source_count, sizeof(struct volume *));
	if (ret->each == NULL)
		return error_set(err, ENOMEM, "out of memory");
	while (r == 0 && ret->count < o->source_count) {
		r = volume_open(o, &o->sources[ret->count], &ret->each[ret->count], err);
		ret->count += r == 0;
	}
	return r;
}

/* Where a store keeps its files; NULL: not in a directory. */
static const char *directory_of(const struct store *s)
{
	if (s->config == NULL)
		return s->where;
	return strcmp(config_store(s->config), "fs") == 0 ? config_text(config_section(s->config), "path") : NULL;
}

/* A directory store must not be mounted on itself. */
static int volumes_apart(const struct mount_options *o, const struct volumes *v, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->count; i++) {
		const char *directory = directory_of(volume_store(v->each[i]));
		if (directory != NULL)
			r = mountpoint_apart(o->mountpoint, directory, err);
	}
	return r;
}

static int log_open(const struct mount_options *o, struct error *err)
{
	if (o->log_file != NULL && log_to_file(o->log_file, err) != 0) {
		/* A mistake of the command line, whatever the system calls it. */
		if (err->code != ENOMEM)
			err->code = EINVAL;
		return -err->code;
	}
	if (o->log_file == NULL && !o->foreground)
		log_to_syslog();
	return 0;
}

static int memory_lock(struct error *err)
{
	bool locked;
	int r = secret_setup(&locked, err);

	if (r == 0 && !locked)
		log_line(LOG_LEVEL_WARNING, "memory for values could not be locked, so that they may reach the swap: raise the limit "
		         "with ulimit -l or LimitMEMLOCK=");
	return r;
}

/* Whatever can fail is tried here, and libfuse speaks to the terminal, so that the prompt hears of it. */
static int session_begin(const struct mount_options *o, struct volumes *v, struct session **ret, struct error *err)
{
	int r = volumes_apart(o, v, err);

	signals_hold();
	if (r == 0)
		r = log_open(o, err);
	log_to_stderr();
	if (r == 0)
		r = session_mount(o, v->each, v->count, ret, err);
	if (r == 0)
		r = session_start(*ret, err);
	if (r == 0)
		r = log_open(o, err);
	return r;
}

/* First and last line of a mount in the log, for who reads it as an audit trail. */
static void log_mounts(const struct mount_options *o, const struct volumes *v, const char *what)
{
	for (size_t i = 0; i < v->count; i++)
		log_line(LOG_LEVEL_INFO, "%s %s: %s", what, o->mountpoint, volume_store(v->each[i])->label);
}

static int session_serve(const struct mount_options *o, const struct volumes *v, struct session *s, struct daemon *d,
			 struct error *err)
{
	log_mounts(o, v, "mounted on");
	daemon_ready(d);
	signals_serve(s);
	int r = session_loop(s, err);
	signals_serve(NULL);
	log_mounts(o, v, "unmounted from");
	return r;
}

static int mount_run(const struct mount_options *o, struct daemon *d, struct error *err)
{
	struct volumes v = { NULL, 0 };
	struct session *s = NULL;
	int r = memory_lock(err);

	if (r == 0)
		r = signals_start(err);
	if (r == 0)
		r = volumes_open(o, &v, err);
	if (r == 0)
		r = session_begin(o, &v, &s, err);
	if (r == 0)
		r = session_serve(o, &v, s, d, err);
	if (s != NULL)
		session_free(s);
	volumes_close(&v);
	return r;
}

static int run(struct mount_options *o, struct error *err)
{
	struct daemon d;
	int r;

	signals_block();
	r = mountpoint_machine(o, err);
	if (r == 0)
		r = mountpoint_prepare(o, err);
	if (r == 0)
		r = daemon_fork(o->foreground, &d, err);
	return r != 0 ? r : mount_run(o, &d, err);
}

static int fail(const struct error *err)
{
	log_line(LOG_LEVEL_ERROR, "%s", err->text);
	return exit_status(err->code);
}

/* A configuration that may not be read is a mistake of the command line, not a store that refuses. */
static int sources_readable(const struct mount_options *o, struct error *err)
{
	for (size_t i = 0; i < o->source_count; i++) {
		struct stat st;
		const char *where = o->sources[i].where;
		if (stat(where, &st) == 0 && S_ISREG(st.st_mode) && access(where, R_OK) != 0)
			return error_set(err, EINVAL, "%s cannot be read: %s", where, strerror(errno));
	}
	return 0;
}

static int probe(const struct mount_options *o)
{
	struct error err = ERROR_INIT;
	int r = memory_lock(&err);

	return r != 0 ? fail(&err) : probe_run(o);
}

int main(int argc, char **argv)
{
	struct mount_options o = { 0 };
	struct error err = ERROR_INIT;
	int status;

	log_setup("kesfs");
	int r = daemon_descriptors(&err);
	if (r == 0)
		r = mount_options_parse(argc, argv, &o, &err);
	if (r == 0)
		r = sources_readable(&o, &err);
	if (r == 0 && o.probe) {
		status = probe(&o);
	} else {
		if (r == 0)
			r = run(&o, &err);
		status = r != 0 ? fail(&err) : 0;
	}
	mount_options_free(&o);
	return status;
}
