// SPDX-License-Identifier: Apache-2.0

// Package durable keeps a replica's records, session records and membership on
// disk, in a Pebble database.
//
// Everything is in memory too, in a [replica.MemoryStore]: the database is written
// as a log and read only when it is opened. Reads so cost what they cost without a
// disk, and a replica with a disk needs the memory of one without, which
// control.Status tells (Bytes, and about 200 bytes a record), plus at most
// [journalBound] of what is not synced yet, and Pebble's own: a block cache of
// [cacheSize] and memtables of [memTableSize].
//
// # What is on the disk
//
// What changes is added to one batch, in the order in which it changes, and Sync
// commits the batch. Whoever calls Sync meanwhile waits and finds its changes
// committed by another: many workers share one fsync. So the disk holds what the
// memory held at some moment, and all that was acknowledged is from before it. That
// moment may be between a record and the session record of its write, which is then
// made up when the disk is opened.
//
// The folder has the database in db and the disk's name in NAME. A folder with a
// name and without a whole database has lost something: what is left is moved
// aside to db.damaged-N, never deleted, and the replica joins as a new one. A disk
// that is whole but from the past, as one that was restored from a backup, can't be
// told from here: see the Returned of control.Status.
package durable
