/* SPDX-License-Identifier: Apache-2.0
 *
 * The older value format (keystores.md 4.2).  A reader of its own: it takes the members where they stand and builds
 * nothing, so no copy of a key is ever outside struct secret.  Go's rules: names without regard to case, of a member
 * that comes twice the last counts, null leaves a text as it was and empties bytes. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "backends/key_forms.h"

enum { DEPTH_MAX = 64, SECONDS_A_DAY = 86400 };

struct reader {
	const unsigned char *p, *end;
	bool no_memory;
};

static void space_skip(struct reader *r)
{
	while (r->p < r->end && memchr(" \t\r\n", *r->p, 4) != NULL)
		r->p++;
}

static bool char_take(struct reader *r, char c)
{
	space_skip(r);
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool word_take(struct reader *r, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return false;
	r->p += n;
	return true;
}

static bool put(struct reader *r, struct secret *out, const void *bytes, size_t len)
{
	if (out == NULL)
		return true;
	int code = secret_append(out, bytes, len);
	if (code != 0)
		r->no_memory = true;
	return code == 0;
}

/* The four digits of \uXXXX.  Characters beyond ASCII appear in no member that matters, so one stands for all. */
static bool unicode_read(struct reader *r, struct secret *out)
{
	unsigned c = 0;

	for (int i = 0; i < 4; i++, r->p++) {
		if (r->p == r->end)
			return false;
		if (*r->p >= '0' && *r->p <= '9')
			c = c * 16 + (unsigned)(*r->p - '0');
		else if ((*r->p | 0x20) >= 'a' && (*r->p | 0x20) <= 'f')
			c = c * 16 + (unsigned)((*r->p | 0x20) - 'a' + 10);
		else
			return false;
	}
	unsigned char byte = c < 0x80 ? (unsigned char)c : 0xff;
	return put(r, out, &byte, 1);
}

static bool escape_read(struct reader *r, struct secret *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (r->p == r->end)
		return false;
	unsigned char c = *r->p++;
	if (c == 'u')
		return unicode_read(r, out);
	at = c != '\0' ? strchr(from, c) : NULL;
	return at != NULL && put(r, out, &to[at - from], 1);
}

/* A string, unescaped into *out, which is emptied before; out may be NULL. */
static bool string_read(struct reader *r, struct secret *out)
{
	if (out != NULL)
		secret_wipe(out);
	if (!char_take(r, '"'))
		return false;
	while (r->p < r->end) {
		unsigned char c = *r->p++;
		if (c == '"')
			return true;
		if (c < 0x20)
			return false;
		if (c == '\\' ? !escape_read(r, out) : !put(r, out, &c, 1))
			return false;
	}
	return false;
}

static bool digits_take(struct reader *r)
{
	const unsigned char *from = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > from;
}

static bool number_skip(struct reader *r)
{
	word_take(r, "-");
	if (!word_take(r, "0") && !digits_take(r))
		return false;
	if (word_take(r, ".") && !digits_take(r))
		return false;
	if (!word_take(r, "e") && !word_take(r, "E"))
		return true;
	if (!word_take(r, "+"))
		word_take(r, "-");
	return digits_take(r);
}

static bool value_skip(struct reader *r, int depth);

static bool array_skip(struct reader *r, int depth)
{
	if (char_take(r, ']'))
		return true;
	do
		if (!value_skip(r, depth))
			return false;
	while (char_take(r, ','));
	return char_take(r, ']');
}

static bool object_skip(struct reader *r, int depth)
{
	if (char_take(r, '}'))
		return true;
	do
		if (!string_read(r, NULL) || !char_take(r, ':') || !value_skip(r, depth))
			return false;
	while (char_take(r, ','));
	return char_take(r, '}');
}

