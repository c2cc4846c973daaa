// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"dalio/protocol"
)

// Recent is what a replica holds that others may lack: its records above the
// floor, as Write messages, and its session records, as WriteAck messages.
type Recent struct {
	Records  []protocol.Message
	Sessions []protocol.Message
}

// union is the newest of what several replicas hold.
type union struct {
	records  map[string]protocol.Message
	sessions map[int]protocol.Message
}

// newestOf returns the union of what replicas hold: of each key the newest
// version, of each slot the latest request.
func newestOf(all ...Recent) union {
	u := union{records: map[string]protocol.Message{}, sessions: map[int]protocol.Message{}}
	for _, r := range all {
		for _, m := range r.Records {
			if old, ok := u.records[string(m.Key)]; !ok || old.Version.Less(m.Version) {
				u.records[string(m.Key)] = m
			}
		}
		for _, m := range r.Sessions {
			if old, ok := u.sessions[m.Session.Slot()]; !ok || later(&m, &old) {
				u.sessions[m.Session.Slot()] = m
			}
		}
	}
	return u
}

// later says whether the session record a is of a later request than b: session
// ids of one slot grow, and so do a session's requests.
func later(a, b *protocol.Message) bool {
	return a.Session > b.Session || a.Session == b.Session && a.Request > b.Request
}

// lackedBy returns what a replica that holds r has to be given. What it holds
// below its floor, which is not in r, it may be given again: the newest wins.
func (u union) lackedBy(r Recent) Recent {
	held := newestOf(r)
	var lacks Recent
	for key, m := range u.records {
		if have, ok := held.records[key]; !ok || have.Version.Less(m.Version) {
			lacks.Records = append(lacks.Records, m)
		}
	}
	for slot, m := range u.sessions {
		if have, ok := held.sessions[slot]; !ok || later(&m, &have) {
			lacks.Sessions = append(lacks.Sessions, m)
		}
	}
	return lacks
}
