// SPDX-License-Identifier: Apache-2.0

package membership

import (
	"dalio/protocol"
)

// Recent is what a replica holds that others may lack: its records above the
// floor, as Write messages, and its session records.
type Recent struct {
	Records  []protocol.Message
	Sessions []protocol.SessionRecord
}

// union is the newest of what several replicas hold.
type union struct {
	records  map[string]protocol.Message
	sessions protocol.SessionTable
}

// newestOf returns the union of what replicas hold: of each key the newest
// version, of each slot the latest request.
func newestOf(all ...Recent) union {
	u := union{records: map[string]protocol.Message{}, sessions: protocol.SessionTable{}}
	for _, r := range all {
		for _, m := range r.Records {
			if old, ok := u.records[string(m.Key)]; !ok || old.Version.Less(m.Version) {
				u.records[string(m.Key)] = m
			}
		}
		for _, s := range r.Sessions {
			u.sessions.Record(s)
		}
	}
	return u
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
	for slot, s := range u.sessions {
		if s.Newer(held.sessions[slot]) {
			lacks.Sessions = append(lacks.Sessions, s)
		}
	}
	return lacks
}
