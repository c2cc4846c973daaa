/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The wire format and the names that C shares with Go.
 *
 * A Dalio message is the payload of one UDP datagram: struct message, then the
 * key, then the value. All fields are big-endian; docs/wire.md gives the unit
 * and the range of each. A test compares every offset, size and enumerator
 * here, read from the object's type information, with package protocol.
 */
#ifndef DALIO_WIRE_H
#define DALIO_WIRE_H

#include <linux/types.h>

#define MESSAGE_MAGIC 0xDA10
#define MESSAGE_VERSION 2
#define MAX_KEY_SIZE 250
/* One bit of an acknowledging set, and one index, for each replica. */
#define MAX_MEMBERS 16
#define MAX_SEQ ((1ULL << 48) - 1)
#define MAX_HOPS 64
#define OPEN_WINDOW 8
#define MAX_DEVICES 32

enum message_type {
	MESSAGE_OPEN_REQUEST = 1,
	MESSAGE_OPEN_RESPONSE,
	MESSAGE_READ_REQUEST,
	MESSAGE_READ_RESPONSE,
	MESSAGE_WRITE_REQUEST,
	MESSAGE_WRITE_RESPONSE,
	MESSAGE_READ,
	MESSAGE_READ_REPLY,
	MESSAGE_WRITE,
	MESSAGE_WRITE_ACK,
	MESSAGE_PROBE,
	MESSAGE_PROBE_REPLY,
};

enum op {
	OP_NONE,
	OP_PUT,
	OP_DELETE,
};

enum status {
	STATUS_NONE,
	STATUS_OK,
	STATUS_BUSY,
	STATUS_EXPIRED,
	STATUS_REFUSED,
	STATUS_TOO_FEW,
};

/* Why a frame was dropped; REASON_NONE means that it was not. */
enum drop_reason {
	REASON_NONE,
	REASON_BAD_LENGTH,
	REASON_BAD_VERSION,
	REASON_BAD_TYPE,
	REASON_BAD_REQUEST,
	REASON_STALE_EPOCH,
	REASON_FUTURE_EPOCH,
	REASON_UNKNOWN_REPLICA,
	REASON_BAD_REPLY,
	REASON_NOT_SERVING,
	REASON_BAD_SESSION,
	REASON_STALE_REQUEST,
	REASON_STALE_ACK,
	REASON_LATE_ACK,
	REASON_ACKNOWLEDGED,
	REASON_UNCLAIMED,
	REASON_UNKNOWN_VERSION,
	REASON_GATED,
	REASON_CLOSED,
	REASON_LEASE_EXPIRED,
	REASON_CONTENDED,
	REASON_INTERNAL,
	REASON_COUNT,
};

/* The actions of the specification that run in the kernel. */
enum action {
	ACTION_HANDLE_OPEN_REQUEST,
	ACTION_HANDLE_WRITE_REQUEST,
	ACTION_HANDLE_WRITE_ACK,
	ACTION_HANDLE_READ_REQUEST,
	ACTION_HANDLE_READ_REPLY,
	ACTION_COUNT,
};

/* What the handlers did, one for each branch that sends something. */
enum activity {
	ACTIVITY_PASSED,	/* frames left to the host */
	ACTIVITY_OPENED,	/* sessions minted */
	ACTIVITY_REOPENED,	/* answers that repeat a session not yet used */
	ACTIVITY_OPEN_BUSY,	/* opens that found no slot */
	ACTIVITY_SEQUENCED,	/* writes that got a version */
	ACTIVITY_MULTICASTS,	/* broadcasts started, for whatever cause */
	ACTIVITY_RETRIED,	/* multicasts again under the same version */
	ACTIVITY_REDRIVEN,	/* multicasts of a gated reply as its own write */
	ACTIVITY_REPEATED,	/* answers of committed writes given again */
	ACTIVITY_EXPIRED,	/* writes of sessions that are not in the table */
	ACTIVITY_ADOPTED,	/* sessions of an earlier epoch that got their slot back */
	ACTIVITY_REFUSED,	/* request ids used again for another operation */
	ACTIVITY_WRITE_BUSY,	/* writes not sequenced for lack of room */
	ACTIVITY_TOO_FEW,	/* writes not sequenced for lack of members */
	ACTIVITY_COMMITS,	/* writes acknowledged by every member */
	ACTIVITY_COVERED,	/* commits without an acknowledgement: the rest were removed */
	ACTIVITY_FORWARDED,	/* reads sent to a first member */
	ACTIVITY_READ_BUSY,	/* reads that found no serving member */
	ACTIVITY_RELEASED,	/* read replies let through the gate */
	ACTIVITY_GATED,		/* read replies that the gate held back */
	ACTIVITY_HOPS,		/* gated reads sent to another member */
	ACTIVITY_OVERDUE,	/* reads sent to a member whose silence keeps values from being released */
	ACTIVITY_PROBED,	/* probes answered */
	ACTIVITY_PROBE_REPLIES,	/* answers of replicas to probes */
	ACTIVITY_CLONES,	/* copies of multicasts addressed to members */
	ACTIVITY_SURPLUS,	/* copies beyond the members a multicast is for, sent as duplicates */
	ACTIVITY_REDIRECTED,	/* frames for one receiver, by another device than they came in by */
	ACTIVITY_LEARNED,	/* client hosts met for the first time or by another device */
	ACTIVITY_STRANDED,	/* answers to client hosts whose device is not known */
	ACTIVITY_COUNT,
};

/* Where an answer goes; the MAC address is kept in 16-bit parts for alignment. */
struct address {
	__be32 ip;
	__be16 port;
	__be16 mac[3];
} __attribute__((packed, aligned(4)));

/*
 * The fields lie on their natural boundaries, and the alignment tells the
 * compiler so: it would otherwise read a packed struct byte by byte. What is looked
 * at in every message is within the first 86 bytes: with the headers in front of it
 * that is two cache lines, and each is waited for.
 */
struct message {
	__be16 magic;
	__u8 version;
	__u8 type;
	__u8 op;
	__u8 status;
	__u8 attempt;
	__u8 hops;
	__be32 epoch;
	__be32 replica;
	__be32 version_epoch;
	__be32 digest;
	__be64 seq;
	__be64 session;
	__be64 request;
	__be64 writer;
	__be64 sent;
	__be16 key_len;
	__be16 value_len;
	struct address client;
	__be64 key_hash;
} __attribute__((packed, aligned(8)));

_Static_assert(sizeof(struct address) == 12, "an address has 12 bytes on the wire");
_Static_assert(sizeof(struct message) == 88, "a message header has 88 bytes on the wire");
_Static_assert(__builtin_offsetof(struct message, seq) == 24, "seq is at offset 24");
_Static_assert(__builtin_offsetof(struct message, sent) == 56, "sent is at offset 56");
_Static_assert(__builtin_offsetof(struct message, client) == 68, "client is at offset 68");

#endif
