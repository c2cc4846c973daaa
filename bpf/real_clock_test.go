// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"time"

	"dalio/protocol"
)

// realLease is long: what is judged under it takes some microseconds.
const realLease = time.Hour

func realClock() setting {
	return setting{"real clock", Options{Self: elsewhere(self), MaxSessions: testSlots, SessionTTL: testTTL, Lease: realLease}}
}

// underRealClock returns what is wrong with a program that reads the clock itself: the
// stamps of what it sends must be of the last tick, and a lease must run by the same clock.
func underRealClock(b *bench) string {
	begin := uint64(Now())
	c, write := awaiting(0b110)
	for i := range c.Answered {
		c.Answered[i] = begin - uint64(realLease)/2
	}
	late := clone(c)
	late.Answered[9] = begin - uint64(realLease) - uint64(time.Minute)
	next := write
	next.Request++
	settled := clone(c)
	settled.Sessions[3].Acks = committedAcks
	tired := answered(write, 1)
	tired.Hops = protocol.MaxHops
	ack := answered(write, 1)
	ack.Type, ack.Key, ack.Value = protocol.WriteAck, nil, nil
	probed := protocol.Message{Type: protocol.ProbeReply, Epoch: 7, Replica: replica(1).ID}
	// The first stamps come before any look at the clock.
	if err := b.dp.objects.Moment.Set(uint64(0)); err != nil {
		return err.Error()
	}
	for _, told := range []struct {
		c    *protocol.Coordinator
		m    protocol.Message
		from protocol.Address
	}{
		{c, readRequest(4, "key"), client(1)}, {c, write, client(1)}, {settled, next, client(1)},
		{c, answered(write, 0), replica(0).Address}, {c, tired, replica(1).Address},
		{late, answered(protocol.Message{Key: []byte("key")}, 1), replica(1).Address}, {settled, answered(write, 1), replica(1).Address},
		{late, protocol.Message{Type: protocol.Probe, Sent: 9}, client(1)}, {c, protocol.Message{Type: protocol.Probe, Sent: 9}, client(1)},
		{c, ack, replica(1).Address}, {c, probed, replica(1).Address},
	} {
		for _, sent := range []uint64{0, begin - 1, begin + uint64(time.Hour)} {
			m := told.m
			if m.Type == protocol.ReadReply && m.Version.Seq == 50 && len(m.Value) == 0 {
				m.Version = protocol.Version{}
			}
			m.Sent = sent
			now, tick := uint64(Now()), uint64(lastTick())
			before := clone(told.c)
			before.Now, before.Lease = now, uint64(realLease)
			o := corner(before, m, told.from)
			o.before.Now, o.after.Now = 0, 0 // Which no program looks at.
			if complaint := b.playStamped(&o, now, tick); complaint != "" {
				return complaint
			}
		}
	}
	return b.betweenTicks(late)
}

// betweenTicks returns what is wrong with a program that takes the time of the last tick
// for the time: what has run out since, has run out, and what was sent since, was sent.
func (b *bench) betweenTicks(late *protocol.Coordinator) string {
	now := uint64(Now())
	before := clone(late)
	before.Now, before.Lease, before.Answered[9] = now, uint64(realLease), now-uint64(realLease)-1
	o := corner(before, protocol.Message{Type: protocol.Probe, Sent: 9}, client(1))
	o.before.Now, o.after.Now = 0, 0
	if complaint := b.play(&o); complaint != "" {
		return complaint
	}
	o = corner(before, protocol.Message{Type: protocol.ProbeReply, Epoch: 7, Replica: replica(1).ID, Sent: now}, replica(1).Address)
	o.before.Now, o.after.Now = 0, 0
	return b.play(&o)
}

// playStamped is play for times that the model takes from a clock which stands: the
// bytecode's stamps are of the last tick, or of its last look at the clock.
func (b *bench) playStamped(o *occasion, now, tick uint64) string {
	got, complaint := b.hand(o)
	if complaint != "" {
		return complaint
	}
	if err := errors.Join(takeStamp(b.dp, got.Frame, o.want.Frame, now, tick), takeLook(b.dp, o.after, now)); err != nil {
		return err.Error()
	}
	return b.compare(o, got)
}
