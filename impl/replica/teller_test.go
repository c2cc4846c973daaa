// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// teller is a source of a catch-up that tells, in each round, what the test says.
type teller struct {
	floor    protocol.Version
	sessions []protocol.Message
	rounds   [][]protocol.Message
	asked    int
}

// tell starts the teller and returns its address as a node's.
func (s *teller) tell(t *testing.T) *node {
	t.Helper()
	mux := http.NewServeMux()
	say := func(path string, what func(*http.Request) any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			answer := what(r)
			if all, ok := answer.([]protocol.Message); ok {
				stream := control.NewWriter(w)
				for i := range all {
					_ = stream.Write(&all[i]) // A reader that has gone says so itself.
				}
				_ = stream.Close()
				return
			}
			_ = json.NewEncoder(w).Encode(answer)
		})
	}
	// A round begins with the source's state.
	say(control.StatusPath, func(*http.Request) any {
		s.asked++
		return control.Status{Instance: "teller", Floor: s.floor}
	})
	say(control.SessionsPath, func(*http.Request) any { return s.sessions })
	// No range of a joiner's is equal.
	say(control.DigestPath, func(*http.Request) any { return control.RangeDigest{Sum: 1, Records: 1} })
	say(control.RangePath, func(r *http.Request) any {
		n, _ := strconv.Atoi(r.FormValue("bits"))
		index, _ := strconv.ParseUint(r.FormValue("range"), 10, 64)
		in := []protocol.Message{}
		for _, m := range s.rounds[min(s.asked, len(s.rounds))-1] {
			if m.KeyHash&(1<<n-1) == index {
				in = append(in, m)
			}
		}
		return in
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &node{address: netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))}
}

func held(key, value string, seq uint64) protocol.Message {
	m := write(key, value, seq)
	m.Version.Epoch, m.Session, m.Writer = 1, sessionOf(seq), sessionOf(seq)
	return m
}

// TestCatchUpBringsSessions: the session records that a source tells of come along,
// and with each record that of its writer, which the source may have got after it
// told of the others (hazard 31).
func TestCatchUpBringsSessions(t *testing.T) {
	for what, s := range map[string]*teller{
		"told by the source":   {sessions: []protocol.Message{{Type: protocol.WriteAck, Writer: sessionOf(3), Session: sessionOf(3), Request: 3}}, rounds: [][]protocol.Message{{}}},
		"of a record's writer": {rounds: [][]protocol.Message{{held("k", "v", 4)}}},
	} {
		n := newNode(t, nil)
		n.must(n.assign(17, 1))
		if p := n.catchUp(s.tell(t), 0); p.State != control.Done {
			t.Fatalf("%s: %+v", what, p)
		}
		if got := n.status().Sessions; got != 1 {
			t.Errorf("%s: it has %d session records, want 1", what, got)
		}
	}
}

// TestCatchUpKeepsToOneSource: what a source that is given up said of sessions may
// be of a write that only it had (hazard 11).
func TestCatchUpKeepsToOneSource(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(17, 1))
	late := []protocol.Message{held("k", "v", 4)}
	first := &teller{sessions: []protocol.Message{{Type: protocol.WriteAck, Writer: sessionOf(3), Session: sessionOf(3), Request: 3}},
		floor: protocol.Version{Epoch: 1, Seq: 4}, rounds: [][]protocol.Message{{}, late}}
	if p := n.catchUp(first.tell(t), 0); p.State != control.Failed {
		t.Fatalf("from the first source: %+v", p)
	}
	second := &teller{rounds: [][]protocol.Message{{}}}
	if p := n.catchUp(second.tell(t), 0); p.State != control.Done {
		t.Fatalf("from the second source: %+v", p)
	}
	if got := n.status().Sessions; got != 1 { // That of the record's writer.
		t.Errorf("it has %d session records, want 1", got)
	}
}

// TestCatchUpDoesNotGoBack: a write that came under the new id is newer than what
// the source had of the key when it was asked (hazard 34).
func TestCatchUpDoesNotGoBack(t *testing.T) {
	n := newNode(t, nil)
	n.must(n.assign(17, 1))
	n.put("k", "new", 9)
	s := &teller{rounds: [][]protocol.Message{{held("k", "old", 4), held("l", "old", 5)}}}
	if p := n.catchUp(s.tell(t), 0); p.State != control.Done {
		t.Fatalf("%+v", p)
	}
	if k, l := n.get("k"), n.get("l"); string(k.Value) != "new" || string(l.Value) != "old" {
		t.Errorf("it holds %q and %q", k.Value, l.Value)
	}
}

// TestCatchUpIsCompared: a record that was settled and did not come in the first
// round shows that something is wrong, and the replica does not say that it is done
// (hazard 22).
func TestCatchUpIsCompared(t *testing.T) {
	all := []protocol.Message{held("k", "v", 4), held("l", "w", 5)}
	s := &teller{floor: protocol.Version{Epoch: 1, Seq: 5}, rounds: [][]protocol.Message{all[:1], all}}
	n := newNode(t, nil)
	n.must(n.assign(17, 1))
	at := s.tell(t)
	if p := n.catchUp(at, 0); p.State != control.Failed || !strings.Contains(p.Error, "1 settled records were missing") {
		t.Errorf("a settled record came late: %+v", p)
	}
	if p := n.catchUp(at, 0); p.State != control.Done {
		t.Errorf("asked again: %+v", p)
	}
}
