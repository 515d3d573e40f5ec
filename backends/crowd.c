/* SPDX-License-Identifier: Apache-2.0
 *
 * Members queue up.  The first one leads: it takes all who are there, runs their round in its own thread, wakes them,
 * and hands over to one who has come meanwhile.
 *
 * Members who were served together come back together, but the first of them a little earlier.  It would have a round
 * of its own, and the others would wait for two; so it waits until as many are there as last time, but no longer than a
 * round takes. */
#include "backends/crowd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum {
	CROWD_MIN = 8,                /* writers: fewer are as fast by themselves, and disturb nobody */
	UNWRITTEN_MAX = 64 * 1024,    /* KiB of the whole machine: what a syncfs() may have to write for others */
};
static const int64_t CROWD_NS = 50000000,             /* so long a crowd may be elsewhere: reading, verifying */
		     GATHER_MAX_NS = 2000000, SLOW_NS = 30000000, REST_NS = INT64_C(5000000000);

struct crowd_member {
	struct draft *draft;
	const char *name;
	const struct call *call;
	int r;
	bool published;
	bool leads, taken;            /* guarded by the crowd's lock until the bell rings */
	struct crowd_member *next;    /* likewise */
	/* Each has a bell of its own: who is woken must not queue for a lock that all others want, too. */
	pthread_mutex_t lock;
	pthread_cond_t bell;
	bool rung;                    /* guarded by lock */
};

/* --- when ------------------------------------------------------------------------------------------------------- */

/* Until 5.8 syncfs() did not tell of data that could not be written, until 5.17 not of a journal that could not. */
static bool kernel_tells(void)
{
	struct utsname u;
	unsigned major, minor;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
		(major > 5 || (major == 5 && minor >= 17));
}

/* Only a journal orders what one sync of many writers leaves behind, and ext4 says whether it has one: the process that
 * writes it, or "<none>" (Documentation/ABI/testing/sysfs-fs-ext4).  In doubt there is none. */
static bool has_journal(dev_t dev)
{
	char link[64], device[PATH_MAX], path[64 + NAME_MAX], text[16];

	snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(dev), minor(dev));
	ssize_t n = readlink(link, device, sizeof device - 1);
	if (n <= 0)
		return false;
	device[n] = '\0';
	const char *slash = strrchr(device, '/');
	snprintf(path, sizeof path, "/sys/fs/ext4/%.*s/journal_task", NAME_MAX, slash != NULL ? slash + 1 : device);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof text) : -1;
	if (fd >= 0)
		close(fd);
	return n > 0 && isdigit((unsigned char)text[0]);
}

/* Only where it was measured, and power cuts were tried. */
static bool system_fits(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == EXT4_SUPER_MAGIC && fstat(fd, &st) == 0 && has_journal(st.st_dev);
}

/* KiB; in doubt too much. */
static unsigned long unwritten(void)
{
	static const char *const lines[] = { "\nDirty:", "\nWriteback:" };
	char text[4096];
	unsigned long sum = 0;
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		const char *line = strstr(text, lines[i]);
		if (line == NULL)
			return UNWRITTEN_MAX + 1;
		sum += strtoul(line + strlen(lines[i]), NULL, 10);
	}
	return sum;
}

void crowd_init(struct crowd *w, int fd)
{
	*w = (struct crowd){ .fd = fd, .sync = syncfs, .unwritten = unwritten, .slow = SLOW_NS, .seen = -CROWD_NS };
	w->end = &w->first;
	w->able = fd >= 0 && kernel_tells() && system_fits(fd);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->full, NULL);
}

void crowd_destroy(struct crowd *w)
{
	pthread_cond_destroy(&w->full);
	pthread_mutex_destroy(&w->lock);
}

bool crowd_enter(struct crowd *w)
{
	unsigned inside = atomic_fetch_add(&w->inside, 1) + 1;

	if (!w->able || w->failed)
		return false;
	int64_t now = call_now();
	if (inside >= CROWD_MIN)
		w->seen = now;
	return now < w->seen + CROWD_NS && now >= w->rests;
}

void crowd_leave(struct crowd *w)
{
	atomic_fetch_sub(&w->inside, 1);
}

/* --- rounds ------------------------------------------------------------------------------------------------------ */

static int round_sync(struct crowd *w)
{
	int64_t began = call_now();

	if (w->sync(w->fd) != 0) {
		w->failed = true;
		return -errno;
	}
	int64_t now = call_now();
	if (now - began > w->slow)
		w->rests = now + REST_NS;
	return 0;
}

/* No member changes anything before all are on the disk. */
static bool round_begin(struct crowd *w)
{
	if (w->failed || call_now() < w->rests)
		return false;
	if (w->unwritten() > UNWRITTEN_MAX) {
		w->rests = call_now() + REST_NS;
		return false;
	}
	return round_sync(w) == 0;
}

