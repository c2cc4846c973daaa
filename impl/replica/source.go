// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"encoding/binary"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"

	"dalio/impl/replica/control"
	"dalio/protocol"
)

// isSource says whether another replica may catch up from this one in an epoch.
func (s *Server) isSource(r *http.Request) error {
	epoch, err := number(r, "epoch")
	if err != nil {
		return err
	}
	s.membership.RLock()
	defer s.membership.RUnlock()
	if s.replica.ID == 0 || s.replica.Fenced || s.replica.Epoch != protocol.Epoch(epoch) {
		return s.refuse("nobody can catch up from here in epoch %d", epoch)
	}
	return nil
}

func (s *Server) rangesOf(r *http.Request) (int, error) {
	if err := s.isSource(r); err != nil {
		return 0, err
	}
	n, err := number(r, "bits")
	if err != nil || n > control.MaxBits {
		return 0, badRequest("bits %q: want 0 to %d", r.FormValue("bits"), control.MaxBits)
	}
	return int(n), nil
}

func (s *Server) rangeAsked(r *http.Request) (bits, index int, err error) {
	if bits, err = s.rangesOf(r); err != nil {
		return 0, 0, err
	}
	n, err := number(r, "range")
	if err != nil || n >= 1<<bits {
		return 0, 0, badRequest("range %q: want 0 to %d", r.FormValue("range"), 1<<bits-1)
	}
	return bits, int(n), nil
}

// rangeOf returns the range of a key among 2^bits: the lowest bits of its hash, so
// that a range is in one stripe, or is made of whole ones.
func rangeOf(key string, n int) int { return int(protocol.KeyHash([]byte(key)) & (1<<n - 1)) }

// ofRange returns which stripes have records of a range, and all is all of them.
func ofRange(n, index int) func(stripe int) bool {
	same := min(1<<n, Stripes) - 1
	return func(stripe int) bool { return stripe&same == index&same }
}

func all(int) bool { return true }

// sum is a record's part of its range's digest.
func sum(key string, r protocol.Record) uint64 {
	h := fnv.New64a()
	var b [21]byte
	binary.BigEndian.PutUint32(b[0:], uint32(r.Version.Epoch))
	binary.BigEndian.PutUint64(b[4:], r.Version.Seq)
	binary.BigEndian.PutUint64(b[12:], uint64(r.Writer))
	b[20] = byte(r.Op)
	h.Write([]byte(key))
	h.Write(b[:])
	h.Write(r.Value)
	return h.Sum64()
}

// digests sums up the ranges of all that is held under the present membership.
func (s *Server) digests(n int) control.Digests {
	d := control.Digests{Bits: n, Ranges: make([]control.RangeDigest, 1<<n)}
	s.eachStripe(all, func(stripe int) {
		s.store.Each(stripe, func(key string, r protocol.Record, earlier bool) bool {
			if !earlier {
				part := &d.Ranges[rangeOf(key, n)]
				part.Sum += sum(key, r)
				part.Records++
			}
			return true
		})
	})
	return d
}

// digest sums up one range of what is held under the present membership. Earlier
// says that the range has records from before it.
func (s *Server) digest(n, index int) (d control.RangeDigest, earlier bool) {
	s.eachStripe(ofRange(n, index), func(stripe int) {
		s.store.Each(stripe, func(key string, r protocol.Record, before bool) bool {
			switch {
			case rangeOf(key, n) != index:
			case before:
				earlier = true
			default:
				d.Sum += sum(key, r)
				d.Records++
			}
			return true
		})
	})
	return d, earlier
}

// sendRange sends the records of a range. They are copied stripe by stripe, so
// that no lock waits for the network.
func (s *Server) sendRange(n, index int, out *control.Writer) error {
	return s.copyOut(out, ofRange(n, index), func(stripe int, take func(string, protocol.Record) bool) {
		s.store.Each(stripe, func(key string, r protocol.Record, earlier bool) bool {
			return earlier || rangeOf(key, n) != index || take(key, r)
		})
	})
}

// sendRecent sends the records above the floor, or above since if that is not nil
// and lower, and then the session records: a record that is sent without that of its session
// was acknowledged to nobody yet.
func (s *Server) sendRecent(since *protocol.Version, out *control.Writer) error {
	s.membership.RLock()
	below := since != nil && since.Less(s.replica.Floor)
	s.membership.RUnlock()
	each := s.store.Recent
	if below {
		each = func(stripe int, take func(string, protocol.Record) bool) {
			s.store.Each(stripe, func(key string, r protocol.Record, earlier bool) bool {
				return earlier || !since.Less(r.Version) || take(key, r)
			})
		}
	}
	if err := s.copyOut(out, all, each); err != nil {
		return err
	}
	return s.sendSessions(out)
}

// sinceAsked is the parameter of a request for recent records, or none.
func sinceAsked(r *http.Request) (since *protocol.Version, err error) {
	if !r.URL.Query().Has("seq") {
		return nil, nil
	}
	epoch, err := number(r, "epoch")
	if err != nil {
		return nil, err
	}
	seq, err := strconv.ParseUint(r.FormValue("seq"), 10, 64)
	if err != nil {
		return nil, badRequest("parameter seq is %q: want a number", r.FormValue("seq"))
	}
	return &protocol.Version{Epoch: protocol.Epoch(epoch), Seq: seq}, nil
}

func (s *Server) sendSessions(out *control.Writer) error {
	for _, r := range s.sessions.all() {
		m := recordMessage(r)
		if err := out.Write(&m); err != nil {
			return err
		}
	}
	return nil
}

// copyOut sends what a visitor of some stripes finds.
func (s *Server) copyOut(out *control.Writer, of func(stripe int) bool, each func(stripe int, take func(string, protocol.Record) bool)) error {
	type pair struct {
		key string
		protocol.Record
	}
	for i := range Stripes {
		if !of(i) {
			continue
		}
		var found []pair
		s.membership.RLock()
		s.stripes[i].Lock()
		each(i, func(key string, r protocol.Record) bool {
			r.Value = slices.Clone(r.Value)
			found = append(found, pair{key, r})
			return true
		})
		s.stripes[i].Unlock()
		s.membership.RUnlock()
		for _, f := range found {
			m := writeMessage(f.key, f.Record)
			if err := out.Write(&m); err != nil {
				return err
			}
		}
	}
	return nil
}
