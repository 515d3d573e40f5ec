/* SPDX-License-Identifier: Apache-2.0
 *
 * Callers queue a try and sleep; this thread starts it when the limiter allows, and drives all of them with epoll
 * and curl_multi_socket_action(), whose cost does not grow with the number in flight as curl_multi_poll()'s does. */
#include "backends/http_io.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/http_heard.h"
#include "backends/limit.h"
#include "backends/pace.h"

#define MS INT64_C(1000000)
#define IDLE_NS (2000 * MS)           /* HTTP/2 header tables keep tokens, and connections need not be kept for ever */
#define ATTEND_NS (250 * MS)          /* how often running tries are looked at for silence */
#define NEVER INT64_MAX

enum {
	EVENTS = 256,
	SINK_PENDING_MAX = 1024 * 1024,
	STACK_SIZE = 256 * 1024,
	STACK_WIPED = 64 * 1024,
};

struct http_io {
	pthread_mutex_t lock;
	/* Guarded by lock. */
	struct http_try *first, **last;       /* waiting, in order */
	int64_t prune_at;                     /* the first deadline among them */
	struct limit limit;
	struct pace paces[HTTP_PACES];        /* of the classes that requests name; not known: never paced */
	uint64_t pace_throttled;
	struct backend_counts counts;
	int64_t held_since;                   /* somebody waits because of throttling since then; 0: nobody does */
	int64_t latency;
	uint64_t connections;
	bool started, stop;
	pthread_t thread;
	int wake_fd;                          /* never changes */
	atomic_bool asleep;                   /* the thread has seen all of the queue, and is to be woken for more */
	atomic_bool look;                     /* a try has a flag set */
	/* The thread's own. */
	int epoll_fd;
	CURLM *multi;
	CURL **spare;
	size_t spare_count, spare_max;
	struct http_try *running;
	size_t running_count;
	struct http_try *over, *told;         /* ended, not counted yet; counted, callers still asleep */
	int64_t timer_at, queue_at, attend_at, idle_since;
	struct http_heard heard;
};

struct http_io *http_io_new(const struct http_options *o)
{
	struct http_io *io = calloc(1, sizeof *io);

	if (io == NULL)
		return NULL;
	limit_init(&io->limit, o->in_flight, o->per_second);
	if (o->start != 0)
		io->limit.window = o->start < io->limit.max ? o->start : io->limit.max;
	for (size_t i = 0; i < o->pace_count && i < HTTP_PACES; i++)
		pace_init(&io->paces[i], o->paces[i], o->paced_at_once);
	pthread_mutex_init(&io->lock, NULL);
	io->last = &io->first;
	io->latency = -1;
	io->timer_at = io->queue_at = io->prune_at = NEVER;
	io->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	io->spare_max = io->limit.max;
	io->spare = calloc(io->spare_max, sizeof(CURL *));
	/* Edge-triggered, so that nobody has to read it. */
	struct epoll_event e = { .events = EPOLLIN | EPOLLET, .data.fd = io->wake_fd };
	if (io->spare == NULL || io->wake_fd < 0 || io->epoll_fd < 0 ||
	    epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, io->wake_fd, &e) != 0) {
		http_io_free(io);
		return NULL;
	}
	return io;
}