static void round_run(struct crowd *w, struct crowd_member *members)
{
	bool begun = round_begin(w), published = false;

	for (struct crowd_member *m = members; m != NULL; m = m->next) {
		m->r = begun ? call_check(m->call, NULL, "") : -EAGAIN;
		if (m->r == 0)
			m->r = draft_publish(m->draft, m->name);
		m->published = m->r == 0;
		published |= m->published;
	}
	int r = published ? round_sync(w) : 0;
	for (struct crowd_member *m = members; m != NULL; m = m->next)
		if (m->published)
			m->r = r;
}

/* With the lock held, which is let go meanwhile. */
static void others_gather(struct crowd *w)
{
	int64_t end = call_now() + (w->took < GATHER_MAX_NS ? w->took : GATHER_MAX_NS);
	struct timespec until = { end / 1000000000, end % 1000000000 };

	w->gathering = true;
	while (w->waiting < w->expected && pthread_cond_clockwait(&w->full, &w->lock, CLOCK_MONOTONIC, &until) == 0)
		;
	w->gathering = false;
	/* Fewer members than there were are not waited for again and again. */
	w->expected = w->waiting >= w->expected ? w->waiting : (w->waiting + w->expected) / 2;
}

static struct crowd_member *members_take(struct crowd *w)
{
	struct crowd_member *members = w->first;

	for (struct crowd_member *m = members; m != NULL; m = m->next)
		m->taken = true;
	w->first = NULL;
	w->end = &w->first;
	w->waiting = 0;
	return members;
}

/* --- members ------------------------------------------------------------------------------------------------------ */

static void member_wake(struct crowd_member *m)
{
	pthread_mutex_lock(&m->lock);
	m->rung = true;
	pthread_cond_signal(&m->bell);        /* not later: once it can leave, the bell is gone */
	pthread_mutex_unlock(&m->lock);
}

/* false: the deadline, if it is heeded, came first. */
static bool bell_wait(struct crowd_member *m, bool heeded)
{
	struct timespec until = { m->call->deadline / 1000000000, m->call->deadline % 1000000000 };
	int r = 0;

	pthread_mutex_lock(&m->lock);
	while (!m->rung && r == 0)
		r = heeded ? pthread_cond_clockwait(&m->bell, &m->lock, CLOCK_MONOTONIC, &until) :
			pthread_cond_wait(&m->bell, &m->lock);
	bool rung = m->rung;
	pthread_mutex_unlock(&m->lock);
	return rung;
}

/* A member that was woken is gone, and so is its memory. */
static void members_wake(struct crowd_member *members, const struct crowd_member *self)
{
	while (members != NULL) {
		struct crowd_member *m = members;
		members = m->next;
		if (m != self)
			member_wake(m);
	}
}

/* With the lock held, and given back.  The leader is the first of the queue. */
static void lead(struct crowd *w, struct crowd_member *self)
{
	others_gather(w);
	struct crowd_member *members = members_take(w);
	pthread_mutex_unlock(&w->lock);
	int64_t began = call_now();
	round_run(w, members);
	pthread_mutex_lock(&w->lock);
	w->took = call_now() - began;
	w->led = w->first != NULL;
	if (w->led) {
		w->first->leads = true;
		member_wake(w->first);
	}
	pthread_mutex_unlock(&w->lock);
	members_wake(members, self);
}

/* Leave the queue; false: too late, its round has begun, or it has to lead one. */
static bool member_left(struct crowd *w, struct crowd_member *self)
{
	struct crowd_member **m = &w->first;
	bool may;

	pthread_mutex_lock(&w->lock);
	may = !self->taken && !self->leads;
	while (may && *m != self)
		m = &(*m)->next;
	if (may) {
		*m = self->next;
		if (*m == NULL)
			w->end = m;
		w->waiting--;
	}
	pthread_mutex_unlock(&w->lock);
	return may;
}

/* true: with the lock held, as the one to lead. */
static bool member_join(struct crowd *w, struct crowd_member *self)
{
	pthread_mutex_lock(&w->lock);
	*w->end = self;
	w->end = &self->next;
	if (++w->waiting >= w->expected && w->gathering)
		pthread_cond_signal(&w->full);
	if (!w->led)
		return w->led = self->leads = true;
	pthread_mutex_unlock(&w->lock);
	/* Once its round has begun a member stays, as it would in an fsync() of its own. */
	if (!bell_wait(self, true) && !member_left(w, self))
		bell_wait(self, false);
	if (self->leads)
		pthread_mutex_lock(&w->lock);
	return self->leads;
}

int crowd_publish(struct crowd *w, struct draft *d, const char *name, const struct call *c, bool *ret_published)
{
	struct crowd_member self = {
		.draft = d, .name = name, .call = c, .r = -ETIMEDOUT,
		.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER,
	};

	if (member_join(w, &self))
		lead(w, &self);
	pthread_cond_destroy(&self.bell);
	pthread_mutex_destroy(&self.lock);
	*ret_published = self.published;
	return self.r;
}
