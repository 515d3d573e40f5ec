/* SPDX-License-Identifier: Apache-2.0
 *
 * KeyVersion (keystores.md 4.1), read as a protobuf decoder does: fields in any order, unknown ones skipped, of a
 * repeated one the last counts.  A field 1 or 2 that is missing makes a KES server panic, so it is refused. */
#include <errno.h>

#include "backends/key_forms.h"
#include "backends/utf8.h"

enum wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_FIXED32 };
enum { FIELD_MAX = (1 << 29) - 1, GROUPS_MAX = 64 };

struct cursor {
	const unsigned char *p, *end;
};

struct field {
	uint64_t number, value;               /* value: of a varint */
	enum wire wire;
	struct cursor bytes;
};

/* Only lengths and small numbers of the message, no byte of a key. */
struct part {
	bool there;
	size_t key_length;
	uint32_t kind;                        /* cipher or hash */
};

static bool varint_read(struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && c->p < c->end; shift += 7) {
		unsigned char b = *c->p++;
		if (shift == 63 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool skip(struct cursor *c, uint64_t n)
{
	if (n > (uint64_t)(c->end - c->p))
		return false;
	c->p += n;
	return true;
}

static bool tag_read(struct cursor *c, struct field *ret)
{
	uint64_t tag;

	if (!varint_read(c, &tag))
		return false;
	ret->number = tag >> 3;
	ret->wire = (enum wire)(tag & 7);
	return ret->number >= 1 && ret->number <= FIELD_MAX;
}

/* The content of a field whose tag was read, other than a group. */
static bool content_read(struct cursor *c, struct field *ret)
{
	switch (ret->wire) {
	case WIRE_VARINT:
		return varint_read(c, &ret->value);
	case WIRE_FIXED64:
		return skip(c, 8);
	case WIRE_FIXED32:
		return skip(c, 4);
	case WIRE_BYTES:
		if (!varint_read(c, &ret->value))
			return false;
		ret->bytes.p = c->p;
		if (!skip(c, ret->value))
			return false;
		ret->bytes.end = c->p;
		return true;
	default:
		return false;
	}
}

/* Groups are long out of use, but a decoder that meets one as an unknown field skips it. */
static bool group_skip(struct cursor *c, uint64_t number)
{
	uint64_t open[GROUPS_MAX] = { number };
	size_t depth = 1;
	struct field f;

	while (depth > 0) {
		if (!tag_read(c, &f))
			return false;
		if (f.wire == WIRE_GROUP_END) {
			if (f.number != open[--depth])
				return false;
		} else if (f.wire == WIRE_GROUP) {
			if (depth == GROUPS_MAX)
				return false;
			open[depth++] = f.number;
		} else if (!content_read(c, &f)) {
			return false;
		}
	}
	return true;
}

static bool field_read(struct cursor *c, struct field *ret)
{
	if (!tag_read(c, ret))
		return false;
	return ret->wire == WIRE_GROUP ? group_skip(c, ret->number) : content_read(c, ret);
}

/* SecretKey and HMACKey have the same shape.  A second one is merged into the first. */
static bool part_read(struct cursor c, struct part *part)
{
	struct field f;

	part->there = true;
	while (c.p < c.end) {
		if (!field_read(&c, &f))
			return false;
		if (f.number == 1 && f.wire == WIRE_BYTES)
			part->key_length = (size_t)(f.bytes.end - f.bytes.p);
		else if (f.number == 2 && f.wire == WIRE_VARINT)
			part->kind = (uint32_t)f.value;
	}
	return true;
}

static bool time_read(struct cursor c, struct key_info *info)
{
	struct field f;

	info->has_created = true;
	while (c.p < c.end) {
		if (!field_read(&c, &f))
			return false;
		if (f.number == 1 && f.wire == WIRE_VARINT)
			info->created = (int64_t)f.value;
		else if (f.number == 2 && f.wire == WIRE_VARINT)
			info->created_nanos = (int32_t)(uint32_t)f.value;
	}
	return true;
}

static bool text_read(struct cursor c, struct key_info *info)
{
	size_t len = (size_t)(c.end - c.p);

	key_created_by(info, c.p, len);
	return utf8_valid(c.p, len);
}

static bool message_read(struct cursor c, struct part *key, struct part *hmac, struct key_info *info)
{
	struct field f;

	while (c.p < c.end) {
		if (!field_read(&c, &f))
			return false;
		if (f.wire != WIRE_BYTES)
			continue;
		if (f.number == 1 && !part_read(f.bytes, key))
			return false;
		if (f.number == 2 && !part_read(f.bytes, hmac))
			return false;
		if (f.number == 3 && !time_read(f.bytes, info))
			return false;
		if (f.number == 4 && !text_read(f.bytes, info))
			return false;
	}
	return true;
}

static int check(const struct part *key, const struct part *hmac, const struct key_info *info, struct error *why)
{
	if (!key->there)
		return error_set(why, EBADMSG, "the encryption key is missing");
	if (key->key_length != KEY_BYTES)
		return error_set(why, EBADMSG, "the encryption key has %zu bytes instead of %d", key->key_length,
		                 KEY_BYTES);
	if (key->kind != 1 && key->kind != 2)
		return error_set(why, EBADMSG, "the cipher is unknown (number %u; AES256 is 1, ChaCha20 is 2)",
		                 key->kind);
	if (!hmac->there)
		return error_set(why, EBADMSG, "the HMAC key is missing");
	if (hmac->key_length != KEY_BYTES)
		return error_set(why, EBADMSG, "the HMAC key has %zu bytes instead of %d", hmac->key_length, KEY_BYTES);
	if (hmac->kind != 1)
		return error_set(why, EBADMSG, "the hash of the HMAC key is unknown (number %u; SHA-256 is 1)",
		                 hmac->kind);
	if (info->created_nanos < 0 || info->created_nanos > 999999999)
		return error_set(why, EBADMSG, "the time of creation has %d nanoseconds", info->created_nanos);
	return 0;
}

int key_protobuf(const struct secret *message, struct key_info *ret, bool *ret_similar, struct error *why)
{
	struct cursor c = { message->bytes, message->bytes + message->len };
	struct part key = { .there = false }, hmac = { .there = false };

	if (!message_read(c, &key, &hmac, ret))
		return error_set(why, EBADMSG, "its protobuf message is malformed or cut short");
	if (key.there && key.key_length > 0)
		*ret_similar = true;
	if (hmac.there && hmac.key_length == KEY_BYTES)
		*ret_similar = true;
	if (ret->created == KEY_TIME_ZERO)
		ret->has_created = false;
	int r = check(&key, &hmac, ret, why);
	if (r != 0)
		return r;
	ret->algorithm = key.kind == 1 ? "AES256" : "ChaCha20";
	ret->has_hmac = true;
	return 0;
}