static void io_wake(struct http_io *io)
{
	uint64_t one = 1;

	while (write(io->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;                             /* EAGAIN: it is awake already */
}

void http_io_free(struct http_io *io)
{
	if (io == NULL)
		return;
	pthread_mutex_lock(&io->lock);
	io->stop = true;
	bool started = io->started;
	pthread_mutex_unlock(&io->lock);
	if (started) {
		io_wake(io);
		pthread_join(io->thread, NULL);
	}
	if (io->wake_fd >= 0)
		close(io->wake_fd);
	if (io->epoll_fd >= 0)
		close(io->epoll_fd);
	pthread_mutex_destroy(&io->lock);
	http_heard_free(&io->heard);
	free(io->spare);
	free(io);
}

/* ---- the callers' side ---- */

static void *io_main(void *arg);

static int io_start(struct http_io *io, struct error *err)
{
	pthread_attr_t attr;
	sigset_t all, old;

	if (io->started)
		return 0;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&io->thread, &attr, io_main, io);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return error_set(err, r == EAGAIN ? ENOMEM : r, "no thread for the network: %s", strerror(r));
	io->started = true;
	return 0;
}

/* Give the sink what has come; runs with the lock held, and lets go of it meanwhile. */
static int sink_feed(struct http_io *io, struct http_try *t, int r, struct error *err)
{
	const struct http_sink *sink = t->req->sink;
	struct http_chunk *all = t->first;

	t->first = NULL;
	t->last = &t->first;
	t->pending = 0;
	if (t->paused) {
		t->paused = false;
		atomic_store(&t->resume, true);
		atomic_store(&io->look, true);
		io_wake(io);
	}
	pthread_mutex_unlock(&io->lock);
	for (struct http_chunk *c = all; c != NULL && r == 0; c = c->next)
		r = sink->bytes(sink->arg, c->bytes, c->len, err);
	http_chunks_free(all);
	if (r != 0 && !atomic_exchange(&t->enough, true)) {
		atomic_store(&io->look, true);
		io_wake(io);
	}
	pthread_mutex_lock(&io->lock);
	return r;
}

/* May run on any thread, under the lock of struct cancel. */
static void try_cancel(void *arg)
{
	struct http_try *t = arg;

	atomic_store(&t->cancelled, true);
	atomic_store(&t->io->look, true);
	io_wake(t->io);
}

static void news_wait(struct http_try *t)
{
	while (sem_wait(&t->news) != 0)
		;                             /* EINTR */
}

/* All that comes, as it comes, until it is over. */
static int sink_wait(struct http_io *io, struct http_try *t, struct error *err)
{
	int fed = 0;

	for (bool done = false; !done;) {
		news_wait(t);
		pthread_mutex_lock(&io->lock);
		while (t->first != NULL)
			fed = sink_feed(io, t, fed, err);
		done = t->done;
		pthread_mutex_unlock(&io->lock);
	}
	return fed < 0 ? fed : 0;
}

static int try_queue(struct http_io *io, struct http_try *t, struct error *err)
{
	pthread_mutex_lock(&io->lock);
	int r = io_start(io, err);
	if (r == 0) {
		*io->last = t;
		io->last = &t->next;
		if (t->deadline < io->prune_at)
			io->prune_at = t->deadline;
	}
	pthread_mutex_unlock(&io->lock);
	if (r == 0 && atomic_exchange(&io->asleep, false))
		io_wake(io);
	return r;
}

int http_io_run(struct http_io *io, struct http_try *t, struct cancel *cancel, struct error *err)
{
	t->io = io;
	t->last = &t->first;
	sem_init(&t->news, 0, 0);
	cancel_wake(cancel, try_cancel, t);
	int r = try_queue(io, t, err);
	if (r == 0 && t->req->sink != NULL)
		r = sink_wait(io, t, err);
	else if (r == 0)
		news_wait(t);
	cancel_wake(cancel, NULL, NULL);
	sem_destroy(&t->news);
	return r;
}

bool http_io_chunk(struct http_io *io, struct http_try *t, struct http_chunk *c)
{
	pthread_mutex_lock(&io->lock);
	bool room = t->pending < SINK_PENDING_MAX;
	if (room) {
		*t->last = c;
		t->last = &c->next;
		t->pending += c->len;
		sem_post(&t->news);
	} else {
		t->paused = true;
	}
	pthread_mutex_unlock(&io->lock);
	return room;
}

/* The pace that the request keeps, or NULL. */
static struct pace *pace_of(struct http_io *io, const struct http_try *t)
{
	return t->req->pace != 0 ? &io->paces[t->req->pace - 1] : NULL;
}

void http_io_good(struct http_io *io, const struct http_try *t)
{
	pthread_mutex_lock(&io->lock);
	struct pace *pace = pace_of(io, t);
	limit_good(&io->limit, t->mark, t->answered);
	if (pace != NULL)
		pace_good(pace, call_now());
	pthread_mutex_unlock(&io->lock);
}

void http_io_throttled(struct http_io *io, const struct http_try *t)
{
	pthread_mutex_lock(&io->lock);
	struct pace *pace = pace_of(io, t);
	if (pace != NULL) {
		pace_throttled(pace, t->begun, call_now(), t->retry_after, retry_random());
		io->pace_throttled++;
	} else {
		limit_throttled(&io->limit, t->begun, call_now(), t->retry_after, retry_random());
	}
	pthread_mutex_unlock(&io->lock);
}

void http_io_repeated(struct http_io *io)
{
	pthread_mutex_lock(&io->lock);
	io->counts.retries++;
	pthread_mutex_unlock(&io->lock);
}

void http_io_state(struct http_io *io, struct http_state *ret)
{
	int64_t now = call_now();

	pthread_mutex_lock(&io->lock);
	*ret = (struct http_state){
		.in_flight = io->limit.in_flight,
		.window = (unsigned)io->limit.window,
		.latency_ns = io->latency,
		.paused_ns = io->limit.paused_until > now ? io->limit.paused_until - now : 0,
		.connections = io->connections,
	};
	pthread_mutex_unlock(&io->lock);
}

void http_io_counts(struct http_io *io, struct backend_counts *ret)
{
	pthread_mutex_lock(&io->lock);
	*ret = io->counts;
	ret->throttled = io->limit.throttled + io->pace_throttled;
	ret->window = (unsigned)io->limit.window;
	if (io->held_since != 0)
		ret->throttled_ns += call_now() - io->held_since;
	pthread_mutex_unlock(&io->lock);
}

/* ---- the thread's side ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
	struct http_io *io = arg;
	struct epoll_event e = { .data.fd = fd };

	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(io->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	e.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(io->epoll_fd, EPOLL_CTL_MOD, fd, &e) == 0 || errno != ENOENT)
		return 0;
	return epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_io *io = arg;

	io->timer_at = timeout_ms < 0 ? NEVER : call_now() + timeout_ms * MS;
	return 0;
}

static bool multi_open(struct http_io *io)
{
	if (io->multi != NULL)
		return true;
	io->multi = curl_multi_init();
	if (io->multi == NULL)
		return false;
	curl_multi_setopt(io->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(io->multi, CURLMOPT_SOCKETDATA, io);
	curl_multi_setopt(io->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(io->multi, CURLMOPT_TIMERDATA, io);
	/* Fewer than there are in flight would close nearly every connection after its first request. */
	curl_multi_setopt(io->multi, CURLMOPT_MAXCONNECTS, (long)io->limit.max + 16);
	/* Beyond the default of 100 streams each further request would open a connection of its own. */
	curl_multi_setopt(io->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)io->limit.max);
	return true;
}