static bool value_skip(struct reader *r, int depth)
{
	space_skip(r);
	if (r->p == r->end || depth == DEPTH_MAX)
		return false;
	switch (*r->p) {
	case '"':
		return string_read(r, NULL);
	case '[':
		return char_take(r, '[') && array_skip(r, depth + 1);
	case '{':
		return char_take(r, '{') && object_skip(r, depth + 1);
	default:
		return word_take(r, "null") || word_take(r, "true") || word_take(r, "false") || number_skip(r);
	}
}

/* Some digits at *p. */
static bool number_at(const char **p, int least, int most, int low, int high, int *ret)
{
	int n = 0;

	for (*ret = 0; n < most && **p >= '0' && **p <= '9'; n++)
		*ret = *ret * 10 + (*(*p)++ - '0');
	return n >= least && *ret >= low && *ret <= high;
}

static bool two_at(const char **p, int low, int high, int *ret)
{
	return number_at(p, 2, 2, low, high, ret);
}

static int month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01. */
static int64_t days_since(int year, int month, int day)
{
	/* 400 years more, so that no division is of a negative number. */
	int64_t y = year + 399, days = y * 365 + y / 4 - y / 100 + y / 400 - 146097;

	for (int m = 1; m < month; m++)
		days += month_days(year, m);
	return days + day - 1 - 719162;
}

static bool fraction_read(const char **p, int32_t *ret)
{
	int32_t unit = 100000000;

	*ret = 0;
	if (**p != '.' && **p != ',')
		return true;
	(*p)++;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		*ret += (**p - '0') * unit;
	return true;
}

static bool zone_read(const char **p, int *ret_seconds)
{
	int sign = **p == '-' ? -1 : 1, hours, minutes;

	*ret_seconds = 0;
	if (**p == 'Z')
		return *++*p == '\0';
	if (**p != '+' && **p != '-')
		return false;
	++*p;
	if (!two_at(p, 0, 24, &hours) || *(*p)++ != ':' || !two_at(p, 0, 60, &minutes))
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return **p == '\0';
}

