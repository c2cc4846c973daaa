// SPDX-License-Identifier: Apache-2.0

// Package client is the Go client of a shard.
//
//	c, err := client.Dial(ctx, "10.0.0.1:7411", client.Options{})
//	err = c.Put(ctx, "greeting", []byte("hello"))
//	value, err := c.Get(ctx, "greeting") // ErrNotFound if there is none
//	err = c.Delete(ctx, "greeting")
//
// Every operation is linearizable: it takes effect at one moment between its call
// and its return. Requests that go unanswered are sent again until the context's
// deadline, and take effect once all the same.
//
// An operation that fails says which of two things is so. ErrNotDone: it has not
// taken effect and never will. ErrUnknown: nobody knows; it may have taken effect,
// or may yet, so read before relying on either. Only writes can end unknown.
//
// A Client is safe for concurrent use and has many requests in flight on one
// socket; a program needs one for each shard. If the shard has standby
// coordinators, Dial takes all their addresses, with commas between. Writes travel in lanes, which are
// sessions in the coordinator's table; they are opened as they are needed.
package client