static void multi_close(struct http_io *io)
{
	while (io->spare_count > 0)
		curl_easy_cleanup(io->spare[--io->spare_count]);
	curl_multi_cleanup(io->multi);
	io->multi = NULL;
	io->timer_at = NEVER;
}

static void try_link(struct http_io *io, struct http_try *t)
{
	t->prev = NULL;
	t->next = io->running;
	if (t->next != NULL)
		t->next->prev = t;
	io->running = t;
	io->running_count++;
	if (t->deadline < io->attend_at)
		io->attend_at = t->deadline;
}

static void try_unlink(struct http_io *io, struct http_try *t)
{
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		io->running = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	io->running_count--;
}

/* Count what has ended, with the lock held. */
static void over_count(struct http_io *io)
{
	while (io->over != NULL) {
		struct http_try *t = io->over;

		io->over = t->next;
		if (t->admitted) {
			limit_done(&io->limit);
			io->counts.requests += t->sent;
			io->connections += (uint64_t)t->connects;
			if (http_try_answered(t))
				io->latency = t->took;
		}
		if (t->req->sink != NULL) {
			/* Its caller looks under the lock, so that this is the last touch. */
			t->done = true;
			sem_post(&t->news);
		} else {
			t->next = io->told;
			io->told = t;
		}
	}
}

/* Wake the callers, all of them at once and without the lock: each that ran in between would only wait for it. */
static void told_wake(struct http_io *io)
{
	while (io->told != NULL) {
		struct http_try *t = io->told;

		io->told = t->next;           /* with the last touch it may be gone */
		sem_post(&t->news);
	}
}

static void try_over(struct http_io *io, struct http_try *t)
{
	t->next = io->over;
	io->over = t;
}