/* RFC 3339, with what Go lets pass beyond it: an hour of one digit, a comma, an offset of 24 hours or 60 minutes. */
static bool time_read(const char *p, struct key_info *info)
{
	int year, month, day, hour, minute, second, zone;

	if (!number_at(&p, 4, 4, 0, 9999, &year) || *p++ != '-' || !two_at(&p, 1, 12, &month) || *p++ != '-' ||
	    !two_at(&p, 1, 31, &day) || day > month_days(year, month) || *p++ != 'T')
		return false;
	if (!number_at(&p, 1, 2, 0, 23, &hour) || *p++ != ':' || !two_at(&p, 0, 59, &minute) || *p++ != ':' ||
	    !two_at(&p, 0, 59, &second) || !fraction_read(&p, &info->created_nanos) || !zone_read(&p, &zone))
		return false;
	info->created = days_since(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second - zone;
	info->has_created = info->created != KEY_TIME_ZERO;
	return true;
}

/* NULL: unknown.  Judged at the end, since a later member may change it. */
static const char *algorithm_of(const struct secret *text)
{
	static const struct {
		const char *name, *means;
	} known[] = {
		{ "", "AES256" }, { "AES256", "AES256" }, { "AES256-GCM_SHA256", "AES256" },
		{ "ChaCha20", "ChaCha20" }, { "XCHACHA20-POLY1305", "ChaCha20" },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (text->len == strlen(known[i].name) && memcmp(text->bytes, known[i].name, text->len) == 0)
			return known[i].means;
	return NULL;
}

struct form {
	struct secret key;                    /* of member "bytes", decoded */
	struct secret name, text;
};

static int member_take(struct form *f, struct key_info *info, struct error *why)
{
	const char *name = secret_text(&f->name), *text = secret_text(&f->text);

	if (name == NULL || text == NULL)
		return error_set(why, ENOMEM, "no locked memory to check it");
	if (strcasecmp(name, "bytes") == 0) {
		secret_wipe(&f->key);
		return key_base64((const unsigned char *)text, f->text.len, &f->key, why);
	}
	if (strcasecmp(name, "algorithm") == 0)
		info->algorithm = algorithm_of(&f->text);
	else if (strcasecmp(name, "created_by") == 0)
		key_created_by(info, (const unsigned char *)text, f->text.len);
	else if (strlen(text) != f->text.len || !time_read(text, info))
		return error_set(why, EBADMSG, "its time of creation is not RFC 3339");
	return 0;
}

static bool name_known(struct form *f)
{
	static const char *const names[] = { "bytes", "algorithm", "created_at", "created_by" };
	const char *name = secret_text(&f->name);

	for (size_t i = 0; name != NULL && i < sizeof names / sizeof *names; i++)
		if (strcasecmp(name, names[i]) == 0 && f->name.len == strlen(names[i]))
			return true;
	return false;
}

static int malformed(struct reader *r, struct error *why)
{
	if (r->no_memory)
		return error_set(why, ENOMEM, "no locked memory to check it");
	if (r->p == r->end)
		return error_set(why, EBADMSG, "its JSON is cut short");
	return error_set(why, EBADMSG, "it is not valid JSON");
}

/* One member.  A wrong one is remembered in *first: the whole must be JSON before anything else is said of it. */
static int member_read(struct reader *r, struct form *f, struct key_info *info, bool *ret_similar,
                       struct error *first, struct error *why)
{
	struct error e = ERROR_INIT;

	if (!string_read(r, &f->name) || !char_take(r, ':'))
		return malformed(r, why);
	space_skip(r);
	if (!name_known(f))
		return value_skip(r, 1) ? 0 : malformed(r, why);
	bool bytes = strcasecmp(secret_text(&f->name), "bytes") == 0;
	*ret_similar |= bytes;
	if (word_take(r, "null")) {
		if (bytes)
			secret_wipe(&f->key);
		return 0;
	}
	if (r->p < r->end && *r->p != '"') {
		if (!value_skip(r, 1))
			return malformed(r, why);
		error_set(&e, EBADMSG, "its member '%s' is not a string", secret_text(&f->name));
	} else if (!string_read(r, &f->text)) {
		return malformed(r, why);
	} else {
		member_take(f, info, &e);
	}
	if (first->code == 0)
		*first = e;
	return 0;
}

static int form_read(struct reader *r, struct form *f, struct key_info *info, bool *ret_similar, struct error *why)
{
	struct error first = ERROR_INIT;

	char_take(r, '{');
	if (!char_take(r, '}')) {
		do {
			int code = member_read(r, f, info, ret_similar, &first, why);
			if (code != 0)
				return code;
		} while (char_take(r, ','));
		if (!char_take(r, '}'))
			return malformed(r, why);
	}
	space_skip(r);
	if (r->p != r->end)
		return error_set(why, EBADMSG, "something follows its JSON");
	if (first.code != 0)
		return error_set(why, first.code, "%s", first.text);
	if (!*ret_similar)
		return error_set(why, EBADMSG, "it is JSON without a member 'bytes'");
	if (info->algorithm == NULL)
		return error_set(why, EBADMSG, "its algorithm is unknown (AES256 and ChaCha20 are known)");
	if (f->key.len != KEY_BYTES)
		return error_set(why, EBADMSG, "the encryption key has %zu bytes instead of %d", f->key.len, KEY_BYTES);
	return 0;
}

int key_json(const unsigned char *text, size_t len, struct key_info *ret, bool *ret_similar, struct error *why)
{
	static const char begin[] = "{\"bytes\"";
	size_t n = len < sizeof begin - 1 ? len : sizeof begin - 1;
	struct reader r = { text, text + len, false };
	struct form f = { SECRET_INIT, SECRET_INIT, SECRET_INIT };

	*ret_similar = false;
	ret->algorithm = "AES256";
	int code = form_read(&r, &f, ret, ret_similar, why);
	if (memcmp(text, begin, n) == 0)
		*ret_similar = true;
	secret_wipe(&f.key);
	secret_wipe(&f.name);
	secret_wipe(&f.text);
	return code;
}