/* Over, one way or another: take the handle away and keep it for the next. */
static void try_end(struct http_io *io, struct http_try *t, CURLcode result)
{
	http_try_collect(t, result);
	curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &t->connects);
	curl_multi_remove_handle(io->multi, t->easy);
	if (io->spare_count < io->spare_max) {
		curl_easy_reset(t->easy);
		io->spare[io->spare_count++] = t->easy;
	} else {
		curl_easy_cleanup(t->easy);
	}
	t->easy = NULL;
	try_unlink(io, t);
	try_over(io, t);
}

static bool try_start(struct http_io *io, struct http_try *t)
{
	if (!multi_open(io))
		return false;
	CURL *easy = io->spare_count > 0 ? io->spare[--io->spare_count] : curl_easy_init();
	if (easy == NULL)
		return false;
	if (!http_try_setup(t, easy) || curl_multi_add_handle(io->multi, easy) != CURLM_OK) {
		t->easy = NULL;
		curl_easy_cleanup(easy);
		return false;
	}
	try_link(io, t);
	return true;
}

/* Take those out of the queue whose callers do not want them any more; the lock is held. */
static void queue_prune(struct http_io *io, int64_t now)
{
	io->prune_at = NEVER;
	for (struct http_try **p = &io->first; *p != NULL;) {
		struct http_try *t = *p;
		bool cancelled = atomic_load(&t->cancelled);

		if (!cancelled && now < t->deadline) {
			if (t->deadline < io->prune_at)
				io->prune_at = t->deadline;
			p = &t->next;
			continue;
		}
		*p = t->next;
		if (*p == NULL)
			io->last = p;
		t->end = cancelled ? HTTP_END_CANCELLED : HTTP_END_DEADLINE;
		try_over(io, t);
	}
}

/* 0: the try may start, and is counted.  Else when to ask again; *ret_all: the same holds for all behind it. */
static int64_t try_admit(struct http_io *io, struct http_try *t, int64_t now, bool *ret_all)
{
	struct pace *pace = pace_of(io, t);
	int64_t when = pace != NULL ? pace_when(pace, now) : 0;

	*ret_all = false;
	if (when != 0) {
		t->held = true;
		return when;
	}
	when = limit_admit(&io->limit, now);
	*ret_all = when != 0;
	if (when != 0)
		t->held = limit_held(&io->limit, now);
	else if (pace != NULL)
		pace_begin(pace, now);
	return when;
}

/* For how long throttling keeps callers waiting, on the wall clock: the stretches in which any of them is held. */
static void held_note(struct http_io *io, bool held, int64_t now)
{
	if (held && io->held_since == 0)
		io->held_since = now;
	if (held || io->held_since == 0)
		return;
	io->counts.throttled_ns += now - io->held_since;
	io->held_since = 0;
}

/* Take those out of the queue, in order, that limiter and paces allow; the lock is held. */
static struct http_try *queue_take(struct http_io *io, int64_t now)
{
	struct http_try *taken = NULL, **end = &taken;
	bool all = false, held = false;

	io->queue_at = io->prune_at;
	for (struct http_try **p = &io->first; *p != NULL && !all;) {
		struct http_try *t = *p;
		int64_t when = try_admit(io, t, now, &all);

		if (when != 0) {
			held = held || t->held;
			if (when < io->queue_at)
				io->queue_at = when;
			p = &t->next;
			continue;
		}
		*p = t->next;
		if (*p == NULL)
			io->last = p;
		t->admitted = true;
		t->mark = limit_mark(&io->limit);
		t->next = NULL;
		*end = t;
		end = &t->next;
	}
	held_note(io, held, now);
	return taken;
}

/* Count what is over, start what may start, wake who waited.  false: the engine is to stop. */
static bool queue_admit(struct http_io *io, bool look)
{
	int64_t now = call_now();

	pthread_mutex_lock(&io->lock);
	if (look || now >= io->prune_at)
		queue_prune(io, now);
	over_count(io);
	if (io->first == NULL)
		io->prune_at = NEVER;
	struct http_try *taken = queue_take(io, now);
	bool stop = io->stop;
	atomic_store(&io->asleep, true);
	pthread_mutex_unlock(&io->lock);
	while (taken != NULL) {
		struct http_try *t = taken;

		taken = t->next;
		if (!try_start(io, t)) {
			t->end = HTTP_END_NO_MEMORY;
			try_over(io, t);
		}
	}
	told_wake(io);
	return !stop;
}

/* One running try: is it still wanted, is the peer alive, can it go on?  false: it is over. */
static bool try_attend(struct http_io *io, struct http_try *t, int64_t now)
{
	bool settles = t->req->change && t->sent;     /* a change that was sent is never given up early */

	if (atomic_exchange(&t->resume, false)) {
		t->heard = now;
		curl_easy_pause(t->easy, CURLPAUSE_CONT);
	}
	pthread_mutex_lock(&io->lock);
	bool paused = t->paused;
	pthread_mutex_unlock(&io->lock);
	if (atomic_load(&t->enough)) {
		t->end = HTTP_END_ENOUGH;
		try_end(io, t, CURLE_WRITE_ERROR);
	} else if (atomic_load(&t->cancelled) && !settles) {
		t->end = HTTP_END_CANCELLED;
		try_end(io, t, CURLE_ABORTED_BY_CALLBACK);
	} else if (now >= t->deadline) {
		t->end = HTTP_END_DEADLINE;
		try_end(io, t, CURLE_OPERATION_TIMEDOUT);
	} else if (t->sent && !paused && now - t->heard >= t->patience) {
		http_heard_cut(&io->heard, t->local_port, now - t->patience);
		t->end = HTTP_END_SILENT;
		try_end(io, t, CURLE_OPERATION_TIMEDOUT);
	} else {
		return true;
	}
	return false;
}

static void running_attend(struct http_io *io, bool look)
{
	int64_t now = call_now();

	if (!look && now < io->attend_at)
		return;
	io->attend_at = now + ATTEND_NS;
	for (struct http_try *t = io->running, *next; t != NULL; t = next) {
		next = t->next;
		if (try_attend(io, t, now) && t->deadline < io->attend_at)
			io->attend_at = t->deadline;
	}
}

/* Close everything that remembers, and what the stack below remembers too. */
static __attribute__((noinline)) void io_forget(struct http_io *io)
{
	char stack[STACK_WIPED];

	multi_close(io);
	OPENSSL_cleanse(stack, sizeof stack);
}

/* How long nothing can happen; -1: until woken. */
static int io_timeout(struct http_io *io)
{
	int64_t now = call_now(), at = io->timer_at < io->queue_at ? io->timer_at : io->queue_at;

	if (io->over != NULL)
		return 0;
	if (io->running_count > 0) {
		io->idle_since = now;
		if (io->attend_at < at)
			at = io->attend_at;
	} else if (io->multi != NULL) {
		if (now >= io->idle_since + IDLE_NS)
			io_forget(io);
		else if (io->idle_since + IDLE_NS < at)
			at = io->idle_since + IDLE_NS;
	}
	if (io->multi == NULL && io->queue_at == NEVER)
		return -1;
	if (at == NEVER)
		return -1;
	int64_t ms = at <= now ? 0 : (at - now + MS - 1) / MS;
	return ms < 60000 ? (int)ms : 60000;
}

static void io_wait(struct http_io *io)
{
	struct epoll_event events[EVENTS];
	int left, n = epoll_wait(io->epoll_fd, events, EVENTS, io_timeout(io));
	int64_t now = call_now();

	atomic_store(&io->asleep, false);
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd != io->wake_fd && io->multi != NULL) {
			unsigned e = events[i].events;
			if (e & EPOLLIN)
				http_heard_note(&io->heard, fd, now);
			curl_multi_socket_action(io->multi, fd, (e & EPOLLIN ? CURL_CSELECT_IN : 0) |
			                         (e & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			                         (e & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0), &left);
		}
	}
	if (io->multi != NULL && now >= io->timer_at) {
		io->timer_at = NEVER;
		curl_multi_socket_action(io->multi, CURL_SOCKET_TIMEOUT, 0, &left);
	}
}

static void running_reap(struct http_io *io)
{
	CURLMsg *msg;
	int left;

	while (io->multi != NULL && (msg = curl_multi_info_read(io->multi, &left)) != NULL) {
		struct http_try *t = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		try_end(io, t, msg->data.result);
	}
}

static void *io_main(void *arg)
{
	struct http_io *io = arg;

	io->idle_since = call_now();
	for (;;) {
		bool look = atomic_exchange(&io->look, false);

		if (!queue_admit(io, look))
			break;
		running_attend(io, look);
		io_wait(io);
		running_reap(io);
	}
	if (io->multi != NULL)
		io_forget(io);
	return NULL;
}
